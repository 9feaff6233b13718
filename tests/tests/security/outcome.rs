//! Findings held against what was to be found, and the table of it.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde_json::Value;

/// What was found of one scenario.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    /// Each rule that was to be found, and after which time its first finding came.
    pub(crate) expected: Vec<(&'static str, Option<Duration>)>,
    /// Rules of findings that were not to be made.
    pub(crate) wrong: BTreeSet<String>,
    /// Those of its twin.
    pub(crate) wrong_of_twin: BTreeSet<String>,
}

/// A finding, and how long after the first call it came.
pub(crate) struct Found<'r> {
    pub(crate) record: &'r Value,
    pub(crate) after: Duration,
}

impl Outcome {
    pub(crate) fn of(
        name: &'static str,
        expected: &[&'static str],
        attack: &[Found<'_>],
        twin: &[Found<'_>],
    ) -> Self {
        let first = |rule: &&'static str| {
            let found = attack.iter().filter(|found| found.record["rule"] == *rule);
            (*rule, found.map(|found| found.after).min())
        };
        let is_told = |found: &&Found<'_>| found.record["severity"] != "informational";
        let rule = |found: &Found<'_>| found.record["rule"].as_str().unwrap_or("?").to_owned();
        let wrong = attack.iter().filter(is_told).map(rule);
        Self {
            name,
            expected: expected.iter().map(first).collect(),
            // Whoever attacks again and again is told of as such.
            wrong: wrong
                .filter(|rule| rule != POINTS && !expected.contains(&rule.as_str()))
                .collect(),
            wrong_of_twin: twin.iter().map(rule).collect(),
        }
    }

    /// Rules that were not found.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &'static str> {
        self.expected.iter().filter(|(_, after)| after.is_none()).map(|(rule, _)| *rule)
    }
}

/// A line for each rule, and precision and recall over all.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("{:<48} {:<34} {:>10}\n", "scenario", "rule", "after");
    for Outcome { name, expected, wrong, wrong_of_twin } in outcomes {
        for (rule, after) in expected {
            let after = after.map_or("never".to_owned(), |it| format!("{:.1} s", it.as_secs_f64()));
            let _infallible = writeln!(text, "{name:<48} {rule:<34} {after:>10}");
        }
        for rule in wrong {
            let _infallible = writeln!(text, "{name:<48} {rule:<34} not wanted");
        }
        for rule in wrong_of_twin {
            let _infallible =
                writeln!(text, "{:<48} {rule:<34} not wanted", format!("twin: {name}"));
        }
    }
    let wanted: usize = outcomes.iter().map(|it| it.expected.len()).sum();
    let found = wanted - outcomes.iter().flat_map(Outcome::missed).count();
    let wrong: usize = outcomes.iter().map(|it| it.wrong.len() + it.wrong_of_twin.len()).sum();
    let _infallible = writeln!(
        text,
        "recall: {found} of {wanted}; precision: {found} of {} kinds of findings",
        found + wrong
    );
    text
}

/// Whether all was found, and nothing else.
pub(crate) fn is_exact(outcomes: &[Outcome]) -> bool {
    let is_exact = |it: &Outcome| {
        it.missed().next().is_none() && it.wrong.is_empty() && it.wrong_of_twin.is_empty()
    };
    !outcomes.is_empty() && outcomes.iter().all(is_exact)
}

const POINTS: &str = "mop_client_points";
