//! Whether rules do what their own tests say, and what makes them doubtful.

use std::collections::HashMap;

use thiserror::Error;

use super::{
    compile::CompileError,
    correlator::Correlator,
    document::Document,
    example::{Example, Examples, Run},
    reading::Reading,
    rule_set::RuleSet,
    scan::Scratch,
};
use crate::data::digest::{Key, Subject};

/// A doubt about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Its number among the documents.
    pub document: usize,
    /// What it is known by.
    pub known_as: String,
    /// The doubt.
    pub problem: LintProblem,
}

/// What makes a rule doubtful.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LintProblem {
    /// A test does not come out as the rule says.
    #[error("its `{kind}` test {number} comes out otherwise")]
    Example {
        /// `match` or `nomatch`.
        kind: &'static str,
        /// From 1 on.
        number: usize,
    },
    /// Another document has its id or its name.
    #[error("document {0} has the same id or name")]
    NotUnique(usize),
    /// It has no test of a kind.
    #[error("it has no `{0}` test")]
    NoExample(&'static str),
    /// Paranoia that is none.
    #[error("its paranoia is {0}, and must be from 1 to 4")]
    Paranoia(u64),
    /// It matches a call of which nothing is known.
    #[error("it is too broad: it matches a call that has no values at all")]
    TooBroad,
    /// It cannot be used here.
    #[error("it is not used: {0}")]
    NotUsable(String),
}

/// Runs the tests of all documents, together as one set, and looks for what is doubtful.
pub fn check(documents: &[Document]) -> Result<Vec<Lint>, CompileError> {
    let rules = RuleSet::compile(documents)?;
    let mut lints = Vec::new();
    let mut tester = Tester::default();
    let mut names = HashMap::new();
    for (number, document) in documents.iter().enumerate() {
        let head = document.head();
        let mut tell = |problem| {
            let known_as = head.known_as().to_owned();
            lints.push(Lint { document: number, known_as, problem });
        };
        for name in head.id.iter().chain(&head.name) {
            let first = *names.entry(name).or_insert(number);
            if first != number {
                tell(LintProblem::NotUnique(first));
            }
        }
        if let Some(unusable) = rules.unusable().iter().find(|of| of.document == number) {
            tell(LintProblem::NotUsable(unusable.reason.clone()));
        }
        let (examples, paranoia) = match document {
            Document::Correlation(rule) => (&rule.examples, rule.extension.paranoia),
            Document::Detection(rule) => (&rule.examples, rule.extension.paranoia),
            Document::Filter(_) => continue,
        };
        if let Some(paranoia) = paranoia.filter(|paranoia| !(1..=4).contains(paranoia)) {
            tell(LintProblem::Paranoia(paranoia));
        }
        let tested = match (rules.rule_of_document(number), rules.correlation_of_document(number)) {
            (Some(rule), _) => Tested::Rule(rule),
            (None, Some(correlation)) => Tested::Correlation(correlation),
            (None, None) => continue,
        };
        if matches!(tested, Tested::Rule(rule) if rules.is_always(rule)) {
            tell(LintProblem::TooBroad);
        }
        let Examples { matching, others } = examples;
        for (kind, examples, expected) in [("match", matching, true), ("nomatch", others, false)] {
            if examples.is_empty() {
                tell(LintProblem::NoExample(kind));
            }
            for (place, example) in examples.iter().enumerate() {
                if tester.happens(&rules, tested, example) != expected {
                    tell(LintProblem::Example { kind, number: place + 1 });
                }
            }
        }
    }
    Ok(lints)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tested {
    Correlation(usize),
    Rule(usize),
}

/// Runs examples.
#[derive(Default)]
struct Tester {
    reading: Reading,
    scratch: Scratch,
}

impl Tester {
    /// Whether the events of an example make a rule match.
    fn happens(&mut self, rules: &RuleSet, tested: Tested, example: &Example) -> bool {
        // Nothing of an example is secret, so its digests need no secret key.
        let key = Key::new([0; 32]);
        let mut correlator = Correlator::new(MAX_EXAMPLE_KEYS);
        let mut has_happened = false;
        let mut now_ns = EXAMPLE_START_NS;
        let Example(runs) = example;
        for Run { event, repeat, every_ns } in runs {
            for number in 1..=*repeat {
                let event = self.reading.read_written(&event.numbered(number));
                let mut matched = Vec::new();
                rules.evaluate(event, &mut self.scratch, &mut |found| matched.push(found.number));
                for rule in matched {
                    has_happened |= tested == Tested::Rule(rule);
                    let mut digest = |value: &[u8]| key.digest(Subject::Path, value);
                    rules.occurrences(rule, event, now_ns, &mut digest, &mut |correlation, of| {
                        let reached = correlator.observe(correlation, &of);
                        has_happened |=
                            reached.is_some_and(|of| tested == Tested::Correlation(of.correlation));
                    });
                }
                now_ns = now_ns.saturating_add(*every_ns);
            }
        }
        has_happened
    }
}

/// An example has at most so many repetitions, each with its own group.
const MAX_EXAMPLE_KEYS: usize = 1 << 16;

/// Any time will do: 2026-01-01.
const EXAMPLE_START_NS: u64 = 1_767_225_600_000_000_000;
