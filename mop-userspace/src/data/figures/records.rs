//! Records of figures on their way out.

use std::fmt::Write as _;

use mop_insight::data::metrics::{MetricsCheck, MetricsRecord};
use mop_outbox::Lane;

use crate::{drafts::Envelope, output::Record, pretty::Style};

impl Record for MetricsRecord {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: &self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let invocations = &self.data.invocations;
        let _ = writeln!(
            out,
            "        figures of {}: today {} calls of high and {} of medium priority, {} errors, up {}",
            self.organisation,
            invocations.high_priority.current_day,
            invocations.medium_priority.current_day,
            self.data.errors.current_day,
            self.data.availability.uptime.general_uptime_rate,
        );
    }
}

impl Record for MetricsCheck {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: &self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let _ = writeln!(
            out,
            "        published figures of {}: {}, {} of {} differ, {} not observed",
            self.organisation,
            self.outcome.name(),
            self.differences.len(),
            self.compared,
            self.not_observed.len(),
        );
    }
}
