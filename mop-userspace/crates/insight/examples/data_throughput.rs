//! What a call costs, from the exchange to its event: CPU time of this thread, by kind of call and
//! for a mixture.
//!
//! ```text
//! cargo run --release -p mop-insight --example data_throughput -- rules/opin/pcm/endpoints.json
//! ```
//!
//! The bar is 40 µs a call, all in: 5,000 calls a second in a fifth of a core.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement reports by panicking")]

use std::{env, fs, hint::black_box, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    analyst::{Addresses, Analyst, AnalystSettings, Outcome},
    call::{Ends, Extractor, ExtractorSettings, Observed},
    digest::Key,
    endpoint::PcmEndpoints,
    event::rules::Exclusions,
    identity::{
        directory::Directory,
        forwarded::{Format, ForwardedCertificate},
        tenants::{ServerTenant, Tenants},
    },
};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};

fn main() {
    let path = env::args().nth(1).unwrap_or_else(|| "rules/opin/pcm/endpoints.json".to_owned());
    let text = fs::read_to_string(path).expect("the list of endpoints");
    let endpoints = Arc::new(PcmEndpoints::parse(&text).expect("a list of endpoints"));
    let settings = Arc::new(ExtractorSettings {
        key: Key::new([7; 32]),
        endpoints,
        forwarded: Some(ForwardedCertificate {
            header: "X-SSL-Client".to_owned(),
            format: Format::Base64Der,
            from: Vec::new(),
        }),
        exclusions: Exclusions::default(),
        shortest_time_out_ms: 1000,
    });
    let certificate = {
        let pem = include_str!("../tests/fixtures/transport.pem");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(STANDARD.decode(&base64).is_ok());
        base64
    };
    let kinds = [
        ("resource, token known", resource(&certificate)),
        ("consent created", created(&certificate)),
        ("token issued", token()),
        ("open data", open()),
    ];
    println!("{:<24} {:>10} {:>10} {:>10}", "kind", "calls", "extract", "analyst");
    for (name, kind) in &kinds {
        measure(name, std::slice::from_ref(kind), &settings);
    }
    let mixture: Vec<Exchange> = (0..20)
        .map(|number| {
            kinds[match number {
                0 => 1,
                1 => 2,
                2 | 3 => 3,
                _ => 0,
            }]
            .1
            .clone()
        })
        .collect();
    measure("mixture", &mixture, &settings);
}

/// Every call comes 200 µs after the one before: 5,000 a second.
fn measure(name: &str, exchanges: &[Exchange], settings: &Arc<ExtractorSettings>) {
    let addresses = Arc::new(Addresses {
        tenants: Tenants {
            servers: vec![ServerTenant {
                hosts: vec!["api.seguradora.example".to_owned()],
                listeners: Vec::new(),
                organisation: "ff66b95a-d817-4fbe-949a-c5912e240189".to_owned(),
                authorisation_server: "f8cd7b48-197d-419b-8680-f42226111b6f".to_owned(),
            }],
            clients: Vec::new(),
        },
        directory: Directory::default(),
    });
    let mut extractor = Extractor::new(Arc::clone(settings));
    let mut analyst = Analyst::new(AnalystSettings::new(settings.key.clone(), addresses));
    let ends = Ends { local: "10.0.0.1:443".parse().ok(), remote: "198.51.100.7:4".parse().ok() };
    let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let (mut extraction, mut analysis) = (Duration::ZERO, Duration::ZERO);
    let mut outcomes = Vec::new();
    let mut events = 0_usize;
    // In batches, so that reading the clock costs nothing that is seen.
    for batch in 0..CALLS / BATCH {
        let made: Vec<(Exchange, SignedDuration)> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|number| moved(&exchanges[number % exchanges.len()], number))
            .collect();
        let mut calls = Vec::with_capacity(BATCH);
        let before = cpu();
        for (exchange, at) in &made {
            let observed = Observed {
                exchange: &"000000000000-1".into(),
                start: start + *at,
                ends,
                process: None,
                peer_certificate: None,
                own_certificate: None,
                connection_end_ns: None,
            };
            calls.push(extractor.extract(black_box(exchange), &observed).unwrap());
        }
        let between = cpu();
        for call in calls {
            analyst.observe(call, &mut outcomes);
        }
        events += count(&mut outcomes);
        analysis += cpu() - between;
        extraction += between - before;
    }
    let before = cpu();
    analyst.finish(&mut outcomes);
    events += count(&mut outcomes);
    analysis += cpu() - before;
    let each = |time: Duration| format!("{:.2} µs", time.as_secs_f64() * 1e6 / CALLS as f64);
    println!(
        "{name:<24} {CALLS:>10} {:>10} {:>10}   {events} events",
        each(extraction),
        each(analysis)
    );
}

/// An exchange at its place in time, with an interaction of its own.
fn moved(exchange: &Exchange, number: usize) -> (Exchange, SignedDuration) {
    let at = SignedDuration::from_micros(200 * number as i64);
    let mut exchange = exchange.clone();
    exchange.connection = number as u64;
    exchange.timing.request_start_ns += at.as_nanos() as u64;
    exchange.timing.response_end_ns += at.as_nanos() as u64;
    let headers = &mut exchange.request.as_mut().unwrap().headers;
    headers.push("x-fapi-interaction-id", format!("{number:036}").as_bytes());
    (exchange, at)
}

/// Writes the events, as the outbox would get them, and counts them.
fn count(outcomes: &mut Vec<Outcome>) -> usize {
    let events = outcomes.iter().filter(|outcome| match outcome {
        Outcome::Event(event) => !serde_json::to_vec(event).unwrap().is_empty(),
        _ => false,
    });
    let events = events.count();
    outcomes.clear();
    events
}

fn exchange(method: &str, target: &str, status: u16) -> Exchange {
    let mut headers = Headers::default();
    for (name, value) in [
        ("Host", "api.seguradora.example"),
        ("User-Agent", "cliente/1.0"),
        ("Accept", "application/json"),
        ("x-fapi-auth-date", "Tue, 24 Nov 2026 12:00:00 GMT"),
        ("x-fapi-customer-ip-address", "203.0.113.9"),
    ] {
        headers.push(name, value.as_bytes());
    }
    Exchange {
        connection: 0,
        sequence: 0,
        role: Role::Server,
        request: Some(Request {
            method: method.to_owned().into(),
            target: target.to_owned(),
            version: Version::Http11,
            headers,
            body: Body::default(),
            anomalies: Anomalies::default(),
        }),
        response: Some(Response {
            status,
            version: Version::Http11,
            headers: Headers::default(),
            body: Body::default(),
            anomalies: Anomalies::default(),
        }),
        interim: Vec::new(),
        timing: Timing {
            request_start_ns: 1_000_000,
            request_end_ns: 1_100_000,
            response_start_ns: 0,
            response_end_ns: 30_000_000,
        },
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
    }
}

fn with(mut exchange: Exchange, fields: &[(&str, &str)], sent: &str, answered: &str) -> Exchange {
    let request = exchange.request.as_mut().unwrap();
    for (name, value) in fields {
        request.headers.push(name, value.as_bytes());
    }
    request.body = Body::whole(sent.as_bytes().to_vec(), false);
    exchange.response.as_mut().unwrap().body = Body::whole(answered.as_bytes().to_vec(), false);
    exchange
}

/// With a forwarded certificate and a signed token whose claims name the consent.
fn resource(certificate: &str) -> Exchange {
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(
        "{{\"scope\":\"openid consent:urn:seguradora:C1DD33123\",\"pad\":\"{}\"}}",
        "x".repeat(400)
    ));
    let bearer = format!("Bearer eyJhbGciOiJQUzI1NiJ9.{claims}.{}", "s".repeat(342));
    let path = "/open-insurance/insurance-auto/v1/insurance-auto/12345/claim?page=1&page-size=25";
    with(
        exchange("GET", path, 200),
        &[("Authorization", &bearer), ("X-SSL-Client", certificate)],
        "",
        &"{\"data\":[]}".repeat(1000),
    )
}

fn created(certificate: &str) -> Exchange {
    let permissions: Vec<String> =
        (0..40).map(|number| format!("\"DAMAGES_AND_PEOPLE_AUTO_READ_{number}\"")).collect();
    let answer = format!(
        "{{\"data\":{{\"consentId\":\"urn:seguradora:C1DD33123\",\"status\":\"AWAITING_AUTHORISATION\",\
         \"expirationDateTime\":\"2027-01-01T00:00:00Z\",\"permissions\":[{}]}}}}",
        permissions.join(",")
    );
    with(
        exchange("POST", "/open-insurance/consents/v3/consents", 201),
        &[("Authorization", "Bearer opaque"), ("X-SSL-Client", certificate)],
        "",
        &answer,
    )
}

fn token() -> Exchange {
    with(
        exchange("POST", "/as/token", 200),
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &format!("grant_type=client_credentials&client_assertion={}", "x".repeat(900)),
        "{\"access_token\":\"opaque\",\"expires_in\":900,\"token_type\":\"Bearer\"}",
    )
}

fn open() -> Exchange {
    exchange("GET", "/open-insurance/channels/v2/branches?page=1", 200)
}

/// CPU time of this thread so far, by the scheduler's own books.
fn cpu() -> Duration {
    let books = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = books.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// Forty seconds' worth.
const CALLS: usize = 200_000;

const BATCH: usize = 1000;
