//! How an observer begins: at once, or after the one before it.

use std::{path::Path, sync::Arc};

use super::{Claim, Post, Tenure};
use crate::{
    failure::Failure,
    hellos::Hellos,
    privileges::Probing,
    session::{Known, Session, Start},
    signals::StopRequest,
};

/// What an observer begins with.
pub(crate) struct Arrival {
    /// The outbox is its own; `None` without one.
    pub(crate) post: Option<Post>,
    pub(crate) tenure: Tenure,
    pub(crate) begun: Begun,
}

/// What was attached so far.
pub(crate) enum Begun {
    Not(Probing),
    /// Attached, or not to be, as of then.
    Early(Start),
    /// It was told to end while it waited.
    Over,
}

/// What observing needs.
pub(crate) struct Means<'a> {
    pub(crate) probing: Probing,
    pub(crate) workers: usize,
    pub(crate) hellos: &'a Arc<Hellos>,
    pub(crate) known: &'a Known,
}

impl Arrival {
    /// Claims the outbox. Where another observer has it and is to be followed, everything is attached
    /// first, and what is seen meanwhile waits in the queues.
    ///
    /// # Errors
    ///
    /// When the files cannot be used, another one waits already, or nothing can be attached.
    pub(crate) fn of(
        outbox: Option<&Path>,
        takes_over: bool,
        means: Means<'_>,
        stop: &StopRequest,
    ) -> Result<Self, Failure> {
        if takes_over && outbox.is_none() {
            return Err(Failure::configuration(
                "taking over needs the outbox of the observer before: name it with --outbox or in \
                 outbox.folder",
            ));
        }
        let claim = outbox.map(Claim::of).transpose()?;
        let Means { probing, workers, hellos, known } = means;
        let alone =
            |post, probing| Self { post, tenure: Tenure::default(), begun: Begun::Not(probing) };
        let waiting = match claim {
            Some(Claim::First(post)) => return Ok(alone(Some(post), probing)),
            Some(Claim::Second(waiting)) if takes_over => waiting,
            // The outbox itself refuses a second one.
            None | Some(Claim::Second(_)) => return Ok(alone(None, probing)),
        };
        let start = Session::start(probing, workers, Some(Arc::clone(hellos)), known)?;
        let state = match &start {
            Start::Session(_) => "everything is attached",
            Start::SwitchedOff(_) => "nothing is to be attached",
        };
        eprintln!("Taking over: {state}; waiting for the observer before to end.");
        let is_over = || match &start {
            Start::Session(session) => session.is_over(),
            Start::SwitchedOff(_) => false,
        };
        let turn = waiting.wait(|| stop.is_requested() || is_over())?;
        Ok(match turn {
            Some((post, tenure)) => Self { post: Some(post), tenure, begun: Begun::Early(start) },
            None => {
                if let Start::Session(mut session) = start {
                    // Nobody works on them.
                    session.batches.clear();
                    session.stop()?;
                }
                if !stop.is_requested() {
                    return Err(Failure::runtime(
                        "nothing is attached any more: the prober is gone, or the switch is off",
                    ));
                }
                Self { post: None, tenure: Tenure::default(), begun: Begun::Over }
            }
        })
    }
}
