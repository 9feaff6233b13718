//! Numbered records of several streams, and whether one that arrives is what was sent.

use mop_tests::Attempt;
use serde_json::{Value, json};

use crate::random::Random;

/// Makes records, and remembers which.
#[derive(Debug)]
pub(crate) struct Records {
    seed: u64,
    random: Random,
    attempts: Vec<Attempt>,
    /// Of each stream.
    next: [u64; STREAMS.len()],
}

impl Records {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, random: Random::of(seed, 1), attempts: Vec::new(), next: [0; STREAMS.len()] }
    }

    /// The next record, as a line. It counts as attempted from now on, because it may arrive even if
    /// it was written in part only.
    pub(crate) fn next_line(&mut self) -> String {
        let stream = self.random.below(STREAMS.len());
        let number = self.next[stream];
        self.next[stream] += 1;
        let kind = STREAMS[stream];
        let record = record(self.seed, kind, number);
        self.attempts.push(Attempt { id: id(self.seed, kind, number), stream: kind.to_owned() });
        let mut line = record.to_string();
        line.push('\n');
        line
    }

    pub(crate) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made here, in this round; whether it is unchanged.
    Here { is_genuine: bool },
    /// Made here in another round.
    Before,
    /// The agent's own, such as its ledger, or nobody's.
    Elsewhere,
}

/// Says what a message is by its id and content.
pub(crate) fn origin(seed: u64, message_id: &str, content: &[u8]) -> Origin {
    let Some(rest) = message_id.strip_prefix(MARK) else { return Origin::Elsewhere };
    let mut parts = rest.split('-');
    let (Some(own_seed), Some(kind), Some(number)) = (parts.next(), parts.next(), parts.next())
    else {
        return Origin::Elsewhere;
    };
    if own_seed != format!("{seed:x}") {
        return Origin::Before;
    }
    let expected = number.parse().ok().map(|number| record(seed, kind, number));
    let found: Option<Value> = serde_json::from_slice(content).ok();
    Origin::Here { is_genuine: expected.is_some() && found == expected }
}

fn id(seed: u64, kind: &str, number: u64) -> String {
    format!("{MARK}{seed:x}-{kind}-{number}")
}

/// All of it follows from its arguments.
fn record(seed: u64, kind: &str, number: u64) -> Value {
    let mut random = Random::of(seed, number);
    let words = 1 + random.below(if random.once_in(20) { 400 } else { 60 });
    let filler: Vec<String> = (0..words).map(|_| format!("{:x}", random.next())).collect();
    json!({ "kind": kind, "id": id(seed, kind, number), "number": number, "filler": filler.join(" ") })
}

/// Kinds of records, over several queues and lanes.
const STREAMS: [&str; 4] = ["quality.report", "quality.summary", "data.call", "security.finding"];
const MARK: &str = "chaos-";
