//! Section `[sinks.rabbitmq]` of the configuration.
//!
//! It never holds a password: only where to read one, so that it can be shown.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lapin::uri::{AMQPScheme, AMQPUri};
use serde::{Deserialize, Serialize};

use crate::sinks::Trouble;

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RabbitMqConfiguration {
    /// `amqp://HOST:PORT/VHOST` or `amqps://…`, in place of the five fields after it. The default
    /// virtual host is written `%2f`.
    pub(crate) url: Option<String>,
    /// Host name or address of the broker.
    pub(crate) host: Option<String>,
    /// Without it: 5672, or 5671 with TLS.
    pub(crate) port: Option<u16>,
    /// Virtual host.
    pub(crate) vhost: Option<String>,
    /// TLS 1.2 or 1.3.
    pub(crate) tls: Option<bool>,
    /// User of the broker.
    pub(crate) username: Option<String>,
    /// File whose first line is the password. Read again at each connection.
    pub(crate) password_file: Option<PathBuf>,
    /// Name of the environment variable that holds the password.
    pub(crate) password_env: Option<String>,
    /// How it says who it is.
    pub(crate) auth: Authentication,
    /// Authorities that may have signed the broker's certificate (PEM). Without it: the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Its own certificate and those that lead to the authority (PEM). Read again at each connection.
    pub(crate) certificate_file: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    pub(crate) key_file: Option<PathBuf>,
    /// The exchange that is published to. All other names begin with it.
    pub(crate) amqp_exchange: String,
    /// True: what is missing on the broker is declared. False: it is only looked for.
    pub(crate) declare: bool,
    /// Type of the queues that are declared.
    pub(crate) queue_type: QueueType,
    /// Size at which a declared queue refuses more, or a stream lets go of its oldest.
    pub(crate) queue_max_mib: u32,
    /// Queues that must be there when `declare` is false. Without it: those of the topology.
    pub(crate) queues: Option<Vec<String>>,
    /// Messages on their way at once.
    pub(crate) window: usize,
    /// A larger record is set aside: the broker would close the connection over it.
    pub(crate) max_message_mib: u32,
    /// How often both sides show that they live.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) heartbeat: Duration,
    /// For connecting, until the first message can be sent.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) connect_timeout: Duration,
    /// A broker that confirms nothing for so long, and did not ask to wait, is given up.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) confirm_timeout: Duration,
    /// A record that the broker refuses again and again for so long is set aside.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) nack_patience: Duration,
    /// Kinds of records that are sent: `quality.report`, or a whole module: `quality.*`. Empty: all.
    pub(crate) kinds: Vec<String>,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authentication {
    /// By its client certificate; the broker needs its plugin `rabbitmq_auth_mechanism_ssl`.
    External,
    /// By user and password.
    #[default]
    Plain,
}

/// Types of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueType {
    /// On one node.
    Classic,
    /// Replicated, confirmed by a majority.
    #[default]
    Quorum,
    /// A log that several readers read at their own pace.
    Stream,
}

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) vhost: String,
    pub(super) tls: bool,
}

impl RabbitMqConfiguration {
    /// TCP ports that it connects to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        self.place().ok().map(|place| vec![place.port])
    }

    /// Files that it names: they are read at the start and again later.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let files = [&self.password_file, &self.ca_file, &self.certificate_file, &self.key_file];
        files.into_iter().flatten()
    }

    /// What is wrong with it, and what helps.
    pub(crate) fn check(&self) -> Result<(), String> {
        let place = self.place()?;
        let has_certificate = self.certificate_file.is_some();
        if has_certificate != self.key_file.is_some() {
            return Err("certificate_file and key_file belong together".into());
        }
        if !place.tls && (has_certificate || self.ca_file.is_some()) {
            return Err(
                "ca_file, certificate_file and key_file are for TLS: tls = true, or a url \
                        that begins with amqps://"
                    .into(),
            );
        }
        match self.auth {
            Authentication::External if !has_certificate => {
                return Err("auth = \"external\" needs certificate_file and key_file".into());
            }
            Authentication::External
                if self.password_file.is_some() || self.password_env.is_some() =>
            {
                return Err("auth = \"external\" has no password".into());
            }
            Authentication::External => {}
            Authentication::Plain => {
                if self.username().is_none() {
                    return Err("username is missing".into());
                }
                match (&self.password_file, &self.password_env) {
                    (Some(_), Some(_)) => {
                        return Err("only one of password_file and password_env".into());
                    }
                    (None, None) => {
                        return Err("password_file or password_env is missing".into());
                    }
                    (Some(_), None) | (None, Some(_)) => {}
                }
            }
        }
        if self.amqp_exchange.is_empty() || self.amqp_exchange.len() > NAME_BYTES {
            return Err(format!("amqp_exchange must have 1 to {NAME_BYTES} bytes"));
        }
        if let Some(long) = self.queues.iter().flatten().find(|name| name.len() > 255) {
            return Err(format!("queues: the name {long:.20}… has more than 255 bytes"));
        }
        if !(1..=WINDOW_LIMIT).contains(&self.window) {
            return Err(format!("window must be 1 to {WINDOW_LIMIT}"));
        }
        if self.queue_max_mib == 0 {
            return Err("queue_max_mib must be at least 1".into());
        }
        if !(1..=MESSAGE_MIB_LIMIT).contains(&self.max_message_mib) {
            return Err(format!("max_message_mib must be 1 to {MESSAGE_MIB_LIMIT}"));
        }
        if !(1..=HEARTBEAT_LIMIT).contains(&self.heartbeat.as_secs()) {
            return Err(format!("heartbeat must be 1s to {HEARTBEAT_LIMIT}s"));
        }
        for kind in &self.kinds {
            if kind.is_empty() || kind == "*" {
                return Err("kinds: a name such as quality.report, or quality.*; [] is all".into());
            }
        }
        Ok(())
    }

    /// Where the broker is.
    pub(super) fn place(&self) -> Result<Place, String> {
        let Some(url) = &self.url else {
            let Some(host) = self.host.clone().filter(|host| !host.is_empty()) else {
                return Err("url or host is missing".into());
            };
            let tls = self.tls.unwrap_or(false);
            return Ok(Place {
                host,
                port: self.port.unwrap_or(if tls { 5671 } else { 5672 }),
                vhost: self.vhost.clone().unwrap_or_else(|| "/".into()),
                tls,
            });
        };
        if self.host.is_some() || self.port.is_some() || self.vhost.is_some() || self.tls.is_some()
        {
            return Err("url says host, port, vhost and tls: they cannot be there as well".into());
        }
        // The parser's own text could quote a password.
        let form = "url must read amqp://HOST:PORT/VHOST or amqps://HOST:PORT/VHOST";
        let uri: AMQPUri = url.parse().map_err(|_unquoted: String| form.to_owned())?;
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        if let Some((user, host)) = authority.rsplit_once('@') {
            if user.contains(':') {
                return Err("a password does not belong into url, which is shown: password_file \
                            or password_env says where it is"
                    .into());
            }
            if self.username.is_some() {
                return Err("the user stands in url and in username".into());
            }
            if host.is_empty() {
                return Err(form.into());
            }
        } else if authority.is_empty() {
            return Err(form.into());
        }
        Ok(Place {
            host: host_of(authority, uri.authority.host),
            port: uri.authority.port,
            vhost: uri.vhost,
            tls: uri.scheme == AMQPScheme::AMQPS,
        })
    }

    /// User of the broker.
    pub(super) fn username(&self) -> Option<String> {
        self.username.clone().or_else(|| {
            let (_, rest) = self.url.as_ref()?.split_once("://")?;
            if !rest.split(['/', '?']).next()?.contains('@') {
                return None;
            }
            let uri: AMQPUri = self.url.as_ref()?.parse().ok()?;
            Some(uri.authority.userinfo.username)
        })
    }

    /// The password, as it is now.
    pub(super) fn password(&self) -> Result<String, Trouble> {
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path)
                .map_err(|error| unreadable("password_file", path, &error))?;
            return Ok(text.lines().next().unwrap_or_default().to_owned());
        }
        let name = self.password_env.as_deref().unwrap_or_default();
        std::env::var(name).map_err(|_not_shown| {
            Trouble::lasting(
                "refused",
                format!("the environment has no variable {name}, which password_env names"),
            )
        })
    }

    /// Whether records of a kind are sent.
    pub(super) fn takes(&self, kind: &str) -> bool {
        self.kinds.is_empty()
            || self.kinds.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(beginning) => kind.starts_with(beginning),
                None => kind == wanted,
            })
    }
}

impl Default for RabbitMqConfiguration {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            vhost: None,
            tls: None,
            username: None,
            password_file: None,
            password_env: None,
            auth: Authentication::Plain,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            amqp_exchange: "mop".into(),
            declare: false,
            queue_type: QueueType::Quorum,
            queue_max_mib: 1024,
            queues: None,
            window: 256,
            max_message_mib: MESSAGE_MIB_LIMIT,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            nack_patience: Duration::from_secs(24 * 3600),
            kinds: Vec::new(),
        }
    }
}

/// A file of the configuration that cannot be read.
pub(super) fn unreadable(field: &str, path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::lasting("refused", format!("cannot read {field} {}: {error}", path.display()))
}

/// The parser knows domains only and puts `localhost` in the place of addresses.
fn host_of(authority: &str, parsed: String) -> String {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.to_owned();
    }
    let name = host.split(':').next().unwrap_or_default();
    if name.parse::<std::net::Ipv4Addr>().is_ok() { name.to_owned() } else { parsed }
}

/// AMQP's names have 255 bytes; the longest that is made of this one is `NAME.unrouted`.
const NAME_BYTES: usize = 240;
/// Beyond the knee of the curve at 256 a larger window wins little and repeats more after a fault.
const WINDOW_LIMIT: usize = 4_096;
/// What RabbitMQ 4 takes unless it is configured to take more.
const MESSAGE_MIB_LIMIT: u32 = 16;
/// AMQP counts it in 16 bits; longer than some minutes notices nothing.
const HEARTBEAT_LIMIT: u64 = 600;

#[cfg(test)]
mod tests {
    use super::{Place, RabbitMqConfiguration};

    #[test]
    fn the_place_of_a_broker_is_read_from_either_form() {
        let place = |host: &str, port, vhost: &str, tls| {
            Ok(Place { host: host.into(), port, vhost: vhost.into(), tls })
        };
        for (text, expected) in [
            (
                "url = \"amqp://broker.example:5673/mop\"",
                place("broker.example", 5673, "mop", false),
            ),
            ("url = \"amqp://127.0.0.1/%2f\"", place("127.0.0.1", 5672, "/", false)),
            ("url = \"amqps://node@[::1]:1/a\"", place("::1", 1, "a", true)),
            ("host = \"b\"\ntls = true", place("b", 5671, "/", true)),
            ("host = \"b\"\nvhost = \"v\"", place("b", 5672, "v", false)),
        ] {
            let configuration: RabbitMqConfiguration = toml::from_str(text).expect(text);
            assert_eq!(configuration.place(), expected, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said_with_a_remedy() {
        let base = "url = \"amqps://b/%2f\"\n";
        let user = "username = \"u\"\npassword_file = \"/p\"\n";
        for (text, words) in [
            (String::new(), "url or host is missing"),
            ("url = \"http://b/\"".into(), "url must read amqp://"),
            ("url = \"amqp:///x\"".into(), "url must read amqp://"),
            ("url = \"amqp://u:hidden@b/%2f\"".into(), "password does not belong into url"),
            (format!("{base}host = \"b\""), "cannot be there as well"),
            (format!("{base}password_file = \"/p\""), "username is missing"),
            (format!("{base}username = \"u\""), "password_file or password_env is missing"),
            (format!("{base}{user}password_env = \"E\""), "only one of"),
            (format!("{base}auth = \"external\""), "needs certificate_file"),
            (format!("{base}{user}certificate_file = \"/c\""), "belong together"),
            (format!("host = \"b\"\n{user}ca_file = \"/c\""), "are for TLS"),
            (format!("{base}{user}window = 0"), "window must be"),
            (format!("{base}{user}heartbeat = \"1h\""), "heartbeat must be"),
            (format!("{base}{user}max_message_mib = 64"), "max_message_mib must be"),
            (format!("{base}{user}amqp_exchange = \"\""), "amqp_exchange must have"),
            (format!("{base}{user}kinds = [\"*\"]"), "[] is all"),
        ] {
            let configuration: RabbitMqConfiguration = toml::from_str(&text).expect(&text);
            let error = configuration.check().expect_err(&text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hidden"), "a password is shown: {error}");
        }
        let good: RabbitMqConfiguration = toml::from_str(&format!("{base}{user}")).expect("good");
        assert_eq!(good.check(), Ok(()));
        assert!(toml::from_str::<RabbitMqConfiguration>("windows = 3").is_err());
    }

    #[test]
    fn kinds_are_named_whole_or_by_module() {
        let configuration: RabbitMqConfiguration =
            toml::from_str("kinds = [\"quality.*\", \"ops.ledger\"]").expect("read");
        for (kind, taken) in [
            ("quality.report", true),
            ("ops.ledger", true),
            ("ops.ledgers", false),
            ("data.call", false),
        ] {
            assert_eq!(configuration.takes(kind), taken, "{kind}");
        }
        assert!(RabbitMqConfiguration::default().takes("data.call"));
    }
}
