//! What the errors of a connection mean: whether they pass by themselves, and what helps.
//!
//! The broker's own words are kept: they name exchanges, queues and users, never a message.

use std::io;

use lapin::{Error, ErrorKind, protocol::AMQPError};

use crate::sinks::Trouble;

/// The trouble behind an error, and what was being done.
pub(super) fn trouble(doing: &str, error: &Error) -> Trouble {
    match error.kind() {
        ErrorKind::IOError(error) => io_trouble(doing, error),
        ErrorKind::ProtocolError(error) => protocol_trouble(doing, error),
        ErrorKind::MissingHeartbeatError => {
            Trouble::passing("silent", format!("{doing}: the broker shows no sign of life"))
        }
        ErrorKind::AuthProviderError(_) => Trouble::lasting("refused", format!("{doing}: {error}")),
        ErrorKind::InvalidProtocolVersion(_) => Trouble::lasting(
            "protocol",
            format!("{doing}: {error}; what answers there does not speak AMQP 0-9-1"),
        ),
        _ => Trouble::passing("lost", format!("{doing}: {error}")),
    }
}

/// How much an error says about the cause: of several that one event leads to, the best is told.
pub(super) fn telling(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::ProtocolError(_) => 3,
        ErrorKind::MissingHeartbeatError => 2,
        ErrorKind::IOError(_) => 1,
        _ => 0,
    }
}

/// Whether the broker says that something is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}

fn io_trouble(doing: &str, error: &io::Error) -> Trouble {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(cause)) => Trouble::lasting(
            "certificate",
            format!(
                "{doing}: the broker's certificate is not accepted ({cause:?}): ca_file must name \
                 the authority that signed it, and it must be valid for the host that is called"
            ),
        ),
        Some(rustls::Error::AlertReceived(alert)) => Trouble::lasting(
            "certificate",
            format!(
                "{doing}: the broker refuses TLS ({alert:?}): it may want another client \
                 certificate in certificate_file, or a valid one"
            ),
        ),
        Some(rustls::Error::InvalidMessage(_)) => Trouble::lasting(
            "protocol",
            format!("{doing}: what answers there does not speak TLS: the port may be wrong"),
        ),
        Some(other) => Trouble::lasting("certificate", format!("{doing}: {other}")),
        None => match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                Trouble::passing("lost", format!("{doing}: the connection was closed ({error})"))
            }
            io::ErrorKind::TimedOut => Trouble::passing("silent", format!("{doing}: {error}")),
            _ => Trouble::passing("unreachable", format!("{doing}: {error}")),
        },
    }
}

fn protocol_trouble(doing: &str, error: &AMQPError) -> Trouble {
    let text = error.get_message();
    match error.get_id() {
        ACCESS_REFUSED => Trouble::lasting(
            "refused",
            format!("{doing}: {text}; the user, its password or its permissions are not right"),
        ),
        NOT_ALLOWED => Trouble::lasting(
            "refused",
            format!("{doing}: {text}; the virtual host must exist and the user must be let in"),
        ),
        NOT_FOUND => Trouble::lasting(
            "topology",
            format!(
                "{doing}: {text}; import deploy/rabbitmq/definitions.json or set declare = true"
            ),
        ),
        PRECONDITION_FAILED => Trouble::lasting(
            "topology",
            format!("{doing}: {text}; it is there, but not as it should be"),
        ),
        CONNECTION_FORCED => Trouble::passing("lost", format!("{doing}: {text}")),
        _ => Trouble::passing("broker", format!("{doing}: {text}")),
    }
}

// AMQP 0-9-1, section 1.2.1 of its XML definition: reply codes.
const CONNECTION_FORCED: u16 = 320;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;
