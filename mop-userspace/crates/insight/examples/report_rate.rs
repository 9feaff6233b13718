//! Speed and memory of funnel and metrics on one core. One JSON object a line.
//!
//! `cargo run --release -p mop-insight --example report_rate`

use std::{error::Error, fs, sync::Arc, time::Instant};

use jiff::Timestamp;
use mop_insight::data::{
    funnel::{
        ConsentDigest, Funnel, FunnelOptions, FunnelRules, Inference, event::occurrence_of,
        snapshot::Snapshot,
    },
    metrics::{CallFigures, Metrics, MetricsOptions, Period, Priorities},
    signal::{Act, Grant, Parties, Signal, TokenKind},
};
use mop_wire::Role;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    // First what takes little, so that its memory is not what the other left.
    metrics()?;
    funnel()
}

/// Whole journeys of as many consents as are remembered, then accesses to them.
fn funnel() -> Result<(), Box<dyn Error>> {
    let options = FunnelOptions { inference: Inference::Allowed, ..FunnelOptions::default() };
    let consents = options.max_consents;
    let rules = Arc::new(FunnelRules::published()?);
    let baseline = resident_kib()?;
    let mut funnel = Funnel::new(Arc::clone(&rules), options.clone(), Box::new(digest));
    let acts = [
        (0, Act::ConsentCreated { permissions: permissions(&rules), expires: None, version: 3 }),
        (2, Act::AuthorizationRequested),
        (10, Act::CodeIssued),
        (12, Act::TokenIssued(Grant::AuthorizationCode)),
        (13, Act::ResourceAccessed { token: TokenKind::Consent }),
    ];
    let (mut signals, mut records) = (0_u64, 0_usize);
    let started = Instant::now();
    for consent in 0..consents {
        let begin = i64::try_from(consent)?;
        for (after, act) in &acts {
            funnel.observe(&signal(consent, begin + after, act.clone())?);
            signals += 1;
        }
        records += funnel.advance(time(begin)?).len();
    }
    records += funnel.advance(time(10_000_000)?).len();
    let journeys = started.elapsed();
    let memory = resident_kib()?.saturating_sub(baseline);
    let accesses = 500_000_usize;
    let started = Instant::now();
    for access in 0..accesses {
        let act = Act::ResourceAccessed { token: TokenKind::Consent };
        let at = 20_000_000 + i64::try_from(access)?;
        funnel.observe(&signal(access % consents, at, act)?);
        records += funnel.advance(time(at)?).len();
    }
    let accessing = started.elapsed();
    let started = Instant::now();
    let bytes = funnel.snapshot().write()?;
    let writing = started.elapsed();
    let started = Instant::now();
    let restored = Funnel::restore(rules, options, Box::new(digest), Snapshot::parse(&bytes)?)?;
    println!(
        "{}",
        json!({
            "figure": "funnel", "consents": restored.consents(), "records": records,
            "journey_signals_per_second": per_second(signals, journeys),
            "access_signals_per_second": per_second(accesses as u64, accessing),
            "bytes_per_consent": memory * 1024 / consents as u64,
            "snapshot_mib": bytes.len() / (1 << 20), "snapshot_ms": writing.as_millis(),
            "restore_ms": started.elapsed().as_millis(),
        })
    );
    Ok(())
}

/// Calls to as many endpoints as are told apart, for eight days.
fn metrics() -> Result<(), Box<dyn Error>> {
    let priorities = Priorities::published()?;
    let options = MetricsOptions { levels: priorities.levels.clone(), ..MetricsOptions::default() };
    let baseline = resident_kib()?;
    let mut metrics = Metrics::new(options);
    let endpoints: Vec<String> = (0..328)
        .map(|number| format!("/open-insurance/insurance-auto/v2/insurance-auto/{number}"))
        .collect();
    let calls = 2_000_000_u64;
    let started = Instant::now();
    for number in 0..calls {
        let endpoint = &endpoints[usize::try_from(number)? % endpoints.len()];
        metrics.observe(&CallFigures {
            organisation: "ff66b95a-d817-4fbe-949a-c5912e240189",
            at: time(i64::try_from(number * 8 * 86_400 / calls)?)?,
            microseconds: Some(1000 + number.wrapping_mul(0x9E37_79B9) % 3_000_000),
            status: Some(if number % 100 == 0 { 503 } else { 200 }),
            priority: priorities.of(endpoint),
            endpoint: Some(endpoint),
        });
    }
    let counting = started.elapsed();
    let started = Instant::now();
    let organisation = "ff66b95a-d817-4fbe-949a-c5912e240189";
    let data = metrics.data(organisation, time(8 * 86_400 - 1)?, Period::All);
    println!(
        "{}",
        json!({
            "figure": "metrics", "calls_per_second": per_second(calls, counting),
            "kib_per_organisation": resident_kib()?.saturating_sub(baseline),
            "data_us": started.elapsed().as_micros(), "has_data": data.is_some(),
        })
    );
    Ok(())
}

fn permissions(rules: &FunnelRules) -> Vec<String> {
    let tables = rules.tables();
    tables.journeys.first().map(|table| table.permissions.clone()).unwrap_or_default()
}

fn signal(consent: usize, at: i64, act: Act) -> Result<Signal, Box<dyn Error>> {
    let id = |text: &str| Some(text.to_owned());
    Ok(Signal {
        consent: format!("urn:insurer:C{consent:08}"),
        at: time(at)?,
        role: Role::Server,
        exchange: format!("exchange-{consent}-{at}").into(),
        parties: Parties {
            client_organisation: id("1fb79963-4bff-4204-9370-93aceb8a2f0d"),
            client_software_statement: id("2a59c2a3-529f-41c6-97e3-77395e9951ca"),
            server_organisation: id("ff66b95a-d817-4fbe-949a-c5912e240189"),
            server_authorisation_server: id("f8cd7b48-197d-419b-8680-f42226111b6f"),
        },
        act,
    })
}

fn time(second: i64) -> Result<Timestamp, Box<dyn Error>> {
    Ok(Timestamp::from_second(1_767_571_200 + second)?)
}

fn digest(consent: &str) -> ConsentDigest {
    let half = occurrence_of(consent);
    ConsentDigest(((u128::from(half) << 64) | u128::from(!half)).to_be_bytes())
}

fn per_second(count: u64, time: std::time::Duration) -> u64 {
    (count as f64 / time.as_secs_f64()) as u64
}

/// Resident memory of this process (proc(5), `VmRSS`).
fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}
