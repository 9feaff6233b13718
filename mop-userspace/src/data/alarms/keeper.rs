//! The engine of alarms, with what it needs of the program: time, samples, and a place for its state.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    alarms::{Alarms, AnomalyRecord},
    analyst::Edge,
};

use super::{AlarmVitals, AlarmsSection, NodeSamples};
use crate::{data::State, failure::Failure, output::Outlet};

/// Keeps alarms; without an engine it does nothing.
pub(in crate::data) struct AlarmKeeper {
    alarms: Option<Alarms>,
    node: NodeSamples,
    /// The time that it was told last.
    told: Option<Timestamp>,
    sampled: Option<Timestamp>,
    /// When the files of certificates were read last.
    read: Option<Timestamp>,
    saved: Instant,
    is_over: bool,
}

impl AlarmKeeper {
    /// With what an earlier run learnt.
    pub(in crate::data) fn open(
        section: &AlarmsSection,
        node: NodeSamples,
        state: &State,
    ) -> Result<Self, Failure> {
        let alarms = match section.enabled {
            true => Some(Alarms::new(section.settings(node.name.clone())?)),
            false => None,
        };
        let mut keeper = Self {
            alarms,
            node,
            told: None,
            sampled: None,
            read: None,
            saved: Instant::now(),
            is_over: false,
        };
        if let Some(alarms) = &mut keeper.alarms
            && let Some(bytes) = state.alarms()
            && let Err(error) = alarms.restore(&bytes)
        {
            eprintln!("mop: what was known for alarms is of no use: {error}; it is learnt anew");
        }
        Ok(keeper)
    }

    /// Takes a call in.
    pub(in crate::data) fn observe(&mut self, edge: &Edge) {
        if let Some(alarms) = &mut self.alarms {
            alarms.observe(edge);
        }
    }

    /// The time has come this far.
    pub(in crate::data) fn advance(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        let Some(alarms) = self.alarms.as_mut().filter(|_| !self.is_over) else { return };
        let is_late = self.told.is_some_and(|told| now.duration_since(told) > LONGEST_SLEEP);
        if self.node.is_live() && is_late {
            // The machine slept, or its clock was set: nobody observed.
            alarms.interrupted();
        }
        self.told = Some(now);
        if is_due(self.sampled, now, SAMPLE_EVERY) {
            self.sampled = Some(now);
            if let Some((used, limit)) = self.node.outbox() {
                alarms.sample_outbox(now, used, limit);
            }
        }
        if is_due(self.read, now, READ_EVERY) {
            self.read = Some(now);
            for (key, end) in self.node.certificates() {
                alarms.sample_certificate(key, end, now);
            }
        }
        push(&alarms.advance(now), outlet);
    }

    /// Nothing comes any more.
    pub(in crate::data) fn finish(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        let is_over = std::mem::replace(&mut self.is_over, true);
        if let Some(alarms) = self.alarms.as_mut().filter(|_| !is_over) {
            push(&alarms.finish(now), outlet);
        }
    }

    /// Keeps what was learnt: once a minute, and at the end.
    pub(in crate::data) fn save(&mut self, state: &State) {
        let Some(alarms) = &self.alarms else { return };
        if !self.is_over && self.saved.elapsed() < SAVE_EVERY {
            return;
        }
        self.saved = Instant::now();
        let written = alarms.snapshot().map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|bytes| state.save_alarms(&bytes)) {
            // The next time may be better; nothing is lost while the process lives.
            eprintln!("mop: what was learnt for alarms cannot be kept: {error}");
        }
    }

    pub(in crate::data) fn vitals(&self) -> Option<AlarmVitals> {
        let alarms = self.alarms.as_ref()?;
        Some(AlarmVitals { counts: alarms.counts(), burn_rates: alarms.burn_rates() })
    }
}

fn push(records: &[AnomalyRecord], outlet: Option<&mut Outlet>) {
    if let Some(outlet) = outlet {
        records.iter().for_each(|record| outlet.push(record));
    }
}

fn is_due(last: Option<Timestamp>, now: Timestamp, every: SignedDuration) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= every)
}

/// The thread comes by four times a second.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_secs(30);
const SAMPLE_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Certificates are replaced by hand.
const READ_EVERY: SignedDuration = SignedDuration::from_secs(3600);
/// The state has some megabytes; a crash costs a minute of what days have taught.
const SAVE_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_was_learnt_is_there_again_and_what_is_off_is_off() {
        let outbox = tempfile::tempdir().expect("a folder");
        let state = State::beside(Some(outbox.path()));
        std::fs::create_dir(outbox.path().join("insight")).expect("a folder");
        let open = |section: &AlarmsSection| {
            AlarmKeeper::open(section, NodeSamples::default(), &state).expect("opened")
        };
        let on = AlarmsSection::default();
        let mut keeper = open(&on);
        for second in 0..600 {
            keeper.advance(at(1_400_000_000 + second), None);
        }
        keeper.save(&state);
        assert_eq!(state.alarms(), None, "not so soon");
        keeper.finish(at(1_400_000_600), None);
        keeper.save(&state);
        let written = state.alarms().expect("saved");
        let again = open(&on).alarms.expect("on").snapshot().expect("written");
        assert_eq!(again, written);
        let mut off = open(&AlarmsSection { enabled: false, ..on });
        off.advance(at(1_400_000_000), None);
        off.finish(at(1_400_000_000), None);
        off.save(&state);
        assert!(off.vitals().is_none() && state.alarms() == Some(written));
    }

    /// How long the disk takes for the state of a full table: told, since it depends on the disk.
    #[test]
    fn a_full_state_is_written_as_a_whole() {
        let outbox = tempfile::tempdir().expect("a folder");
        let state = State::beside(Some(outbox.path()));
        std::fs::create_dir(outbox.path().join("insight")).expect("a folder");
        let bytes = vec![b'7'; 6 << 20];
        let before = Instant::now();
        state.save_alarms(&bytes).expect("saved");
        println!("{} bytes on disk in {:?}", bytes.len(), before.elapsed());
        assert_eq!(state.alarms(), Some(bytes));
    }
}
