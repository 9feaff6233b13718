//! What comes out of an analyst.

use std::sync::Arc;

use super::Edge;
use crate::data::{
    consent_join::Unjoined,
    endpoint::NotListed,
    event::{Unreportable, record::DataEvent, rules::Exclusion},
    signal::Signal,
};

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A call for figures and alarms, once each, whether or not it is reported.
    Edge(Box<Edge>),
    /// An event to be reported.
    Event(Box<DataEvent>),
    /// It is none of the ecosystem's.
    Excluded {
        /// The exchange.
        exchange: Arc<str>,
        /// Why.
        why: Exclusion,
    },
    /// A further sighting of a call.
    Hop {
        /// The exchange.
        exchange: Arc<str>,
        /// The exchange whose call it is.
        of: Arc<str>,
    },
    /// What a call did to a consent; one call may have several.
    Signal(Box<Signal>),
    /// The metrics platform does not take calls to this endpoint.
    Unlisted {
        /// The exchange.
        exchange: Arc<str>,
        /// Why.
        why: NotListed,
    },
    /// A call that should be reported and cannot be.
    Unreportable {
        /// The exchange.
        exchange: Arc<str>,
        /// Every reason.
        reasons: Vec<Unreportable>,
        /// Why its consent is not known, when it needs one.
        unjoined: Option<Unjoined>,
    },
}
