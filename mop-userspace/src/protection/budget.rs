//! The CPU budget: how much is left out, decided from what was used.

use std::time::Duration;

use super::Class;

/// What is left out, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Nothing.
    Everything,
    /// [`Class::Other`].
    WithoutOther,
    /// That, and [`Class::OpenData`].
    RegulatedOnly,
}

/// What to do after one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Stay,
    Go(Step),
    /// Take everything off for so long.
    Rest(Duration),
}

/// Compares what is used with what may be.
#[derive(Debug)]
pub(super) struct Budget {
    /// Processors.
    allowed: f64,
    step: Step,
    above: Duration,
    below: Duration,
    /// How long the next rest is.
    rest: Duration,
    since_rest: Duration,
}

impl Step {
    /// Whether calls of a class are looked at.
    pub(crate) fn admits(self, class: Class) -> bool {
        match self {
            Self::Everything => true,
            Self::WithoutOther => class > Class::Other,
            Self::RegulatedOnly => class > Class::OpenData,
        }
    }

    const fn further(self) -> Option<Self> {
        match self {
            Self::Everything => Some(Self::WithoutOther),
            Self::WithoutOther => Some(Self::RegulatedOnly),
            Self::RegulatedOnly => None,
        }
    }

    const fn back(self) -> Option<Self> {
        match self {
            Self::Everything => None,
            Self::WithoutOther => Some(Self::Everything),
            Self::RegulatedOnly => Some(Self::WithoutOther),
        }
    }
}

impl Budget {
    pub(super) const fn new(allowed: f64) -> Self {
        Self {
            allowed,
            step: Step::Everything,
            above: Duration::ZERO,
            below: Duration::ZERO,
            rest: SHORTEST_REST,
            since_rest: Duration::ZERO,
        }
    }

    /// Takes in that so many processors were used over so long.
    pub(super) fn take(&mut self, used: f64, over: Duration) -> Decision {
        self.since_rest = self.since_rest.saturating_add(over);
        if self.since_rest > FORGIVEN_AFTER {
            self.rest = SHORTEST_REST;
        }
        if used > self.allowed {
            self.below = Duration::ZERO;
            self.above = self.above.saturating_add(over);
            if self.above < PATIENCE {
                return Decision::Stay;
            }
            self.above = Duration::ZERO;
            return match self.step.further() {
                Some(step) => self.go(step),
                None => {
                    let rest = self.rest;
                    self.rest = (2 * rest).min(LONGEST_REST);
                    self.since_rest = Duration::ZERO;
                    Decision::Rest(rest)
                }
            };
        }
        self.above = Duration::ZERO;
        // What was left out would come on top: there must be room for it.
        if used > self.allowed * ROOM {
            self.below = Duration::ZERO;
            return Decision::Stay;
        }
        self.below = self.below.saturating_add(over);
        match self.step.back() {
            Some(step) if self.below >= RELIEF => self.go(step),
            _ => Decision::Stay,
        }
    }

    fn go(&mut self, step: Step) -> Decision {
        self.step = step;
        self.below = Duration::ZERO;
        Decision::Go(step)
    }
}

/// A burst is no burden; this long is one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than it takes to see that a step helped, so that it does not go to and fro.
const RELIEF: Duration = Duration::from_secs(30);
/// Part of the budget below which a step is taken back.
const ROOM: f64 = 0.6;
/// The probes alone cost too much: taking them off and on again takes seconds itself.
const SHORTEST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(1_800);
/// An hour without a rest: the load was another one.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Decisions other than to stay, and the second of each.
    fn decided(budget: &mut Budget, used: f64, seconds: u32) -> Vec<(u32, Decision)> {
        (1..=seconds)
            .map(|second| (second, budget.take(used, SECOND)))
            .filter(|(_, decision)| *decision != Decision::Stay)
            .collect()
    }

    #[test]
    fn less_is_looked_at_step_by_step_and_then_nothing() {
        let mut budget = Budget::new(0.5);
        let rest = |seconds| Decision::Rest(Duration::from_secs(seconds));
        assert_eq!(
            decided(&mut budget, 0.6, 20),
            [
                (5, Decision::Go(Step::WithoutOther)),
                (10, Decision::Go(Step::RegulatedOnly)),
                (15, rest(60)),
                (20, rest(120)),
            ]
        );
    }

    #[test]
    fn a_burst_changes_nothing() {
        let mut budget = Budget::new(0.5);
        for _ in 0..100 {
            assert_eq!(decided(&mut budget, 2.0, 4), []);
            assert_eq!(decided(&mut budget, 0.4, 1), []);
        }
    }

    #[test]
    fn steps_are_taken_back_where_there_is_room_for_what_comes_on_top() {
        let mut budget = Budget::new(0.5);
        assert_eq!(decided(&mut budget, 0.6, 10).len(), 2);
        // Below the budget, but not by much.
        assert_eq!(decided(&mut budget, 0.4, 600), []);
        assert_eq!(
            decided(&mut budget, 0.1, 100),
            [(30, Decision::Go(Step::WithoutOther)), (60, Decision::Go(Step::Everything))]
        );
    }

    #[test]
    fn rests_grow_to_a_limit_and_are_forgiven() {
        let mut budget = Budget::new(0.5);
        let rests = decided(&mut budget, 0.6, 100);
        assert_eq!(rests.last().map(|(_, rest)| *rest), Some(Decision::Rest(LONGEST_REST)));
        assert_eq!(decided(&mut budget, 0.4, 3_700), []);
        assert_eq!(decided(&mut budget, 0.6, 5), [(5, Decision::Rest(SHORTEST_REST))]);
    }

    #[test]
    fn regulated_calls_are_admitted_at_every_step() {
        for step in [Step::Everything, Step::WithoutOther, Step::RegulatedOnly] {
            assert!(step.admits(Class::Regulated));
        }
        assert!(!Step::WithoutOther.admits(Class::Other));
        assert!(Step::WithoutOther.admits(Class::OpenData));
        assert!(!Step::RegulatedOnly.admits(Class::OpenData));
    }
}
