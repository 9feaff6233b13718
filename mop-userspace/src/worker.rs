//! A worker thread: owns its connections and turns batches into reports.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;

use crate::{
    batch::{Batch, Entry},
    capture::QUEUE_BATCHES,
    clock::Clock,
    connections::Node,
    coverage::Sight,
    pipeline::{Pipeline, PipelineTotals},
    protection::Pace,
    vitals::WorkerVitals,
};

/// Works until the capture thread is gone.
pub(crate) fn run(
    mut pipeline: Pipeline<Node>,
    batches: &Receiver<Batch>,
    empties: &Sender<Batch>,
    mut sight: Option<Sight>,
    vitals: &WorkerVitals,
) -> PipelineTotals {
    let mut clock_taken = Instant::now();
    let mut pace = Pace::of_this_thread();
    loop {
        let is_waiting = batches.is_empty();
        let Ok(mut batch) = batches.recv() else { break };
        if is_waiting {
            pace.rested();
        }
        vitals.alive.beat();
        if clock_taken.elapsed() > CLOCK_EVERY {
            pipeline.set_clock(Clock::now());
            pipeline.advance(Timestamp::now());
            clock_taken = Instant::now();
        }
        for entry in batch.entries() {
            match entry {
                Entry::Segment(head, bytes) => {
                    if let Some(sight) = &mut sight {
                        sight.segment(&head);
                    }
                    pipeline.segment(&head, bytes);
                    pace.step(|| batches.len() as f64 / QUEUE_BATCHES as f64);
                }
                Entry::Control(event) => {
                    if let Some(sight) = &mut sight {
                        sight.control(event);
                    }
                    pipeline.control(event);
                }
                Entry::Watermark(ktime_ns) => pipeline.watermark(ktime_ns),
            }
        }
        pipeline.flush();
        if let Some(sight) = &mut sight {
            sight.publish();
        }
        pipeline.publish(vitals);
        vitals.alive.rest();
        batch.clear();
        // When enough empties wait already, this one is not needed.
        let _ = empties.try_send(batch);
    }
    pipeline.finish_publishing(vitals)
}

/// A system clock that is set shows in reports after this long.
const CLOCK_EVERY: Duration = Duration::from_secs(10);

/// Emptied batches that wait to be filled again.
pub(crate) const EMPTY_BATCHES: usize = 16;
