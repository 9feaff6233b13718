//! What the tests of this crate share: made exchanges, published documents, and skipping when
//! there are none.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mop_contract::Document;
use mop_insight::data::{
    analyst::{Addresses, Analyst, AnalystCounts, AnalystSettings, Outcome},
    call::{Call, Ends, Extractor, ExtractorSettings, Observed, Passed},
    digest::Key,
    endpoint::PcmEndpoints,
    event::{record::DataEvent, rules::Exclusions},
    identity::{
        certificate::{CertificateFacts, Subject},
        directory::Directory,
        tenants::{ClientTenant, ServerTenant, Tenants},
    },
    signal::{Act, Signal},
};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};
use serde_json::{Value, json};

/// Organisation and software statement of the caller, organisation and authorisation server of the
/// one that is called.
pub(crate) const CLIENT: &str = "1fb79963-4bff-4204-9370-93aceb8a2f0d";
pub(crate) const STATEMENT: &str = "2a59c2a3-529f-41c6-97e3-77395e9951ca";
pub(crate) const SERVER: &str = "ff66b95a-d817-4fbe-949a-c5912e240189";
pub(crate) const AUTHORISATION: &str = "f8cd7b48-197d-419b-8680-f42226111b6f";
pub(crate) const HOST: &str = "api.seguradora.example";
pub(crate) const CONSENT: &str = "urn:seguradora:C1DD33123";
pub(crate) const INTERACTION: &str = "731d7aa0-09c3-4fa5-b024-905934d794e7";

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// A published document, or none with a note that the test is skipped.
pub(crate) fn document(test: &str, name: &str) -> Option<Document> {
    let folder = env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| root().join("../shared/opin/specs"), PathBuf::from);
    let Ok(text) = fs::read_to_string(folder.join(format!("{name}.yaml"))) else {
        skip(test, "no published documents; MOP_OPIN_SPECS names their folder");
        return None;
    };
    Some(Document::parse(name, &text).unwrap())
}

/// Reports a test as skipped: on the terminal, and in the file that `cargo xtask test` reads.
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    // Past the capture of the test harness, so that it is seen without --nocapture.
    let _shown = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = env::var_os("MOP_SKIPPED_TESTS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _noted = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

pub(crate) fn endpoints() -> Arc<PcmEndpoints> {
    let path = root().join("rules/opin/pcm/endpoints.json");
    Arc::new(PcmEndpoints::parse(&fs::read_to_string(path).unwrap()).unwrap())
}

pub(crate) fn settings() -> ExtractorSettings {
    ExtractorSettings {
        key: Key::new([7; 32]),
        endpoints: endpoints(),
        forwarded: None,
        exclusions: Exclusions::default(),
        shortest_time_out_ms: 1000,
    }
}

pub(crate) fn certificate() -> CertificateFacts {
    CertificateFacts {
        subject: Subject {
            organisation: Some(CLIENT.into()),
            software_statement: Some(STATEMENT.into()),
            ..Subject::default()
        },
        not_after: Some("2027-01-31T12:00:00Z".parse().unwrap()),
        fingerprint: None,
    }
}

pub(crate) fn addresses() -> Addresses {
    let participants = json!([{ "OrganisationId": SERVER, "AuthorisationServers": [{
        "AuthorisationServerId": AUTHORISATION,
        "ApiResources": [{ "ApiDiscoveryEndpoints": [{ "ApiEndpoint": format!("https://{HOST}/open-insurance/consents/v3/consents") }] }],
    }] }]);
    Addresses {
        tenants: Tenants {
            servers: vec![ServerTenant {
                hosts: vec![HOST.into()],
                listeners: Vec::new(),
                organisation: SERVER.into(),
                authorisation_server: AUTHORISATION.into(),
            }],
            clients: vec![ClientTenant {
                addresses: Vec::new(),
                organisation: CLIENT.into(),
                software_statement: STATEMENT.into(),
            }],
        },
        directory: Directory::parse(participants.to_string().as_bytes()).unwrap(),
    }
}

/// One exchange in the making.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) exchange: Exchange,
    pub(crate) start: Timestamp,
    pub(crate) local: String,
    pub(crate) remote: String,
    pub(crate) connection_end_ns: Option<u64>,
    pub(crate) process: Option<u32>,
}

impl Made {
    /// A call that an observed server answered, 12 ms after it began.
    pub(crate) fn new(method: &str, target: &str, status: u16) -> Self {
        let start_ns = 1_000_000_000;
        let mut headers = Headers::default();
        headers.push("Host", HOST.as_bytes());
        headers.push("x-fapi-interaction-id", INTERACTION.as_bytes());
        let exchange = Exchange {
            connection: 1,
            sequence: 0,
            role: Role::Server,
            request: Some(Request {
                method: method.to_owned().into(),
                target: target.into(),
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
                request_start_ns: start_ns,
                request_end_ns: start_ns + 1_000_000,
                response_start_ns: start_ns + 11_000_000,
                response_end_ns: start_ns + 12_345_678,
            },
            completeness: Completeness {
                request: Seen::default(),
                response: Seen::default(),
                ending: Ending::Complete,
                resynchronised: false,
            },
        };
        Self {
            exchange,
            start: "2026-11-24T12:00:00.5Z".parse().unwrap(),
            local: "10.0.0.1:443".into(),
            remote: "198.51.100.7:40112".into(),
            connection_end_ns: None,
            process: None,
        }
    }

    pub(crate) fn client(mut self) -> Self {
        self.exchange.role = Role::Client;
        std::mem::swap(&mut self.local, &mut self.remote);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let headers = &mut self.exchange.request.as_mut().unwrap().headers;
        headers.push(name, value.as_bytes());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        let headers = &mut self.exchange.request.as_mut().unwrap().headers;
        let mut kept = Headers::default();
        for (known, value) in headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name))
        {
            kept.push(known, value);
        }
        *headers = kept;
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let escape = |text: &str| {
            text.bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                    other => format!("%{other:02X}"),
                })
                .collect::<String>()
        };
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let mut made =
            self.header("Content-Type", "application/x-www-form-urlencoded;charset=utf-8");
        let request = made.exchange.request.as_mut().unwrap();
        request.body = Body::whole(pairs.join("&").into_bytes(), false);
        made
    }

    pub(crate) fn sends(mut self, body: &Value) -> Self {
        let request = self.exchange.request.as_mut().unwrap();
        request.body = Body::whole(body.to_string().into_bytes(), false);
        self
    }

    pub(crate) fn answers(mut self, body: &Value) -> Self {
        let response = self.exchange.response.as_mut().unwrap();
        response.body = Body::whole(body.to_string().into_bytes(), false);
        self
    }

    pub(crate) fn location(mut self, to: &str) -> Self {
        let response = self.exchange.response.as_mut().unwrap();
        response.headers.push("Location", to.as_bytes());
        self
    }

    /// Moves it in time, and onto a connection of its own.
    pub(crate) fn at(mut self, milliseconds: i64, connection: u64) -> Self {
        let moved = |ns: &mut u64| *ns += milliseconds as u64 * 1_000_000;
        let timing = &mut self.exchange.timing;
        moved(&mut timing.request_start_ns);
        moved(&mut timing.request_end_ns);
        moved(&mut timing.response_start_ns);
        moved(&mut timing.response_end_ns);
        self.start += SignedDuration::from_millis(milliseconds);
        self.exchange.connection = connection;
        self
    }

    /// How long it takes from its start.
    pub(crate) fn takes(mut self, milliseconds: u64) -> Self {
        let timing = &mut self.exchange.timing;
        timing.response_start_ns = timing.request_start_ns + milliseconds * 1_000_000;
        timing.response_end_ns = timing.response_start_ns;
        self
    }

    pub(crate) fn ends(mut self, local: &str, remote: &str) -> Self {
        self.local = local.into();
        self.remote = remote.into();
        self
    }

    pub(crate) fn call_by(&self, extractor: &mut Extractor) -> Result<Call, Passed> {
        let certificate = certificate();
        let is_mutual = self.exchange.role == Role::Server;
        let id = format!("x{}-{}", self.exchange.connection, self.exchange.timing.request_start_ns);
        let (id, peer_certificate) = (id.into(), is_mutual.then_some(&certificate));
        extractor.extract(&self.exchange, &Observed { peer_certificate, ..self.observed(&id) })
    }

    /// What is known of it beside its bytes, of certificates nothing.
    pub(crate) fn observed<'a>(&self, id: &'a Arc<str>) -> Observed<'a> {
        Observed {
            exchange: id,
            start: self.start,
            ends: Ends { local: self.local.parse().ok(), remote: self.remote.parse().ok() },
            process: self.process,
            peer_certificate: None,
            own_certificate: None,
            connection_end_ns: self.connection_end_ns,
        }
    }

    pub(crate) fn call(&self) -> Call {
        self.call_by(&mut Extractor::new(Arc::new(settings()))).unwrap()
    }
}

/// A signed token with these claims; its signature is none.
pub(crate) fn signed(claims: &Value) -> String {
    let encode = |text: &str| {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bits: Vec<u8> =
            text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        bits.chunks(6)
            .map(|six| {
                let value = six.iter().fold(0, |value, bit| value << 1 | bit) << (6 - six.len());
                char::from(DIGITS[usize::from(value)])
            })
            .collect::<String>()
    };
    format!("{}.{}.c2ln", encode("{\"alg\":\"PS256\"}"), encode(&claims.to_string()))
}

pub(crate) fn analyst() -> Analyst {
    Analyst::new(analyst_settings())
}

pub(crate) fn analyst_settings() -> AnalystSettings {
    AnalystSettings::new(Key::new([7; 32]), Arc::new(addresses()))
}

/// What an analyst makes of exchanges, in their order, and then no more come.
pub(crate) fn analyse(made: &[Made]) -> (Vec<Outcome>, AnalystCounts) {
    analyse_by(&mut analyst(), made)
}

pub(crate) fn analyse_by(analyst: &mut Analyst, made: &[Made]) -> (Vec<Outcome>, AnalystCounts) {
    let mut extractor = Extractor::new(Arc::new(settings()));
    let mut outcomes = Vec::new();
    for made in made {
        if let Ok(call) = made.call_by(&mut extractor) {
            analyst.observe(call, &mut outcomes);
        }
        assert!(analyst.counts().balances(), "{:?}", analyst.counts());
    }
    analyst.finish(&mut outcomes);
    let counts = analyst.counts();
    assert!(counts.balances() && counts.held == 0, "{counts:?}");
    (outcomes, counts)
}

pub(crate) fn events(outcomes: &[Outcome]) -> Vec<&DataEvent> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Event(event) => Some(&**event),
            _ => None,
        })
        .collect()
}

pub(crate) fn signals(outcomes: &[Outcome]) -> Vec<&Signal> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Signal(signal) => Some(&**signal),
            _ => None,
        })
        .collect()
}

pub(crate) fn acts(outcomes: &[Outcome]) -> Vec<(Role, Act)> {
    signals(outcomes).iter().map(|signal| (signal.role, signal.act.clone())).collect()
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self { state: 0x6d6f_7069_6e73_6967 }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound.max(1) as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
