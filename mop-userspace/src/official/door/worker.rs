//! The thread that judges copies.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    super::{
        message::{NotMade, Source},
        validations::Validations,
    },
    copy::Copy,
};
use crate::pipeline::Reporter;

/// A copy, and who waits for what is found.
pub(super) struct Job {
    pub(super) copy: Copy,
    pub(super) reply: oneshot::Sender<Judged>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) validations: Validations,
    /// Whether a message for the official server was made; `false` when none is wanted.
    pub(crate) message: Result<bool, NotMade>,
}

/// Works until the door is closed and every copy is judged; gives the reporter back.
pub(super) fn run(mut reporter: Reporter, jobs: &Receiver<Job>) -> Reporter {
    let mut advanced = Instant::now();
    for number in 1_u64.. {
        let job = loop {
            match jobs.recv_timeout(ADVANCE_EVERY) {
                Ok(job) => break Some(job),
                Err(RecvTimeoutError::Timeout) => {
                    reporter.advance(Timestamp::now());
                    flush(&mut reporter);
                }
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        let Some(Job { copy, reply }) = job else { break };
        let Copy { exchange, ts, told } = copy;
        let id = reporter.identifiers.of_copy(number);
        let source = Source { exchange: &exchange, id: &id, ts, told: Some(&told) };
        let judged = reporter.deliver_copy(source);
        // Handed over before it is answered.
        flush(&mut reporter);
        if let Some(judged) = judged {
            // Who asked may be gone: what was found is reported all the same.
            let _gone = reply.send(judged);
        }
        if advanced.elapsed() > ADVANCE_EVERY {
            reporter.advance(Timestamp::now());
            advanced = Instant::now();
        }
    }
    reporter.finish_inspection();
    flush(&mut reporter);
    reporter
}

fn flush(reporter: &mut Reporter) {
    if let Some(outlet) = &mut reporter.outlet {
        outlet.flush();
    }
}

/// Windows that are over are reported so late at most.
const ADVANCE_EVERY: Duration = Duration::from_secs(10);
