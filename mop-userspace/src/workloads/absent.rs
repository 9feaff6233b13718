//! In place of the keeper, in a program that was built without it.

use std::sync::Arc;

use super::{Directory, KubernetesConfiguration};
use crate::{configuration::Configuration, failure::Failure, vitals::Vitals};

/// There is none.
pub(crate) enum Keeper {}

impl Keeper {
    /// A configuration that asks for one is refused when it is checked.
    #[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
    pub(crate) fn start_if_configured(
        _configuration: &Configuration,
        _vitals: &Vitals,
    ) -> Result<Option<Self>, Failure> {
        Ok(None)
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        match *self {}
    }

    pub(crate) fn wait_for_names(&self) {
        match *self {}
    }

    pub(crate) fn stop(self) {
        match self {}
    }
}

/// Asks nobody.
pub(crate) fn ask_once(
    _configuration: &KubernetesConfiguration,
    _node: &str,
) -> Result<(usize, Arc<Directory>), String> {
    Err("this program was built without it".to_owned())
}
