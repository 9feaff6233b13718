//! An outbox that can be read, and calls that are made up.

use std::{path::Path, sync::Arc};

use clap::Parser as _;
use jiff::Timestamp;
use mop_insight::data::{
    call::{Ends, Extractor, Observed},
    digest::Key,
};
use mop_outbox::Feed;
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};
use serde_json::Value;

use crate::{
    cli::{Arguments, Command},
    configuration::Configuration,
    data::{DataConfiguration, Port, State},
    ledger::CaptureAccount,
    output::{Dropped, Format, Outlet, Output, Spooling},
    sinks::forwarder::Bells,
    spool::{Spool, SpoolVitals},
    vitals::SinkVitals,
};

/// An outbox, and a way into it.
pub(super) struct Outbox {
    folder: tempfile::TempDir,
    output: Output,
    feed: Feed,
}

impl Outbox {
    pub(super) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = Arguments::parse_from(["mop", "replay", "x", "--output", "none"]);
        let Command::Replay(arguments) = arguments.command else { panic!("a replay") };
        let format = Format::of(&arguments.report, Spooling::Forwarded).expect("a format");
        let mut configuration = Configuration::default();
        configuration.outbox.folder = Some(folder.path().join("outbox"));
        let dropped = Arc::new(Dropped::default());
        let vitals = SpoolVitals::new(
            vec![SinkVitals::new("reader")],
            Arc::clone(&dropped),
            Box::new(CaptureAccount::default),
        );
        let spool = Spool::open(&configuration, Bells::default(), vitals).expect("an outbox");
        let feed = spool.feed("reader").expect("a feed");
        let output = Output::start(format, Some(spool), dropped).expect("a writer");
        Self { folder, output, feed }
    }

    pub(super) fn outlet(&self) -> Outlet {
        self.output.outlet_that_waits()
    }

    pub(super) fn state(&self) -> State {
        State::beside(Some(self.folder.path()))
    }

    /// Records of a kind, each as its schema says; all outlets are gone.
    pub(super) fn records(self, kind: &str) -> Vec<Value> {
        let Self { folder, output, mut feed } = self;
        let spool = output.finish().expect("written");
        let entries = feed.next(10_000, 64 << 20);
        drop((spool, folder));
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/schemas");
        let schema = std::fs::read(schemas.join(format!("{kind}.schema.json"))).expect("a schema");
        let schema = serde_json::from_slice(&schema).expect("JSON");
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        let records: Vec<Value> = entries
            .iter()
            .map(|entry| serde_json::from_slice(&entry.payload).expect("JSON"))
            .filter(|record: &Value| record["kind"] == kind)
            .collect();
        for record in &records {
            assert!(schema.is_valid(record), "{record:#}");
        }
        let ids: std::collections::HashSet<_> = records.iter().map(|it| &it["id"]).collect();
        assert_eq!(ids.len(), records.len(), "{ids:?}");
        records
    }
}

/// Makes exchanges, each on a connection of its own.
pub(super) struct Caller {
    pub(super) port: Port,
    extractor: Extractor,
    number: u64,
}

impl Caller {
    pub(super) fn new(port: Port) -> Self {
        let settings = DataConfiguration::default().extractor(Key::new([1; 32]));
        Self { port, extractor: Extractor::new(settings.expect("published lists")), number: 0 }
    }

    pub(super) fn call(
        &mut self,
        target: &str,
        at: Timestamp,
        status: u16,
        body: &Value,
        outlet: Option<&mut Outlet>,
    ) {
        self.number += 1;
        let mut headers = Headers::default();
        headers.push("Host", b"a.example");
        // Monotonic time follows the other, so that hops are told from calls.
        let start_ns = u64::try_from(at.as_nanosecond()).expect("after the epoch");
        let exchange = Exchange {
            connection: self.number,
            sequence: 0,
            role: Role::Server,
            request: Some(Request {
                method: "GET".into(),
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
                body: Body::whole(body.to_string().into_bytes(), false),
                anomalies: Anomalies::default(),
            }),
            interim: Vec::new(),
            timing: Timing {
                request_start_ns: start_ns,
                request_end_ns: start_ns + 1_000_000,
                response_start_ns: start_ns + 9_000_000,
                response_end_ns: start_ns + 10_000_000,
            },
            completeness: Completeness {
                request: Seen::default(),
                response: Seen::default(),
                ending: Ending::Complete,
                resynchronised: false,
            },
        };
        let id = format!("e{}", self.number).into();
        let observed = Observed {
            exchange: &id,
            start: at,
            ends: Ends::default(),
            process: None,
            peer_certificate: None,
            own_certificate: None,
            connection_end_ns: None,
        };
        if let Ok(call) = self.extractor.extract(&exchange, &observed) {
            self.port.take(call, outlet);
        }
    }
}
