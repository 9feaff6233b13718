//! What can be configured of the hub.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{misp::RelayConfiguration, server_url::ServerUrl};
use crate::{
    configuration::{Problem, duration},
    failure::Failure,
};

/// The section `hub` of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HubConfiguration {
    /// Messages of one transaction, at most.
    pub(crate) batch_messages: usize,
    /// A transaction waits no longer for more messages.
    #[serde(with = "duration")]
    pub(crate) batch_wait: Duration,
    /// Larger messages are rejected.
    pub(crate) max_message_kib: usize,
    pub(crate) broker: BrokerConfiguration,
    pub(crate) database: DatabaseConfiguration,
    pub(crate) retention: RetentionConfiguration,
    pub(crate) mongodb: Option<MongoDbConfiguration>,
    /// Findings are told to a MISP server; none without this section.
    pub(crate) misp: Option<RelayConfiguration>,
}

/// Where messages come from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BrokerConfiguration {
    /// `amqps://user@host:port/vhost`, without the password.
    pub(crate) url: ServerUrl,
    pub(crate) password_file: Option<PathBuf>,
    /// Authority of the broker's certificate, besides those that the system trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// Client certificate, with `key_file`.
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    /// Queues to consume, quorum or classic ones.
    pub(crate) queues: Vec<String>,
    /// Streams to read, besides the queues.
    pub(crate) streams: Vec<String>,
    /// Messages of each queue that may be here without being acknowledged.
    pub(crate) prefetch: u16,
}

/// Where records go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseConfiguration {
    /// False when records go to another store only.
    pub(crate) enabled: bool,
    /// `postgresql://user@host:port/name`, without the password. Takes the place of the parts below.
    pub(crate) url: ServerUrl,
    /// Host name, or folder of a Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) sslmode: SslMode,
    /// Authority of the server's certificate, instead of those that the system trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// Client certificate, with `key_file`.
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    /// Schema of the hub's tables.
    pub(crate) schema: String,
    /// Bring the tables up to date at the start.
    pub(crate) migrate: bool,
}

/// Whether the connection to the database is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SslMode {
    /// In clear.
    Disable,
    /// Encrypted, and the server's certificate and name are checked.
    Require,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetentionConfiguration {
    /// Records. Older ones that arrive are counted and dropped.
    pub(crate) record_days: u16,
    /// Counts by the hour.
    pub(crate) aggregate_days: u16,
    /// The chain of ledger records.
    pub(crate) ledger_days: u16,
    /// Positions of streams that nothing came from, and gaps, open or filled.
    pub(crate) position_days: u16,
}

/// A document store besides the database, or instead of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MongoDbConfiguration {
    /// `mongodb://user@host:port/`, without the password.
    pub(crate) url: ServerUrl,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) database: String,
    pub(crate) collection: String,
}

impl HubConfiguration {
    /// Says what makes no sense.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let Self {
            batch_messages,
            batch_wait,
            max_message_kib,
            broker,
            database,
            retention,
            mongodb,
            misp,
        } = self;
        range(problems, "hub.batch_messages", *batch_messages, 1, MAX_BATCH);
        range(problems, "hub.max_message_kib", *max_message_kib, 1, MAX_MESSAGE_KIB);
        if *batch_wait > MAX_BATCH_WAIT {
            problems.push(Problem::new("hub.batch_wait", "at most 10s is wanted"));
        }
        if !database.enabled && mongodb.is_none() {
            let text = "without it, the section [hub.mongodb] is wanted";
            problems.push(Problem::new("hub.database.enabled", text));
        }
        broker.check(problems);
        if usize::from(broker.prefetch) < *batch_messages {
            let text = "a batch has at most so many: at least hub.batch_messages is wanted, better \
                        twice as many";
            problems.push(Problem::new("hub.broker.prefetch", text));
        }
        database.check(problems);
        retention.check(problems);
        if let Some(mongodb) = mongodb {
            mongodb.check(problems);
        }
        if let Some(misp) = misp {
            misp.check(problems);
            if !database.enabled {
                let text = "the queue of findings is in the database, which is not enabled";
                problems.push(Problem::new("hub.misp", text));
            }
        }
    }
}

impl BrokerConfiguration {
    fn check(&self, problems: &mut Vec<Problem>) {
        self.url.check(problems, "hub.broker.url", &["amqp://", "amqps://"]);
        pair(problems, "hub.broker", self.certificate_file.as_deref(), self.key_file.as_deref());
        let mut names: Vec<&String> = self.queues.iter().chain(&self.streams).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        let are_names = names.iter().all(|name| (1..=MAX_QUEUE_BYTES).contains(&name.len()));
        if names.len() != count || !(1..=MAX_QUEUES).contains(&count) || !are_names {
            problems.push(Problem::new(
                "hub.broker.queues",
                format!(
                    "1 to {MAX_QUEUES} queues and streams are wanted, with names of at most \
                     {MAX_QUEUE_BYTES} bytes, each once"
                ),
            ));
        }
    }
}

impl DatabaseConfiguration {
    fn check(&self, problems: &mut Vec<Problem>) {
        if !self.url.is_empty() {
            self.url.check(problems, "hub.database.url", &["postgresql://", "postgres://"]);
        }
        pair(problems, "hub.database", self.certificate_file.as_deref(), self.key_file.as_deref());
        let is_identifier = self.schema.bytes().enumerate().all(|(at, byte)| {
            byte == b'_' || byte.is_ascii_lowercase() || at > 0 && byte.is_ascii_digit()
        });
        if !(1..=MAX_IDENTIFIER_BYTES).contains(&self.schema.len()) || !is_identifier {
            problems.push(Problem::new(
                "hub.database.schema",
                format!("1 to {MAX_IDENTIFIER_BYTES} of a to z, 0 to 9 and _ are wanted"),
            ));
        }
    }
}

impl RetentionConfiguration {
    fn check(self, problems: &mut Vec<Problem>) {
        let Self { record_days, aggregate_days, ledger_days, position_days } = self;
        for (name, days) in [
            ("hub.retention.record_days", record_days),
            ("hub.retention.aggregate_days", aggregate_days),
            ("hub.retention.ledger_days", ledger_days),
            ("hub.retention.position_days", position_days),
        ] {
            range(problems, name, usize::from(days), 1, MAX_DAYS);
        }
        if aggregate_days < record_days {
            problems.push(Problem::new(
                "hub.retention.aggregate_days",
                "counts are to be kept at least as long as records",
            ));
        }
    }
}

impl MongoDbConfiguration {
    fn check(&self, problems: &mut Vec<Problem>) {
        if !cfg!(feature = "mongodb") {
            let text = "this program was built without it; build it with `--features mongodb`";
            problems.push(Problem::new("hub.mongodb", text));
        }
        self.url.check(problems, "hub.mongodb.url", &["mongodb://"]);
        if self.database.is_empty() || self.collection.is_empty() {
            problems.push(Problem::new("hub.mongodb.database", "a name is wanted"));
        }
    }
}

impl Default for MongoDbConfiguration {
    fn default() -> Self {
        Self {
            url: ServerUrl::new("mongodb://127.0.0.1:27017/"),
            password_file: None,
            database: "mop".to_owned(),
            collection: "record".to_owned(),
        }
    }
}

/// The secret that a file holds, without the end of its line.
pub(crate) fn read_secret(name: &str, file: &Path) -> Result<String, Failure> {
    let text = read_file(name, file)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A text file that the configuration names.
pub(crate) fn read_file(name: &str, file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| wrong(name, format!("{} cannot be read: {error}", file.display())))
}

impl Default for HubConfiguration {
    fn default() -> Self {
        Self {
            batch_messages: 500,
            batch_wait: Duration::from_millis(200),
            max_message_kib: 1024,
            broker: BrokerConfiguration::default(),
            database: DatabaseConfiguration::default(),
            retention: RetentionConfiguration::default(),
            mongodb: None,
            misp: None,
        }
    }
}

impl Default for BrokerConfiguration {
    fn default() -> Self {
        Self {
            url: ServerUrl::new("amqp://mop-hub@127.0.0.1:5672/%2f"),
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            queues: ["mop.quality", "mop.data", "mop.security", "mop.ops"]
                .map(str::to_owned)
                .to_vec(),
            streams: Vec::new(),
            prefetch: 1000,
        }
    }
}

impl Default for DatabaseConfiguration {
    fn default() -> Self {
        Self {
            enabled: true,
            url: ServerUrl::default(),
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "mop".to_owned(),
            name: "mop".to_owned(),
            password_file: None,
            sslmode: SslMode::Require,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            schema: "mop".to_owned(),
            migrate: true,
        }
    }
}

impl Default for RetentionConfiguration {
    fn default() -> Self {
        Self { record_days: 90, aggregate_days: 400, ledger_days: 1830, position_days: 90 }
    }
}

fn range(problems: &mut Vec<Problem>, name: &str, value: usize, least: usize, most: usize) {
    if !(least..=most).contains(&value) {
        problems.push(Problem::new(name, format!("a number from {least} to {most} is wanted")));
    }
}

fn pair(problems: &mut Vec<Problem>, section: &str, cert: Option<&Path>, key: Option<&Path>) {
    if cert.is_some() != key.is_some() {
        problems.push(Problem::new(section, "certificate_file and key_file belong together"));
    }
}

fn wrong(name: &str, what: impl fmt::Display) -> Failure {
    Failure::configuration(format!("{name}: {what}"))
}

/// Longer transactions hold their locks for too long.
const MAX_BATCH: usize = 10_000;
/// Nobody waits longer for a record that has arrived.
const MAX_BATCH_WAIT: Duration = Duration::from_secs(10);
/// RabbitMQ itself refuses messages above 128 MiB, and none of MOP's comes near.
const MAX_MESSAGE_KIB: usize = 16 * 1024;
/// Each has a channel of its own.
const MAX_QUEUES: usize = 64;
/// A short string of AMQP has no more.
const MAX_QUEUE_BYTES: usize = 255;
/// PostgreSQL cuts longer names.
const MAX_IDENTIFIER_BYTES: usize = 63;
/// About 27 years.
const MAX_DAYS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(text: &str) -> HubConfiguration {
        toml::from_str(text).expect("a configuration")
    }

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        configuration(text).check(&mut problems);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn the_defaults_make_sense() {
        assert!(problems("").is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, name) in [
            ("batch_messages = 0", "hub.batch_messages"),
            ("batch_wait = '11s'", "hub.batch_wait"),
            ("max_message_kib = 1000000", "hub.max_message_kib"),
            ("[broker]\nqueues = []", "hub.broker.queues"),
            ("[broker]\nqueues = ['a', 'a']", "hub.broker.queues"),
            ("[broker]\nqueues = ['']", "hub.broker.queues"),
            ("[broker]\nstreams = ['mop.ops']", "hub.broker.queues"),
            ("[broker]\nurl = 'http://127.0.0.1'", "hub.broker.url"),
            ("[broker]\nurl = 'amqp://a:hidden@127.0.0.1/'", "hub.broker.url"),
            ("[broker]\ncertificate_file = '/cert'", "hub.broker"),
            ("[broker]\nprefetch = 499", "hub.broker.prefetch"),
            ("[database]\nurl = 'postgres://a:hid/d@en@127.0.0.1/'", "hub.database.url"),
            ("[database]\nschema = 'x; drop'", "hub.database.schema"),
            ("[database]\nenabled = false", "hub.database.enabled"),
            ("[retention]\nrecord_days = 0", "hub.retention.record_days"),
            ("[retention]\nrecord_days = 500", "hub.retention.aggregate_days"),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found.iter().all(|found| found.starts_with(&format!("`{name}`"))), "{found:?}");
            assert!(!format!("{found:?}").contains("hid"), "{found:?}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        for text in ["queue = 'x'", "[broker]\nurls = ''", "[database]\nssl = true"] {
            assert!(toml::from_str::<HubConfiguration>(text).is_err(), "{text}");
        }
    }
}
