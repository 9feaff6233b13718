//! The tests that a rule carries: small events that it must match, and others that it must not.

use super::{
    correlation::timespan_ns,
    error::{Fault, Problem},
    event::EventMap,
    node::Node,
};

/// Tests of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// What it must match.
    pub matching: Vec<Example>,
    /// What it must not match.
    pub others: Vec<Example>,
}

/// One test: events, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example(pub Vec<Run>);

/// An event that happens again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The event; `{n}` in its values is the number of the repetition, from 1 on.
    pub event: EventMap,
    /// How often.
    pub repeat: u64,
    /// Time from each to the next, in nanoseconds.
    pub every_ns: u64,
}

impl Examples {
    /// Reads `{match: [example, …], nomatch: [example, …]}`. An example is a mapping of fields, or a
    /// list of `{event: fields, repeat: 20, every: 1s}`.
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        node.only(&["match", "nomatch"])?;
        let examples = |key| match node.get(key) {
            Some(below) => {
                let Some(list) = below.value.as_array() else {
                    return Err(below.fault(Problem::WrongType("a list of events")));
                };
                if list.is_empty() {
                    return Ok(Vec::new());
                }
                below.one_or_more(MAX_EXAMPLES)?.iter().map(Example::parse).collect()
            }
            None => Ok(Vec::new()),
        };
        Ok(Self { matching: examples("match")?, others: examples("nomatch")? })
    }
}

impl Example {
    fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        if !node.value.is_array() {
            return Ok(Self(vec![Run { event: EventMap::parse(node)?, repeat: 1, every_ns: 0 }]));
        }
        let runs = node.one_or_more(MAX_RUNS)?;
        Ok(Self(runs.iter().map(Run::parse).collect::<Result<_, _>>()?))
    }
}

impl Run {
    fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        node.only(&["event", "repeat", "every"])?;
        let repeat = match node.get("repeat") {
            Some(below) => {
                let repeat = below.whole_number()?;
                if repeat > MAX_REPETITIONS {
                    return Err(below.fault(Problem::WrongType("at most 10000")));
                }
                repeat
            }
            None => 1,
        };
        Ok(Self {
            event: EventMap::parse(&node.required("event")?)?,
            repeat,
            every_ns: node.get("every").map_or(Ok(0), |below| timespan_ns(&below))?,
        })
    }
}

/// Tests of each kind of a rule.
const MAX_EXAMPLES: usize = 64;

/// Runs of an example.
const MAX_RUNS: usize = 64;

/// The thresholds of correlations are below a thousand.
const MAX_REPETITIONS: u64 = 10_000;
