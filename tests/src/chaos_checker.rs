//! Judges what became of records while things broke, in the words of Jepsen's queue tests.
//!
//! A [`History`] says what was asked and what came back; [`History::check`] is a pure function of
//! it. For every history
//!
//! - `attempt = ok + recovered + lost + counted + parked + those that nothing was promised about`,
//! - a record is `ok` when it was acknowledged and arrived, `recovered` when it arrived without,
//! - `lost` is empty when every acknowledged record arrived, was set aside with a reason, or was
//!   counted by the agent among those that it had to give up.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

/// What was asked of an agent, and what came back.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was written to the agent, in that order.
    pub attempts: Vec<Attempt>,
    /// The ids that the agent called durable.
    pub acknowledged: Vec<String>,
    /// What came out at the other end, in that order.
    pub arrivals: Vec<Arrival>,
    /// The ids that the agent set aside with a reason.
    pub parked: HashSet<String>,
    /// How many records the agent itself says it gave up: shed, expired or damaged.
    pub counted: usize,
}

/// A record that was written to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Identifies it.
    pub id: String,
    /// Records of one stream must arrive in the order of their attempts.
    pub stream: String,
}

/// A record that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its `message_id`.
    pub id: String,
    /// Where it was read: order is promised within one queue only.
    pub queue: String,
    /// What it carries is what was attempted, byte for byte as far as it counts.
    pub is_genuine: bool,
    /// The broker says that it gave it before: not the agent's doing.
    pub is_redelivered: bool,
    /// Where the agent says that it lay.
    pub place: Option<Place>,
}

/// A place in an agent's outbox, as the headers of a message tell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The node.
    pub node: String,
    /// The stream.
    pub stream: String,
    /// Which opening of the outbox.
    pub epoch: u64,
    /// The number within the stream.
    pub sequence: u64,
}

/// How much of what is not loss the faults of a run may cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Second copies: what was in flight when a connection or a process ended.
    pub duplicated: usize,
    /// Records that one of their stream overtook: only where the broker refuses single messages.
    pub reordered: usize,
    /// The agent's own count of what it gave up may exceed what is missing.
    pub counted_in_vain: bool,
}

/// What a history comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records written to the agent.
    pub attempted: usize,
    /// Of these, those that the agent called durable.
    pub acknowledged: usize,
    /// Acknowledged, and arrived.
    pub ok: usize,
    /// Acknowledged, but neither arrived nor set aside, and not counted by the agent either.
    pub lost: Vec<String>,
    /// Acknowledged and not arrived, but counted by the agent.
    pub counted: usize,
    /// Copies beyond the first that the broker did not make.
    pub duplicated: usize,
    /// Never acknowledged, but arrived.
    pub recovered: usize,
    /// Never attempted, or changed on the way.
    pub unexpected: Vec<String>,
    /// First arrivals behind one of the same stream, in the same queue, that was attempted later.
    pub reordered: usize,
    /// Acknowledged, not arrived, and set aside by the agent with a reason.
    pub parked: usize,
    /// Acknowledged twice, or without an attempt: the agent's word would mean nothing.
    pub misacknowledged: usize,
    /// Two records at one place of one epoch: gaps could not be proven.
    pub clashing: usize,
    /// Places between the first and the last of a stream at which nothing arrived.
    pub gaps: usize,
    /// Whether all is as it was promised.
    pub is_valid: bool,
}

impl History {
    /// Judges it.
    #[must_use]
    pub fn check(&self, allowed: Allowed) -> Verdict {
        let attempts: HashMap<&str, (usize, &str)> = self
            .attempts
            .iter()
            .enumerate()
            .map(|(number, attempt)| (attempt.id.as_str(), (number, attempt.stream.as_str())))
            .collect();
        let acknowledged: HashSet<&str> = self.acknowledged.iter().map(String::as_str).collect();
        let arrivals = self.arrivals(&attempts);

        let mut verdict = Verdict {
            attempted: attempts.len(),
            acknowledged: acknowledged.len(),
            duplicated: arrivals.duplicated,
            reordered: arrivals.reordered,
            unexpected: arrivals.unexpected,
            clashing: arrivals.clashing,
            gaps: arrivals.gaps,
            ..Verdict::default()
        };
        let invented = acknowledged.iter().filter(|id| !attempts.contains_key(*id)).count();
        verdict.misacknowledged = self.acknowledged.len() - acknowledged.len() + invented;
        let mut missing = Vec::new();
        for attempt in &self.attempts {
            let id = attempt.id.as_str();
            match (acknowledged.contains(id), arrivals.ids.contains(id)) {
                (true, true) => verdict.ok += 1,
                (false, true) => verdict.recovered += 1,
                (true, false) if self.parked.contains(id) => verdict.parked += 1,
                (true, false) => missing.push(id.to_owned()),
                (false, false) => {}
            }
        }
        verdict.counted = missing.len().min(self.counted);
        // A count names nobody: it either explains all that is missing, or all of it is suspect.
        verdict.lost = if missing.len() > self.counted { missing } else { Vec::new() };
        let is_count_exact = verdict.counted == self.counted || allowed.counted_in_vain;
        verdict.is_valid = verdict.lost.is_empty()
            && verdict.unexpected.is_empty()
            && verdict.misacknowledged == 0
            && verdict.clashing == 0
            && verdict.duplicated <= allowed.duplicated
            && verdict.reordered <= allowed.reordered
            && is_count_exact;
        verdict
    }

    fn arrivals<'a>(&'a self, attempts: &HashMap<&'a str, (usize, &'a str)>) -> Arrivals<'a> {
        let mut arrivals = Arrivals::default();
        let mut latest: HashMap<(&str, &str), usize> = HashMap::new();
        let mut places: HashMap<(&str, &str), Sequences<'_>> = HashMap::new();
        for arrival in &self.arrivals {
            let id = arrival.id.as_str();
            let Some(&(number, stream)) = attempts.get(id).filter(|_| arrival.is_genuine) else {
                arrivals.unexpected.push(arrival.id.clone());
                continue;
            };
            if !arrivals.ids.insert(id) {
                arrivals.duplicated += usize::from(!arrival.is_redelivered);
            } else {
                let latest = latest.entry((&arrival.queue, stream)).or_insert(number);
                arrivals.reordered += usize::from(number < *latest);
                *latest = number.max(*latest);
            }
            if let Some(place) = &arrival.place {
                let stream = places.entry((&place.node, &place.stream)).or_default();
                let there = stream.entry(place.sequence).or_default();
                let first = *there.entry(place.epoch).or_insert(id);
                arrivals.clashing += usize::from(first != id);
            }
        }
        for stream in places.values() {
            if let (Some((first, _)), Some((last, _))) =
                (stream.first_key_value(), stream.last_key_value())
            {
                let expected = usize::try_from(last - first).unwrap_or(usize::MAX);
                arrivals.gaps += expected.saturating_add(1) - stream.len();
            }
        }
        arrivals
    }
}

impl Verdict {
    /// As one JSON object, with the names that Jepsen's test of RabbitMQ's quorum queues has.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self {
            attempted,
            acknowledged,
            ok,
            lost,
            counted,
            duplicated,
            recovered,
            unexpected,
            reordered,
            parked,
            misacknowledged,
            clashing,
            gaps,
            is_valid,
        } = self;
        json!({
            "attempt-count": attempted,
            "acknowledged-count": acknowledged,
            "ok-count": ok,
            "lost-count": lost.len(),
            "lost": lost.iter().take(SHOWN).collect::<Vec<_>>(),
            "counted-count": counted,
            "duplicated-count": duplicated,
            "recovered-count": recovered,
            "unexpected-count": unexpected.len(),
            "unexpected": unexpected.iter().take(SHOWN).collect::<Vec<_>>(),
            "reordered-count": reordered,
            "parked-count": parked,
            "misacknowledged-count": misacknowledged,
            "clashing-count": clashing,
            "gap-count": gaps,
            "valid?": is_valid,
        })
    }
}

/// Who stood at each sequence of a stream, by epoch.
type Sequences<'a> = BTreeMap<u64, HashMap<u64, &'a str>>;

#[derive(Default)]
struct Arrivals<'a> {
    ids: HashSet<&'a str>,
    duplicated: usize,
    reordered: usize,
    clashing: usize,
    gaps: usize,
    unexpected: Vec<String>,
}

/// Enough ids to look for them in logs; a run that loses all would write books otherwise.
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// `a1` is the first record of stream `a`.
    fn history(attempts: &[&str], acknowledged: &[&str], arrivals: &[&str]) -> History {
        let own = |id: &&str| (*id).to_owned();
        History {
            attempts: attempts
                .iter()
                .map(|id| Attempt { id: own(id), stream: id[..1].into() })
                .collect(),
            acknowledged: acknowledged.iter().map(own).collect(),
            arrivals: arrivals.iter().map(|id| arrival(id)).collect(),
            ..History::default()
        }
    }

    fn arrival(id: &str) -> Arrival {
        Arrival {
            id: id.to_owned(),
            queue: "q".to_owned(),
            is_genuine: true,
            is_redelivered: false,
            place: None,
        }
    }

    fn placed(id: &str, epoch: u64, sequence: u64) -> Arrival {
        let place = Place { node: "n".into(), stream: id[..1].into(), epoch, sequence };
        Arrival { place: Some(place), ..arrival(id) }
    }

    const NOTHING: Allowed = Allowed { duplicated: 0, reordered: 0, counted_in_vain: false };

    #[test]
    fn all_that_was_acknowledged_and_arrived_is_ok() {
        let all = ["a1", "b1", "a2"];
        let verdict = history(&all, &all, &["b1", "a1", "a2"]).check(NOTHING);
        assert!(verdict.is_valid, "{verdict:?}");
        assert_eq!((verdict.attempted, verdict.acknowledged, verdict.ok), (3, 3, 3));
    }

    #[test]
    fn an_acknowledged_record_that_never_arrives_is_lost() {
        let verdict = history(&["a1", "a2"], &["a1", "a2"], &["a1"]).check(NOTHING);
        assert!(!verdict.is_valid);
        assert_eq!(verdict.lost, ["a2"]);
        assert_eq!(verdict.to_json()["lost-count"], 1);
    }

    #[test]
    fn what_was_set_aside_is_not_lost() {
        let mut history = history(&["a1", "a2"], &["a1", "a2"], &["a1"]);
        history.parked.insert("a2".to_owned());
        let verdict = history.check(NOTHING);
        assert!(verdict.is_valid, "{verdict:?}");
        assert_eq!((verdict.parked, verdict.lost.len()), (1, 0));
    }

    #[test]
    fn what_the_agent_counts_must_be_exactly_what_is_missing() {
        for (counted, in_vain, is_valid, lost) in [
            (0, false, false, 2),
            (1, false, false, 2),
            (2, false, true, 0),
            (3, false, false, 0),
            (3, true, true, 0),
        ] {
            let mut history = history(&["a1", "a2", "a3"], &["a1", "a2", "a3"], &["a1"]);
            history.counted = counted;
            let verdict = history.check(Allowed { counted_in_vain: in_vain, ..NOTHING });
            assert_eq!((verdict.is_valid, verdict.lost.len()), (is_valid, lost), "{counted}");
        }
    }

    #[test]
    fn nothing_was_promised_about_what_was_not_acknowledged() {
        let verdict = history(&["a1", "a2", "a3"], &["a1"], &["a1", "a2"]).check(NOTHING);
        assert!(verdict.is_valid, "{verdict:?}");
        assert_eq!((verdict.ok, verdict.recovered, verdict.lost.len()), (1, 1, 0));
    }

    #[test]
    fn a_second_copy_counts_unless_the_broker_made_it() {
        let mut history = history(&["a1"], &["a1"], &["a1", "a1"]);
        assert_eq!(history.check(NOTHING).duplicated, 1);
        assert!(!history.check(NOTHING).is_valid);
        assert!(history.check(Allowed { duplicated: 1, ..NOTHING }).is_valid);
        history.arrivals[1].is_redelivered = true;
        assert_eq!(history.check(NOTHING).duplicated, 0);
        assert!(history.check(NOTHING).is_valid);
    }

    #[test]
    fn order_is_judged_within_a_stream_and_by_first_arrivals() {
        for (arrivals, reordered) in [
            (&["a1", "a2", "a3", "b1"][..], 0),
            (&["b1", "a1", "a2", "a3"][..], 0),
            (&["a2", "a1", "a3", "b1"][..], 1),
            (&["a3", "a1", "a2", "b1"][..], 2),
            (&["a1", "a2", "a1", "a2", "a3", "b1"][..], 0),
            (&["a1", "a3", "a1", "a2", "b1"][..], 1),
        ] {
            let all = ["a1", "a2", "b1", "a3"];
            let verdict = history(&all, &all, arrivals).check(NOTHING);
            assert_eq!(verdict.reordered, reordered, "{arrivals:?}");
        }
    }

    #[test]
    fn order_is_not_promised_between_queues() {
        let mut history = history(&["a1", "a2"], &["a1", "a2"], &["a2", "a1"]);
        history.arrivals[0].queue = "other".to_owned();
        assert!(history.check(NOTHING).is_valid);
    }

    #[test]
    fn what_was_never_attempted_or_was_changed_is_unexpected() {
        let mut history = history(&["a1"], &["a1"], &["a1", "x9"]);
        assert_eq!(history.check(NOTHING).unexpected, ["x9"]);
        history.arrivals = vec![Arrival { is_genuine: false, ..arrival("a1") }];
        let verdict = history.check(NOTHING);
        assert_eq!(verdict.unexpected, ["a1"]);
        // The changed one does not stand for the right one.
        assert_eq!(verdict.lost, ["a1"]);
    }

    #[test]
    fn a_word_given_twice_or_for_nothing_is_noticed() {
        for acknowledged in [&["a1", "a1"][..], &["a1", "x1"][..]] {
            let verdict = history(&["a1"], acknowledged, &["a1"]).check(NOTHING);
            assert_eq!((verdict.misacknowledged, verdict.is_valid), (1, false), "{acknowledged:?}");
        }
    }

    #[test]
    fn places_show_gaps_and_clashes() {
        for (arrivals, gaps, clashing) in [
            (vec![placed("a1", 1, 5), placed("a2", 1, 6), placed("b1", 1, 1)], 0, 0),
            (vec![placed("a1", 1, 5), placed("a2", 2, 8), placed("b1", 2, 9)], 2, 0),
            // The same one again.
            (vec![placed("a1", 1, 5), placed("a1", 1, 5), placed("a2", 1, 6)], 0, 0),
            // Another one at the same number, in the next epoch: the first was never durable.
            (vec![placed("a1", 1, 5), placed("a2", 2, 5)], 0, 0),
            (vec![placed("a1", 1, 5), placed("a2", 1, 5)], 0, 1),
        ] {
            let mut history = history(&["a1", "a2", "b1"], &[], &[]);
            history.arrivals.clone_from(&arrivals);
            let verdict = history.check(Allowed { duplicated: 1, ..NOTHING });
            assert_eq!((verdict.gaps, verdict.clashing), (gaps, clashing), "{arrivals:?}");
            assert_eq!(verdict.is_valid, clashing == 0, "{arrivals:?}");
        }
    }

    #[test]
    fn every_attempt_is_in_exactly_one_class() {
        let mut history = history(
            &["a1", "a2", "a3", "a4", "a5", "a6"],
            &["a1", "a2", "a3", "a4"],
            &["a1", "a2", "a5"],
        );
        history.parked.insert("a3".to_owned());
        history.counted = 1;
        let verdict = history.check(NOTHING);
        let Verdict { ok, recovered, lost, counted, parked, .. } = &verdict;
        assert_eq!((*ok, *recovered, lost.len(), *counted, *parked), (2, 1, 0, 1, 1));
        let unpromised = verdict.attempted - verdict.acknowledged - recovered;
        assert_eq!(ok + recovered + lost.len() + counted + parked + unpromised, verdict.attempted);
    }
}
