//! What comes out of an analyst.

use crate::data::{
    consent_join::Unjoined,
    endpoint::NotListed,
    event::{Unreportable, record::DataEvent, rules::Exclusion},
    signal::Signal,
};

use super::Edge;

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
        exchange: String,
        /// Why.
        why: Exclusion,
    },
    /// A further sighting of a call.
    Hop {
        /// The exchange.
        exchange: String,
        /// The exchange whose call it is.
        of: String,
    },
    /// What a call did to a consent; one call may have several.
    Signal(Box<Signal>),
    /// The metrics platform does not take calls to this endpoint.
    Unlisted {
        /// The exchange.
        exchange: String,
        /// Why.
        why: NotListed,
    },
    /// A call that should be reported and cannot be.
    Unreportable {
        /// The exchange.
        exchange: String,
        /// Every reason.
        reasons: Vec<Unreportable>,
        /// Why its consent is not known, when it needs one.
        unjoined: Option<Unjoined>,
    },
}
