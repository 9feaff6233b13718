//! All scenarios against a real nginx, one after the other, observed as they happen.

use std::{io::Write as _, thread, time::Duration};

use anyhow::{Result, ensure};
use mop_tests::{Observation, exported, misp_feed_problems, observing, skip};
use serde_json::Value;

use crate::{
    attacks::scenarios,
    outcome::{Found, Outcome, is_exact, table},
    scenario::Who,
    secrets,
    stage::{Made, Stage, organisation},
};

#[test]
fn attacks_are_found_and_calls_that_look_like_them_are_not() -> Result<()> {
    const TEST: &str = "attacks_are_found_and_calls_that_look_like_them_are_not";
    if !observing(TEST) {
        return Ok(());
    }
    let stage = Stage::start()?;
    let observer = stage.observe()?;
    let scenarios = scenarios();
    let mut runs = Vec::new();
    for (number, calls) in (1_u8..).zip(scenarios.iter().flat_map(|it| [&it.attack, &it.twin])) {
        let made = stage.call(number, calls)?;
        // Calls that several processes show are waited for.
        thread::sleep(SETTLED);
        runs.push(Run { number, made });
    }
    let metrics = stage.metrics()?;
    let observation = observer.stop()?;

    let outcomes: Vec<Outcome> = scenarios
        .iter()
        .zip(runs.chunks(2))
        .map(|(scenario, runs)| {
            let mut found = runs.iter().map(|run| run.findings(&observation));
            let (attack, twin) =
                (found.next().unwrap_or_default(), found.next().unwrap_or_default());
            Outcome::of(scenario.name, scenario.expected, &attack, &twin)
        })
        .collect();
    let text = table(&outcomes);
    // Past the capture of the test harness.
    writeln!(std::io::stderr(), "{text}")?;
    ensure!(is_exact(&outcomes), "{text}\n{:#?}", findings(&observation));
    let attributed: Vec<_> =
        runs.iter().flat_map(|run| run.findings(&observation)).map(|found| found.record).collect();
    let told = findings(&observation).into_iter().filter(|record| is_of_server(record));
    let strange: Vec<_> = told.filter(|record| !attributed.contains(record)).collect();
    ensure!(strange.is_empty(), "findings whose caller is not known: {strange:#?}");

    ensure_nothing_is_let_out(&stage, &observation, &metrics)?;
    match misp_feed_problems(&stage.feed())? {
        Some(problems) => ensure!(problems.is_empty(), "{problems}"),
        None => skip(TEST, "Python has no pymisp"),
    }
    Ok(())
}

/// One client's calls.
struct Run {
    number: u8,
    made: Made,
}

impl Run {
    /// What the participant that is called is told of them. The calling processes are on this node
    /// too; what is seen at their side is another participant's.
    fn findings<'r>(&self, observation: &'r Observation) -> Vec<Found<'r>> {
        let own = [Who::Client, Who::Victim].map(|who| organisation(self.number, who));
        let records = observation.records.iter().zip(&observation.arrivals);
        let of_run = records.filter(|(record, _)| {
            let client = record["client_organisation"].as_str();
            is_of_server(record) && client.is_some_and(|client| own.iter().any(|own| own == client))
        });
        let found = of_run.map(|(record, arrival)| Found {
            record,
            after: arrival.duration_since(self.made.began).unwrap_or_default(),
        });
        found.collect()
    }
}

fn findings(observation: &Observation) -> Vec<&Value> {
    observation.records.iter().filter(|record| record["kind"] == KIND).collect()
}

fn is_of_server(record: &Value) -> bool {
    record["kind"] == KIND && record["side"] == "server"
}

fn ensure_nothing_is_let_out(
    stage: &Stage,
    observation: &Observation,
    metrics: &str,
) -> Result<()> {
    for record in observation.records.iter().chain([&observation.summary]) {
        secrets::ensure_none("a record", &record.to_string())?;
    }
    secrets::ensure_none("standard error", &observation.messages)?;
    ensure!(metrics.contains("mop_security_findings"), "no numbers of findings: {metrics}");
    secrets::ensure_none("the metrics", metrics)?;
    let files = secrets::ensure_none_below(&stage.feed())?;
    // The index, the hashes, and at least one event.
    ensure!(files >= 3, "{files} files of a feed");
    ensure!(secrets::ensure_none_below(&stage.outbox())? > 0, "nothing is kept");
    let kept = exported(&stage.outbox())?;
    let told = kept.iter().filter(|line| line.contains(KIND)).count();
    ensure!(told == findings(observation).len(), "{told} findings are kept");
    kept.iter().try_for_each(|line| secrets::ensure_none("a kept record", line))
}

const KIND: &str = "security.finding";
/// A call waits two seconds for its hops.
const SETTLED: Duration = Duration::from_secs(4);
