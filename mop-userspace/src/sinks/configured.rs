//! The sinks that a configuration asks for.

use super::Sink;
use crate::{configuration::Configuration, failure::Failure};

/// Makes each; nothing is connected yet.
pub(crate) fn sinks(_configuration: &Configuration) -> Result<Vec<Box<dyn Sink>>, Failure> {
    Ok(Vec::new())
}
