//! How far one sink has come: what was taken from the feed, what became of it, and up to where each
//! lane is done with.
//!
//! A lane can only be acknowledged up to the first record that is not done. Records behind it may be
//! done already; they are remembered, so that they are not sent again when the feed is rewound.

use std::collections::VecDeque;

use mop_outbox::{Entry, Lane};

/// What became of a record that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The other side has it.
    Delivered,
    /// It was set aside.
    Parked,
    /// The sink does not take its kind.
    Passed,
}

/// How many records an acknowledgement covers, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) delivered: u64,
    pub(crate) parked: u64,
    pub(crate) passed: u64,
}

/// The records that were taken and are not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    lanes: [TakenLane; Lane::ALL.len()],
}

#[derive(Debug, Default)]
struct TakenLane {
    taken: VecDeque<Taken>,
    /// The next record that is taken is the first that the outbox still has.
    is_rewound: bool,
}

#[derive(Debug)]
struct Taken {
    sequence: u64,
    outcome: Option<Outcome>,
}

impl Progress {
    /// Notes that a record was taken. False: it is done already, and need not be sent again.
    pub(crate) fn take(&mut self, entry: &Entry) -> bool {
        let Some(TakenLane { taken: lane, is_rewound }) = self.lanes.get_mut(entry.lane as usize)
        else {
            return true;
        };
        if std::mem::take(is_rewound) {
            // What was before it was dropped from the outbox meanwhile, and counted there.
            while lane.front().is_some_and(|taken| taken.sequence < entry.sequence) {
                lane.pop_front();
            }
        }
        match lane.binary_search_by_key(&entry.sequence, |taken| taken.sequence) {
            Ok(at) => lane.get(at).is_none_or(|taken| taken.outcome.is_none()),
            Err(at) => {
                lane.insert(at, Taken { sequence: entry.sequence, outcome: None });
                true
            }
        }
    }

    /// Notes what became of a record. Gives up to where its lane is done with, when that moved.
    pub(crate) fn finish(
        &mut self,
        lane: Lane,
        sequence: u64,
        outcome: Outcome,
    ) -> Option<(u64, Done)> {
        let taken = &mut self.lanes.get_mut(lane as usize)?.taken;
        let at = taken.binary_search_by_key(&sequence, |taken| taken.sequence).ok()?;
        taken.get_mut(at)?.outcome = Some(outcome);
        let mut done = Done::default();
        let mut last = None;
        while let Some(Taken { sequence, outcome: Some(outcome) }) = taken.front() {
            last = Some(*sequence);
            match outcome {
                Outcome::Delivered => done.delivered += 1,
                Outcome::Parked => done.parked += 1,
                Outcome::Passed => done.passed += 1,
            }
            taken.pop_front();
        }
        last.map(|sequence| (sequence, done))
    }

    /// The feed begins again at the first record that is not acknowledged.
    pub(crate) fn rewind(&mut self) {
        for lane in &mut self.lanes {
            lane.is_rewound = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64) -> Entry {
        Entry {
            lane: Lane::Data,
            epoch: 1,
            sequence,
            time_ms: 0,
            kind: "data.call".into(),
            id: "x".into(),
            note: "".into(),
            payload: Vec::new(),
        }
    }

    #[test]
    fn a_lane_is_done_up_to_the_first_that_is_not() {
        let mut progress = Progress::default();
        // Sequences may have gaps: records are shed.
        for sequence in [1, 2, 5, 6] {
            assert!(progress.take(&entry(sequence)));
        }
        assert_eq!(progress.finish(Lane::Data, 2, Outcome::Delivered), None);
        assert_eq!(progress.finish(Lane::Data, 5, Outcome::Parked), None);
        assert_eq!(
            progress.finish(Lane::Data, 1, Outcome::Passed),
            Some((5, Done { delivered: 1, parked: 1, passed: 1 }))
        );
        assert_eq!(
            progress.finish(Lane::Data, 6, Outcome::Delivered),
            Some((6, Done { delivered: 1, ..Done::default() }))
        );
    }

    #[test]
    fn what_is_done_is_not_sent_again_after_a_rewind() {
        let mut progress = Progress::default();
        for sequence in 1..=3 {
            assert!(progress.take(&entry(sequence)));
        }
        assert_eq!(progress.finish(Lane::Data, 2, Outcome::Delivered), None);
        progress.rewind();
        assert!(progress.take(&entry(1)), "not done");
        assert!(!progress.take(&entry(2)), "done");
        assert!(progress.take(&entry(3)), "not done");
    }

    #[test]
    fn what_the_outbox_dropped_holds_nothing_up() {
        let mut progress = Progress::default();
        for sequence in 1..=3 {
            assert!(progress.take(&entry(sequence)));
        }
        progress.rewind();
        assert!(progress.take(&entry(3)));
        assert_eq!(
            progress.finish(Lane::Data, 3, Outcome::Delivered),
            Some((3, Done { delivered: 1, ..Done::default() }))
        );
    }

    #[test]
    fn an_answer_for_what_was_never_taken_counts_for_nothing() {
        let mut progress = Progress::default();
        assert_eq!(progress.finish(Lane::Data, 9, Outcome::Delivered), None);
    }
}
