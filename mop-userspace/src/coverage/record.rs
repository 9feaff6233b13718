//! The record `node.coverage`. It names processes and says nothing of what they said, nor with what
//! arguments they were started.

use std::fmt::Write as _;

use jiff::Timestamp;
use mop_outbox::Lane;
use mop_probe::sockets::{Owner, Unseen};
use serde::Serialize;

use super::account::{Undecoded, Volume, Window};
use crate::{
    drafts::Envelope,
    output::Record,
    pretty::Style,
    record::timestamp,
    workloads::{Directory, Whereabouts},
};

/// What part of the node's TCP traffic was decoded in a stretch of time.
#[derive(Debug, Serialize)]
pub(super) struct CoverageRecord<'a> {
    kind: &'static str,
    schema_version: u32,
    /// Run, `coverage` and number, with slashes.
    id: String,
    #[serde(serialize_with = "timestamp")]
    from: Timestamp,
    #[serde(serialize_with = "timestamp")]
    to: Timestamp,
    /// False: nothing is known of the traffic, and `unknown` says why.
    known: bool,
    unknown: Option<&'a str>,
    bytes: Option<BytesRecord>,
    reasons: Vec<ReasonRecord>,
    /// The largest, at most [`MAX_PROCESSES`].
    processes: Vec<ProcessRecord<'a>>,
    /// All others together.
    others: Option<OthersRecord>,
    unseen: Option<UnseenRecord>,
}

#[derive(Debug, Serialize)]
struct BytesRecord {
    decoded: u64,
    undecoded: u64,
    /// Decoded of all, with four decimals; `null` when nothing moved.
    decoded_share: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ReasonRecord {
    reason: &'static str,
    processes: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ProcessRecord<'a> {
    pid: Option<u32>,
    command: Option<&'a str>,
    container: Option<&'a str>,
    /// Its pod; absent when it is in none, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<Whereabouts>,
    /// Main class or archive of a Java program.
    program: Option<&'a str>,
    /// Ports that it listens on.
    listeners: &'a [u16],
    reason: &'static str,
    #[serde(flatten)]
    volume: VolumeRecord,
}

#[derive(Debug, Serialize)]
struct OthersRecord {
    processes: u64,
    #[serde(flatten)]
    volume: VolumeRecord,
}

#[derive(Debug, Serialize)]
struct VolumeRecord {
    sockets: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

/// What could not be looked at: where any is above zero, more may have moved than is told.
#[derive(Debug, Serialize)]
struct UnseenRecord {
    namespaces: u32,
    processes: u32,
    sockets: u32,
    overruns: u32,
    deaf_namespaces: u32,
    connections: u64,
}

impl<'a> CoverageRecord<'a> {
    /// Of a window, or why nothing is known of it. Pods are named where a cluster is asked.
    pub(super) fn new(
        id: String,
        (from, to): (Timestamp, Timestamp),
        window: Result<&'a Window, &'a str>,
        directory: Option<&Directory>,
    ) -> Self {
        let mut record = Self {
            kind: KIND,
            schema_version: 1,
            id,
            from,
            to,
            known: window.is_ok(),
            unknown: window.err(),
            bytes: None,
            reasons: Vec::new(),
            processes: Vec::new(),
            others: None,
            unseen: None,
        };
        let Ok(window) = window else { return record };
        record.bytes = Some(BytesRecord {
            decoded: window.decoded_bytes,
            undecoded: window.undecoded_bytes(),
            decoded_share: window.decoded_share(),
        });
        record.reasons = window
            .by_reason()
            .into_iter()
            .map(|(reason, (processes, bytes))| ReasonRecord {
                reason: reason.name(),
                processes,
                bytes,
            })
            .collect();
        let largest = window.undecoded.iter().take(MAX_PROCESSES);
        record.processes = largest.map(|one| ProcessRecord::new(one, directory)).collect();
        record.others = others(window.undecoded.get(MAX_PROCESSES..).unwrap_or_default());
        let Unseen { namespaces, processes, sockets, overruns, deaf_namespaces } = window.unseen;
        record.unseen = Some(UnseenRecord {
            namespaces,
            processes,
            sockets,
            overruns,
            deaf_namespaces,
            connections: window.beyond_connections,
        });
        record
    }
}

fn others(rest: &[Undecoded]) -> Option<OthersRecord> {
    let mut sum = Volume::default();
    for Undecoded { volume, .. } in rest {
        sum.sockets += volume.sockets;
        sum.received_bytes = sum.received_bytes.saturating_add(volume.received_bytes);
        sum.sent_bytes = sum.sent_bytes.saturating_add(volume.sent_bytes);
    }
    let processes = rest.len() as u64;
    (processes > 0).then(|| OthersRecord { processes, volume: sum.into() })
}

impl<'a> ProcessRecord<'a> {
    fn new(undecoded: &'a Undecoded, directory: Option<&Directory>) -> Self {
        let Undecoded { owner, talker, reason, volume } = undecoded;
        let talker = talker.as_ref();
        let whereabouts = talker.map(|talker| Whereabouts::found(&talker.placement, directory));
        Self {
            pid: match owner {
                Owner::Process(tgid) => Some(*tgid),
                Owner::Kernel | Owner::Unknown => None,
            },
            command: talker.map(|talker| talker.command.as_str()),
            container: talker.and_then(|talker| talker.placement.container.as_deref()),
            workload: whereabouts.filter(Whereabouts::is_pod),
            program: talker.and_then(|talker| talker.program.as_deref()),
            listeners: talker.map(|talker| talker.listeners.as_slice()).unwrap_or_default(),
            reason: reason.name(),
            volume: (*volume).into(),
        }
    }
}

impl From<Volume> for VolumeRecord {
    fn from(Volume { sockets, received_bytes, sent_bytes }: Volume) -> Self {
        Self { sockets, received_bytes, sent_bytes }
    }
}

impl Record for CoverageRecord<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Operations, kind: self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let time = self.to.strftime("%H:%M:%S%.3f");
        if let Some(unknown) = self.unknown {
            let _ = writeln!(out, "{time} coverage is unknown: {unknown}");
        }
        let Some(BytesRecord { decoded, undecoded, .. }) = &self.bytes else { return };
        let _ = writeln!(out, "{time} coverage: {decoded} bytes decoded, {undecoded} not");
        for one in self.processes.iter().take(SHOWN_PROCESSES) {
            let who = match (one.command, one.pid) {
                (Some(command), Some(pid)) => {
                    let command: String =
                        command.chars().filter(|letter| !letter.is_control()).collect();
                    format!("{command}[{pid}]")
                }
                (None, Some(pid)) => format!("[{pid}]"),
                (_, None) => "no process".to_owned(),
            };
            let VolumeRecord { received_bytes, sent_bytes, .. } = one.volume;
            let _ = writeln!(
                out,
                "    {who}: {received_bytes} bytes in, {sent_bytes} out ({})",
                one.reason
            );
        }
    }
}

/// The kind of the record.
const KIND: &str = "node.coverage";

/// Processes that are told one by one.
const MAX_PROCESSES: usize = 64;

/// For people, once a minute.
const SHOWN_PROCESSES: usize = 3;

#[cfg(test)]
mod tests {
    use mop_probe::{
        process::Placement,
        sockets::{Runtime, Talker},
    };
    use serde_json::Value;

    use super::{super::account::Reason, *};

    fn record(window: Result<&Window, &str>) -> Value {
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let record = CoverageRecord::new("r/coverage/1".to_owned(), times, window, None);
        serde_json::to_value(&record).expect("serialisable")
    }

    fn window(processes: u32) -> Window {
        let undecoded = |tgid| Undecoded {
            owner: Owner::Process(tgid),
            talker: Some(Talker {
                tgid,
                command: "java".to_owned(),
                placement: Placement { container: None, pod: Some("u".to_owned()) },
                executable: "/usr/bin/java".to_owned(),
                program: Some("api.jar".to_owned()),
                runtime: Runtime::Java,
                listeners: vec![8443],
            }),
            reason: Reason::Jvm,
            volume: Volume { sockets: 1, received_bytes: 2, sent_bytes: 3 },
        };
        let undecoded = (1..=processes).map(undecoded).collect();
        Window { decoded_bytes: 5, undecoded, ..Window::default() }
    }

    #[test]
    fn the_largest_are_told_one_by_one_and_the_rest_together() {
        let record = record(Ok(&window(70)));
        assert_eq!(record["processes"].as_array().map(Vec::len), Some(MAX_PROCESSES));
        assert_eq!(record["processes"][0]["program"], "api.jar");
        assert_eq!(record["processes"][0]["workload"], serde_json::json!({ "pod_uid": "u" }));
        let others = serde_json::json!(
            { "processes": 6, "sockets": 6, "received_bytes": 12, "sent_bytes": 18 }
        );
        assert_eq!(record["others"], others);
        assert_eq!(record["bytes"]["undecoded"], 350);
        assert_eq!(record["reasons"][0]["processes"], 70);
    }

    #[test]
    fn what_is_unknown_is_not_zero() {
        let record = record(Err("no right"));
        assert_eq!((&record["known"], &record["unknown"]), (&false.into(), &"no right".into()));
        assert!(record["bytes"].is_null() && record["unseen"].is_null());
    }

    #[test]
    fn records_have_the_form_that_the_schema_says() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../rules/schemas/node.coverage.schema.json"))
                .expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for window in [Ok(&window(70)), Ok(&Window::default()), Err("no right")] {
            let record = record(window);
            let wrong: Vec<String> =
                validator.iter_errors(&record).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{wrong:?} in {record:#}");
        }
    }
}
