//! What whoever holds the programs does from time to time: reads their counters, and measures them.

use std::time::{Duration, Instant};

use mop_common::Counters;
use mop_probe::{Measurement, Observer, ProgramLoad};

/// What the kernel programs cost in one second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loads {
    /// How long it was measured.
    pub(crate) over: Duration,
    /// The programs that ran.
    pub(crate) programs: Vec<ProgramLoad>,
}

impl Loads {
    /// Processors that all programs together take.
    pub(crate) fn processors(&self) -> f64 {
        self.programs.iter().map(|load| self.processors_of(load)).sum()
    }

    /// Processors that one of them takes.
    pub(crate) fn processors_of(&self, load: &ProgramLoad) -> f64 {
        let over = self.over.as_secs_f64();
        if over > 0.0 { load.time.as_secs_f64() / over } else { 0.0 }
    }
}

/// When what is due.
#[derive(Debug)]
pub(crate) struct Chores {
    counters_due: Instant,
    measurement_due: Instant,
    /// `Some` while it goes on.
    measurement: Option<Measurement>,
    /// The kernel does not measure: it is not asked again.
    is_refused: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Told {
    Counters(Counters),
    Loads(Loads),
}

impl Chores {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            counters_due: now + COUNTERS_EVERY,
            measurement_due: now + FIRST_MEASUREMENT,
            measurement: None,
            is_refused: false,
        }
    }

    /// When there is something to do next.
    pub(crate) fn due(&self) -> Instant {
        self.counters_due.min(self.measurement_due)
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, now: Instant, observer: Option<&Observer>) -> Vec<Told> {
        let mut told = Vec::new();
        if now >= self.counters_due {
            self.counters_due = now + COUNTERS_EVERY;
            if let Some(Ok(counters)) = observer.map(Observer::cpu_counters) {
                told.push(Told::Counters(counters));
            }
        }
        if now >= self.measurement_due {
            told.extend(self.measure(now, observer).map(Told::Loads));
        }
        told
    }

    /// Begins a measurement or ends the one that goes on.
    fn measure(&mut self, now: Instant, observer: Option<&Observer>) -> Option<Loads> {
        self.measurement_due = now + MEASURED_EVERY;
        let measurement = self.measurement.take();
        let observer = observer?;
        if let Some(measurement) = measurement {
            let (over, programs) = observer.end_measurement(measurement);
            return Some(Loads { over, programs });
        }
        if !self.is_refused {
            match observer.begin_measurement() {
                Ok(measurement) => {
                    self.measurement = Some(measurement);
                    self.measurement_due = now + MEASURED_FOR;
                }
                Err(error) => {
                    self.is_refused = true;
                    eprintln!("mop: {error}; what the kernel programs cost is not known");
                }
            }
        }
        None
    }
}

/// More often than anybody scrapes; it costs one system call.
const COUNTERS_EVERY: Duration = Duration::from_secs(5);
/// Soon after the start, when the load is what it will be.
const FIRST_MEASUREMENT: Duration = Duration::from_secs(3);
/// Two readings of the clock for each run of a program: a thirtieth of the time is little enough.
const MEASURED_EVERY: Duration = Duration::from_secs(29);
const MEASURED_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_programs_there_is_nothing_to_tell_and_something_is_always_due_later() {
        let start = Instant::now();
        let mut chores = Chores::new(start);
        for second in 1..100 {
            let now = start + Duration::from_secs(second);
            assert!(chores.run(now, None).is_empty());
            assert!(chores.due() > now);
        }
    }

    #[test]
    fn loads_are_processors() {
        let load = |millis| ProgramLoad {
            program: "p".to_owned(),
            runs: 1,
            time: Duration::from_millis(millis),
        };
        let loads = Loads { over: Duration::from_secs(2), programs: vec![load(500), load(1_000)] };
        assert!((loads.processors() - 0.75).abs() < 1e-9);
        assert_eq!(Loads::default().processors(), 0.0);
    }
}
