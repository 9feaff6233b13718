//! Numbered records of several streams, and whether one that arrives is what was sent.

use std::{process::Command, time::Duration};

use anyhow::Result;
use mop_tests::{Attempt, run};
use serde_json::{Value, json};

use crate::random::Random;

/// All records of one round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    seed: u64,
    /// When they say that they were made: receivers file them by it.
    time: String,
}

/// Makes the records of a series, and remembers which.
#[derive(Debug)]
pub(crate) struct Records {
    series: Series,
    random: Random,
    attempts: Vec<Attempt>,
    /// Of each stream.
    next: [u64; STREAMS.len()],
}

impl Records {
    pub(crate) fn new(series: Series) -> Self {
        let random = Random::of(series.seed, 1);
        Self { series, random, attempts: Vec::new(), next: [0; STREAMS.len()] }
    }

    /// The next record, as a line. It counts as attempted from now on, because it may arrive even if
    /// it was written in part only.
    pub(crate) fn next_line(&mut self) -> String {
        let stream = self.random.below(STREAMS.len());
        let number = self.next[stream];
        self.next[stream] += 1;
        let kind = STREAMS[stream];
        let id = self.series.id(kind, number);
        self.attempts.push(Attempt { id, stream: kind.to_owned() });
        let mut line = self.series.record(kind, number).to_string();
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

impl Series {
    /// One that begins now.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let date = run(Command::new("date").args(["-u", "+%FT%TZ"]), Duration::from_secs(10))?;
        Ok(Self { seed, time: String::from_utf8(date.stdout)?.trim().to_owned() })
    }

    /// Says what a message is by its id and content.
    pub(crate) fn origin(&self, message_id: &str, content: &[u8]) -> Origin {
        let Some(rest) = message_id.strip_prefix(MARK) else { return Origin::Elsewhere };
        let mut parts = rest.split('-');
        let (Some(seed), Some(kind), Some(number)) = (parts.next(), parts.next(), parts.next())
        else {
            return Origin::Elsewhere;
        };
        if seed != format!("{:x}", self.seed) {
            return Origin::Before;
        }
        let expected = number.parse().ok().map(|number| self.record(kind, number));
        let found: Option<Value> = serde_json::from_slice(content).ok();
        Origin::Here { is_genuine: expected.is_some() && found == expected }
    }

    fn id(&self, kind: &str, number: u64) -> String {
        format!("{MARK}{:x}-{kind}-{number}", self.seed)
    }

    /// All of it follows from its arguments.
    fn record(&self, kind: &str, number: u64) -> Value {
        let mut random = Random::of(self.seed, number);
        let most = if random.once_in(20) { 400 } else { 60 };
        let words = 1 + random.below(most);
        let filler: Vec<String> = (0..words).map(|_| format!("{:x}", random.next())).collect();
        json!({
            "kind": kind,
            "id": self.id(kind, number),
            "ts": self.time,
            "number": number,
            "filler": filler.join(" "),
        })
    }
}

/// Kinds of records, over several queues and lanes. A hub refuses those that it counts by and cannot
/// read, so none of them is `quality.summary`.
const STREAMS: [&str; 4] = ["quality.report", "quality.fill", "data.call", "security.finding"];
const MARK: &str = "chaos-";
