//! What all parts of an observer share.

use std::sync::Arc;

use crate::{
    cli::ObserveArguments,
    configuration::Configuration,
    forwarding::Forwarding,
    handover::Tenure,
    output::{Format, Outlet, Output},
    protection::Guard,
    vitals::Vitals,
};

/// What was asked for, and what is there to do it with.
pub(super) struct Setting<'a> {
    pub(super) arguments: &'a ObserveArguments,
    pub(super) configuration: &'a Configuration,
    pub(super) format: Format,
    pub(super) vitals: &'a Arc<Vitals>,
    pub(super) output: &'a Output,
    pub(super) forwarding: Option<&'a Forwarding>,
    /// Begins the identifiers of this run.
    pub(super) run: &'a str,
    pub(super) tenure: &'a Arc<Tenure>,
    pub(super) guard: &'a Arc<Guard>,
}

impl Setting<'_> {
    /// Where a module puts its records: it waits, since none may be lost. `None`: nobody wants records.
    pub(super) fn outlet_of_module(&self) -> Option<Outlet> {
        (!self.format.is_silent()).then(|| self.output.outlet_that_waits())
    }
}
