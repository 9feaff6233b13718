//! A whole journey as it is observed: each call once on each side, who called by the certificate of
//! the handshake, each call joined to its consent, and the steps of both sides in their order. Also
//! when MOP is restarted half-way, and when part of what was captured is lost.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_common::flags;
use mop_tests::{Called, Done, Ecosystem, Observer, Process, mop_command, observing, run, until};
use mop_wire::mopcap::{Decoder, Encoder, Record};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    journey::{CLIENT_ORGANISATION, CLIENT_SOFTWARE, SERVER_BRAND, SERVER_ORGANISATION},
    published,
};

#[test]
fn a_journey_through_a_proxy_is_reported_once_by_each_side() -> Result<()> {
    if !observing("a_journey_through_a_proxy_is_reported_once_by_each_side") {
        return Ok(());
    }
    let ecosystem = Ecosystem::start()?;
    let observer = ecosystem.observer().start()?;
    let done = ecosystem.receiver(JOURNEYS, false)?.done()?;
    ensure!(done.resumed > 0, "no session was taken up again: {done:?}");
    // What waits for others is given out within seconds.
    std::thread::sleep(SETTLED);
    let records = stopped(observer)?;

    ensure_whole(&records, &done)?;
    published::ensure_valid(&events(&records))
}

#[test]
fn a_restart_half_way_reports_no_call_twice_and_goes_on_with_the_funnel() -> Result<()> {
    if !observing("a_restart_half_way_reports_no_call_twice_and_goes_on_with_the_funnel") {
        return Ok(());
    }
    let ecosystem = Ecosystem::start()?;
    let observer = ecosystem.observer().start()?;
    let mut receiver = ecosystem.receiver(1, true)?;
    receiver.wait_for_half()?;
    let mut records = stopped(observer)?;
    let observer = ecosystem.observer().start()?;
    receiver.go_on()?;
    let done = receiver.done()?;
    std::thread::sleep(SETTLED);
    records.extend(stopped(observer)?);

    ensure_whole(&records, &done)
}

#[test]
fn what_is_lost_on_the_way_makes_no_event_wrong_and_is_counted() -> Result<()> {
    if !observing("what_is_lost_on_the_way_makes_no_event_wrong_and_is_counted") {
        return Ok(());
    }
    let ecosystem = Ecosystem::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("whole.mopcap");
    let mut command = mop_command();
    let messages = folder.path().join("messages");
    command.args(["record", "--yes", "--out"]).arg(&file).stderr(fs::File::create(&messages)?);
    let mut recorder = Process::start("mop record", &mut command)?;
    until("the recorder", LIMIT, || {
        fs::read_to_string(&messages).is_ok_and(|text| text.contains("Recording"))
    })?;
    let done = ecosystem.quiet_receiver(JOURNEYS)?.done()?;
    std::thread::sleep(Duration::from_secs(1));
    recorder.signal(Signal::INT);
    ensure!(recorder.wait(LIMIT)?.success(), "mop record failed");

    let capture = fs::read(&file)?;
    let whole = replayed(&ecosystem, &file)?;
    ensure_every_call(&whole, &done)?;
    fs::write(&file, with_late_certificates(&capture)?)?;
    let late = replayed(&ecosystem, &file)?;
    ensure_every_call(&late, &done).context("with certificates that come by late")?;
    let mut missing = 0;
    for seed in 0..LOSSES {
        let file = folder.path().join("lossy.mopcap");
        fs::write(&file, lossy(&capture, seed)?)?;
        let records = replayed(&ecosystem, &file)?;
        let summary = records.last().context("no summary")?;
        ensure!(summary["kind"] == "observe.summary", "{summary}");
        for side in SIDES {
            let seen = ensure_right(&records, side, &done).with_context(|| format!("{seed}"))?;
            let lost = done.calls.len() - seen.len();
            missing += lost;
            // What was not seen whole is told.
            let told = summary.pointer("/incomplete").and_then(Value::as_u64);
            ensure!(lost == 0 || told.unwrap_or(0) > 0, "{seed}: {lost} are missing: {summary}");
            for (data, quote) in &done.consents {
                ensure_part(&records, side, data, expected(side, false))?;
                ensure_part(&records, side, quote, expected(side, true))?;
            }
        }
    }
    ensure!(missing > 0, "nothing was lost in {LOSSES} rounds");
    Ok(())
}

/// A capture in which certificates come by as late as they can: when calls of their connections have
/// been read, and just before it is said that everything of their time was.
fn with_late_certificates(capture: &[u8]) -> Result<Vec<u8>> {
    let (mut decoder, mut encoder, mut late) = (Decoder::new(), Encoder::new(), Vec::new());
    let mut held = Vec::new();
    decoder.push(capture);
    while let Some(record) = decoder.next_record()? {
        match record {
            Record::Segment { head, .. } if head.flags & flags::CERTIFICATE != 0 => {
                held.push((head.ktime_ns, record));
                continue;
            }
            Record::Watermark { ktime_ns } => {
                for (_, certificate) in held.extract_if(.., |(seen_ns, _)| *seen_ns < ktime_ns) {
                    encoder.record(&certificate, &mut late)?;
                }
            }
            _ => {}
        }
        encoder.record(&record, &mut late)?;
    }
    for (_, certificate) in held {
        encoder.record(&certificate, &mut late)?;
    }
    Ok(late)
}

/// A capture without one in twenty of its segments, certificates included.
fn lossy(capture: &[u8], seed: u64) -> Result<Vec<u8>> {
    let (mut decoder, mut encoder, mut left) = (Decoder::new(), Encoder::new(), Vec::new());
    decoder.push(capture);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while let Some(record) = decoder.next_record()? {
        // Marsaglia's xorshift: the same losses for the same seed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let is_lost = matches!(record, Record::Segment { .. }) && state.is_multiple_of(20);
        if !is_lost {
            encoder.record(&record, &mut left)?;
        }
    }
    Ok(left)
}

fn replayed(ecosystem: &Ecosystem, file: &Path) -> Result<Vec<Value>> {
    let mut command = mop_command();
    command.args(["replay", "--output", "jsonl", "--config"]);
    command.arg(ecosystem.configuration_for_files()?).arg(file);
    let text = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Every call and every step was reported, by both sides.
fn ensure_whole(records: &[Value], done: &Done) -> Result<()> {
    ensure_every_call(records, done)?;
    for side in SIDES {
        for (data, quote) in &done.consents {
            for (consent, is_quote) in [(data, false), (quote, true)] {
                let steps = steps(records, side, consent);
                ensure!(steps == expected(side, is_quote), "{side} of {consent}: {steps:#?}");
            }
        }
    }
    Ok(())
}

/// All that an observer told, its summary last.
fn stopped(observer: Observer) -> Result<Vec<Value>> {
    let observation = observer.stop()?;
    let mut records = observation.records;
    records.push(observation.summary);
    Ok(records)
}

/// Every call was reported, by both sides.
fn ensure_every_call(records: &[Value], done: &Done) -> Result<()> {
    for side in SIDES {
        let seen = ensure_right(records, side, done)?;
        let missing: Vec<_> = done.calls.iter().filter(|call| !seen.contains(call)).collect();
        ensure!(
            missing.is_empty(),
            "{side}: no event of {missing:#?}: {}",
            traces(records, &missing)
        );
    }
    Ok(())
}

/// What was seen of calls, and what was counted: whether they were lost on the way, or not told.
fn traces(records: &[Value], calls: &[&Called]) -> String {
    let is_told = |record: &&Value| {
        let text = record.to_string();
        record["kind"] == "observe.summary"
            || calls.iter().any(|call| text.contains(&call.interaction))
    };
    let told: Vec<_> = records.iter().filter(is_told).map(Value::to_string).collect();
    told.join("\n")
}

/// No call has two events of this side, and each event is of a call that was made, by the right
/// parties and with its own consent. Gives the calls that have one.
fn ensure_right<'d>(records: &[Value], side: &str, done: &'d Done) -> Result<BTreeSet<&'d Called>> {
    let mut seen = BTreeSet::new();
    let of_side = |record: &&Value| record["kind"] == "data.call" && record["side"] == side;
    for record in records.iter().filter(of_side) {
        let event = &record["event"];
        for (member, wanted) in [
            ("clientOrgId", CLIENT_ORGANISATION),
            ("clientSSId", CLIENT_SOFTWARE),
            ("serverOrgId", SERVER_ORGANISATION),
            ("serverASId", SERVER_BRAND),
        ] {
            ensure!(event[member] == wanted, "{member}: {record}");
        }
        let called = called(event);
        let made = done.calls.iter().find(|made| **made == called);
        let made = made.with_context(|| format!("{record}\nis none of {:#?}", done.calls))?;
        ensure!(seen.insert(made), "twice at the {side}: {record}");
    }
    Ok(seen)
}

/// The call that an event is of.
fn called(event: &Value) -> Called {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Called {
        method: text(&event["httpMethod"]),
        path: text(&event["url"]),
        status: event["statusCode"].as_u64().unwrap_or_default(),
        interaction: text(&event["fapiInteractionId"]),
        consent: text(&event["additionalInfo"]["consentId"]),
    }
}

/// Steps are those that were made, in their order, though some may be missing.
fn ensure_part(records: &[Value], side: &str, consent: &str, whole: &[&str]) -> Result<()> {
    let steps = steps(records, side, consent);
    let mut left = whole.iter();
    ensure!(
        steps.iter().all(|step| left.any(|it| it == step)),
        "{side} of {consent}: {steps:#?} is no part of {whole:#?}"
    );
    Ok(())
}

/// Each event with the path that it is posted to.
fn events(records: &[Value]) -> Vec<(String, Value)> {
    let interface = |record: &Value| match (record["kind"].as_str()?, record["funnel"].as_str()) {
        ("data.call", _) => Some("/report-api/v1"),
        ("data.funnel", Some("v2")) => Some("/event-api/v2"),
        ("data.funnel", _) => Some("/event-api/v1/cotacao-contratacao"),
        _ => None,
    };
    let of = |record: &Value| {
        let side = record["side"].as_str().unwrap_or_default();
        Some((format!("{}/{side}-event", interface(record)?), record["event"].clone()))
    };
    records.iter().filter_map(of).collect()
}

/// Steps of one consent at one side, in the order in which they were reported.
fn steps<'r>(records: &'r [Value], side: &str, consent: &str) -> Vec<&'r str> {
    let of_consent = records.iter().filter(|record| {
        record["kind"] == "data.funnel"
            && record["side"] == side
            && record["event"]["consentId"] == consent
    });
    of_consent.filter_map(|record| record["event"]["step"].as_str()).collect()
}

/// What there is to report of a consent.
fn expected(side: &str, is_quote: bool) -> &'static [&'static str] {
    match (side, is_quote) {
        ("server", false) => DATA_SERVER,
        ("server", true) => QUOTE_SERVER,
        (_, false) => DATA_CLIENT,
        (_, true) => QUOTE_CLIENT,
    }
}

const SIDES: [&str; 2] = ["server", "client"];
const DATA_SERVER: &[&str] = &[
    "consent-created",
    "user-redirected",
    "user-authenticated",
    "consent-authorized",
    "authorization-code-created",
    "user-redirected-back",
    "consent-token-generated",
    "resource-accessed",
    "resource-accessed",
    "refresh-token-used",
    "resource-accessed",
    "consent-revoked",
];
const DATA_CLIENT: &[&str] = &[
    "consent-created",
    "user-redirected",
    "user-redirected-back",
    "consent-token-received",
    "resource-accessed",
    "resource-accessed",
    "refresh-token-used",
    "resource-accessed",
    "consent-revoked",
];
const QUOTE_SERVER: &[&str] =
    &["quote-request-received", "quote-status-generated", "quote-info-generated", "quote-accepted"];
const QUOTE_CLIENT: &[&str] = &[
    "quote-request-initiated",
    "quote-request-created",
    "quote-request-authorized",
    "quote-request-generated",
    "quote-status-received",
    "quote-info-received",
    "quote-accepted",
];

const JOURNEYS: u32 = 2;
/// Different losses that are tried.
const LOSSES: u64 = 20;
/// Longer than a call waits for its hops and its token, and a step for those before it.
const SETTLED: Duration = Duration::from_secs(12);
const LIMIT: Duration = Duration::from_secs(60);
