//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can replay the corpus on a stable
//! compiler without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use std::sync::Arc;

use jiff::Timestamp;
use mop_contract::json::Reader;
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};

use crate::data::{
    analyst::{Addresses, Analyst, AnalystSettings, Edge, Outcome},
    call::{Ends, Extractor, ExtractorSettings, Observed, SelfReport, StatusReport},
    digest::Key,
    endpoint::{EndpointFile, EndpointGroup, Group, PcmEndpoints},
    event::{prevalidate::prevalidate, rules::Exclusions},
    identity::{
        certificate::{CertificateFacts, Subject},
        directory::Directory,
        directory_id,
        forwarded::Format,
        tenants::{ClientTenant, ServerTenant, Tenants},
    },
    metrics::{
        CheckOutcome, MAX_ENDPOINTS, Metrics, MetricsCheck, MetricsOptions, Period, Priorities,
        View, figures::Downtime,
    },
    tokens::{DEFAULT_LIMIT, TokenStore},
};
use crate::security::{
    detectors::{self, Clues, Detector},
    personal::{self, secrets},
    rules::{MAX_EVENT_BYTES, MAX_RESPONSE_BYTES, Reading},
};

/// Reads the bytes as a certificate in DER.
pub fn fuzz_certificate(data: &[u8]) {
    if let Ok(facts) = CertificateFacts::from_der(data) {
        check(facts.fingerprint.is_some(), "a certificate without fingerprint");
        check_subject(&facts.subject);
    }
}

/// Reads the first byte as a form and the rest as a forwarded certificate.
pub fn fuzz_forwarded(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(format) = Format::ALL.get(usize::from(*choice) % Format::ALL.len()) else { return };
    if let Ok(facts) = format.parse(text) {
        check_subject(&facts.subject);
    }
}

/// Reads the bytes as the directory's list of participants.
pub fn fuzz_directory(data: &[u8]) {
    let Ok(directory) = Directory::parse(data) else { return };
    check(directory.hosts() <= data.len(), "more hosts than bytes");
}

/// Reads the bytes as a snapshot of the store of tokens; what is read is written and read again.
pub fn fuzz_snapshot(data: &[u8]) {
    let key = Key::new([7; 32]);
    let now = Timestamp::UNIX_EPOCH;
    let Ok(mut store) = TokenStore::restore(data, &key, DEFAULT_LIMIT, now) else { return };
    let written = store.snapshot(&key);
    let Ok(again) = TokenStore::restore(&written, &key, DEFAULT_LIMIT, now) else {
        panic!("a snapshot is not read again");
    };
    check(again.snapshot(&key) == written, "a snapshot changes");
    store.advance(Timestamp::MAX);
    check(store.is_empty(), "something stays for ever");
}

/// Reads the bytes as lines: method, target, status, then fields of the request and, after an empty
/// line, its body, and the same of the response after a line `--`. Every event that comes of it must
/// break no rule of the metrics platform, and the books must balance.
pub fn fuzz_call(data: &[u8]) {
    exchanges(data).iter().for_each(run);
}

/// Reads the bytes as [`fuzz_call`] does. Every form of every part must be within its limits, and bear
/// every detector and every reader of personal data.
pub fn fuzz_inspection(data: &[u8]) {
    let mut reading = Reading::default();
    for exchange in exchanges(data) {
        reading.begin();
        let event = reading.read(&exchange);
        let mut bytes = 0;
        for value in event.values() {
            bytes += value.bytes.len();
            let Some(place) = value.place else { continue };
            check(value.bytes.len() <= MAX_RESPONSE_BYTES, "a value is longer than one may be");
            let name = std::str::from_utf8(value.name).ok();
            let (steps, clues) = (value.steps, Clues::of(value.bytes));
            let subject = detectors::Subject { bytes: value.bytes, place, name, steps, clues };
            for detector in Detector::ALL {
                let level = detector.suspicion(&subject);
                check(level.is_none_or(|level| (1..=4).contains(&level)), "there are four levels");
            }
            personal::scan(value.bytes, name, &mut |found| {
                check(value.bytes.get(found.range).is_some(), "what is found is in the value");
            });
            secrets::leaks(value.bytes, &mut |_| {});
        }
        check(bytes <= MAX_EVENT_BYTES, "an event is larger than one may be");
    }
}

/// The call that the bytes say, seen from each side.
fn exchanges(data: &[u8]) -> Vec<Exchange> {
    let Ok(text) = std::str::from_utf8(data) else { return Vec::new() };
    let (head, response) = text.split_once("\n--\n").unwrap_or((text, ""));
    let mut lines = head.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, target, status) = (line(), line(), line().parse().unwrap_or(200));
    let (headers, body) = message(line());
    let (response_headers, response_body) = message(response);
    let exchange = |role| Exchange {
        connection: 1,
        sequence: 0,
        role,
        request: Some(Request {
            method: method.to_owned().into(),
            target: target.to_owned(),
            version: Version::Http11,
            headers: headers.clone(),
            body: body.clone(),
            anomalies: Anomalies::default(),
        }),
        response: Some(Response {
            status,
            version: Version::Http11,
            headers: response_headers.clone(),
            body: response_body.clone(),
            anomalies: Anomalies::default(),
        }),
        interim: Vec::new(),
        timing: Timing {
            request_start_ns: 1,
            request_end_ns: 2,
            response_start_ns: 3,
            response_end_ns: 4,
        },
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
    };
    Role::ALL.into_iter().map(exchange).collect()
}

fn run(exchange: &Exchange) {
    let (Some(endpoints), key) = (endpoints(), Key::new([7; 32])) else { return };
    let mut extractor = Extractor::new(Arc::new(ExtractorSettings {
        key: key.clone(),
        endpoints: Arc::clone(&endpoints),
        forwarded: None,
        exclusions: Exclusions::default(),
        shortest_time_out_ms: 0,
    }));
    let observed = Observed {
        exchange: &"x".into(),
        start: Timestamp::UNIX_EPOCH,
        ends: Ends::default(),
        process: None,
        peer_certificate: None,
        own_certificate: None,
        connection_end_ns: None,
    };
    let Ok(call) = extractor.extract(exchange, &observed) else { return };
    let mut analyst = Analyst::new(AnalystSettings::new(key, Arc::new(addresses())));
    let mut outcomes = Vec::new();
    analyst.observe(call, &mut outcomes);
    analyst.finish(&mut outcomes);
    check(analyst.counts().balances(), "the books do not balance");
    let mut reader = Reader::default();
    for outcome in outcomes {
        if let Outcome::Edge(edge) = &outcome {
            figures(edge);
        }
        let Outcome::Event(event) = outcome else { continue };
        let text = serde_json::to_vec(&event.event).unwrap_or_default();
        let Ok(json) = reader.read(&text) else { panic!("an event is no JSON") };
        check(prevalidate(json.root(), &endpoints).is_empty(), "an event breaks a rule");
    }
}

/// What a call adds to figures, and what its answer says of them, stays within what is published.
fn figures(edge: &Edge) {
    let Ok(priorities) = Priorities::published() else { panic!("no priorities") };
    let mut metrics = Metrics::new(MetricsOptions::default());
    if let Some(check_of_answer) = metrics.edge(edge, &priorities, View::Every) {
        let MetricsCheck { outcome, differences, .. } = &check_of_answer;
        check(*outcome != CheckOutcome::Different, "one call differs from a whole day");
        check(differences.is_empty(), "a difference of nothing");
    }
    if let Some(SelfReport::Status(StatusReport::PartialFailure(named))) = &edge.report {
        check(named.len() <= MAX_ENDPOINTS, "more endpoints than are kept");
        check(named.iter().all(|name| name.len() <= 256), "a name that is too long");
    }
    for organisation in metrics.organisations() {
        let Some(data) = metrics.data(organisation, edge.at, Period::All) else {
            panic!("an organisation without figures");
        };
        let Downtime { general_downtime, scheduled_outage, .. } = data.availability.downtime;
        check(general_downtime + scheduled_outage <= 30, "more than a slot of one call");
    }
}

/// Fields and body of a message.
fn message(text: &str) -> (Headers, Body) {
    let (fields, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut headers = Headers::default();
    for (name, value) in fields.lines().filter_map(|line| line.split_once(": ")) {
        headers.push(name, value.as_bytes());
    }
    (headers, Body::whole(body.as_bytes().to_vec(), false))
}

fn endpoints() -> Option<Arc<PcmEndpoints>> {
    let group = |group, templates: &[&str]| EndpointGroup {
        group,
        templates: templates.iter().map(|template| (*template).to_owned()).collect(),
    };
    let file = EndpointFile {
        document: "fuzz".to_owned(),
        version: "0".to_owned(),
        groups: vec![
            group(Group::Phase1, &["/open-insurance/channels/v1/branches"]),
            group(
                Group::Phases2And3,
                &[
                    "/open-insurance/consents/v3/consents",
                    "/open-insurance/consents/v3/consents/{consentId}",
                    "/open-insurance/quote-auto/v1/request",
                    "/open-insurance/quote-auto/v1/request/{consentId}",
                    "/open-insurance/quote-auto/v1/request/{consentId}/quote-status",
                ],
            ),
        ],
    };
    PcmEndpoints::from_file(file).ok().map(Arc::new)
}

/// Tenants that are always found, so that events are made.
fn addresses() -> Addresses {
    let id = |digit: &str| [8, 4, 4, 4, 12].map(|length| digit.repeat(length)).join("-");
    Addresses {
        tenants: Tenants {
            servers: vec![ServerTenant {
                hosts: vec!["a.example".to_owned()],
                listeners: Vec::new(),
                organisation: id("1"),
                authorisation_server: id("2"),
            }],
            clients: vec![ClientTenant {
                addresses: Vec::new(),
                organisation: id("3"),
                software_statement: id("4"),
            }],
        },
        directory: Directory::default(),
    }
}

fn check_subject(subject: &Subject) {
    let ids = [&subject.organisation, &subject.software_statement];
    let are_ids =
        ids.into_iter().flatten().all(|id| directory_id(id).as_deref() == Some(id.as_str()));
    check(are_ids, "an identifier that is none");
    check(
        subject.organisation.is_some() || subject.software_statement.is_none(),
        "a software statement of no organisation",
    );
}

fn check(holds: bool, otherwise: &str) {
    if !holds {
        panic!("{otherwise}");
    }
}
