//! `.exchanges.jsonl`: one exchange a line, the neutral input of tests and offline checks.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use mop_insight::data::{call::Ends, identity::certificate::CertificateFacts};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};
use serde::Deserialize;

use crate::{
    cli::ReportArguments,
    data::Circumstances,
    failure::Failure,
    pipeline::Reporter,
    record::{EndRecord, ExchangeRecord},
    summary::Totals,
};

pub(super) fn replay(
    file: &mut dyn Read,
    arguments: &ReportArguments,
    mut reporter: Reporter,
) -> Result<Totals, Failure> {
    let read = read_lines(file, arguments, &mut reporter);
    // What was read before an error is reported all the same.
    reporter.finish_inspection();
    if let Some(outlet) = &mut reporter.outlet {
        outlet.flush();
    }
    read?;
    Ok(Totals {
        counts: reporter.counts,
        inspected: reporter.inspector.map(|inspector| inspector.counts()),
        ..Totals::default()
    })
}

fn read_lines(
    file: &mut dyn Read,
    arguments: &ReportArguments,
    reporter: &mut Reporter,
) -> Result<(), Failure> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let length =
            (&mut reader).take(limit).read_until(b'\n', &mut line).map_err(Failure::runtime)?;
        if length == 0 {
            break;
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(Failure::runtime(format!(
                "line {number} is longer than {MAX_LINE_BYTES} bytes"
            )));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let read: ExchangeLine = serde_json::from_slice(&line).map_err(|error| {
            Failure::runtime(format!("line {number}: {}", without_value(&error)))
        })?;
        let exchange = read
            .exchange(arguments.body_digest)
            .map_err(|reason| Failure::runtime(format!("line {number}: {reason}")))?;
        reporter.counts.count(&exchange);
        let certificate = read.certificate();
        let seen = read.circumstances(certificate.as_ref());
        reporter.account(&read.id, &exchange, seen);
        if reporter.selection.wants(&exchange) {
            reporter.counts.reported += 1;
            let mut record = ExchangeRecord::new(
                Arc::clone(&read.id),
                &exchange,
                None,
                reporter.clock,
                reporter.payload,
            );
            record.client = read.client.as_ref().and_then(Peer::end);
            record.server = read.server.as_ref().and_then(Peer::end);
            // A line that does not say when, and between whom, is a call by itself.
            let is_placed = read.ts.is_some() && exchange.connection != 0;
            reporter.deliver(&record, &exchange, is_placed.then_some(seen));
        }
    }
    Ok(())
}

/// serde_json's message may quote the value that it did not like: say what kind of error, where.
fn without_value(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "cannot be read",
        serde_json::error::Category::Syntax => "is not JSON",
        serde_json::error::Category::Data => "does not have the fields of an exchange",
        serde_json::error::Category::Eof => "ends early",
    };
    format!("it {what} (column {})", error.column())
}

#[derive(Debug, Deserialize)]
struct ExchangeLine {
    id: Arc<str>,
    #[serde(default)]
    ts: Option<Timestamp>,
    #[serde(default)]
    duration_ms: Option<f64>,
    #[serde(default)]
    role: LineRole,
    #[serde(default)]
    client: Option<Peer>,
    #[serde(default)]
    server: Option<Peer>,
    #[serde(default)]
    request: Option<RequestLine>,
    #[serde(default)]
    response: Option<ResponseLine>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineRole {
    Client,
    #[default]
    Server,
}

#[derive(Debug, Deserialize)]
struct Peer {
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    /// The certificate that it showed.
    #[serde(default)]
    cert_pem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RequestLine {
    method: String,
    target: String,
    #[serde(flatten)]
    message: MessageLine,
}

#[derive(Debug, Deserialize)]
struct ResponseLine {
    status: u16,
    #[serde(flatten)]
    message: MessageLine,
}

#[derive(Debug, Deserialize)]
struct MessageLine {
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_encoding: Option<BodyEncoding>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BodyEncoding {
    Base64,
}

impl ExchangeLine {
    /// What is known of the exchange beside its bytes.
    fn circumstances<'a>(&self, certificate: Option<&'a CertificateFacts>) -> Circumstances<'a> {
        Circumstances {
            ends: self.ends(),
            peer_certificate: certificate,
            ..Circumstances::default()
        }
    }

    /// The certificate of the other side.
    fn certificate(&self) -> Option<CertificateFacts> {
        let [_, remote] = self.peers();
        CertificateFacts::from_pem(remote?.cert_pem.as_deref()?).ok()
    }

    fn ends(&self) -> Ends {
        let [local, remote] = self.peers().map(|peer| peer.and_then(Peer::address));
        Ends { local, remote }
    }

    /// The observed process, and the other side.
    fn peers(&self) -> [Option<&Peer>; 2] {
        let (client, server) = (self.client.as_ref(), self.server.as_ref());
        match self.role {
            LineRole::Client => [client, server],
            LineRole::Server => [server, client],
        }
    }

    /// Lines of the same side and ends are of one connection; 0 where an end is not known.
    fn connection(&self) -> u64 {
        let Ends { local: Some(local), remote: Some(remote) } = self.ends() else { return 0 };
        let mut hasher = DefaultHasher::new();
        (matches!(self.role, LineRole::Client), local, remote).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

impl Peer {
    fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip.as_deref()?.parse().ok()?, self.port?))
    }

    fn end(&self) -> Option<EndRecord> {
        Some(EndRecord { ip: self.ip.clone()?, port: self.port? })
    }
}

impl ExchangeLine {
    fn exchange(&self, digest: bool) -> Result<Exchange, &'static str> {
        if self.request.is_none() && self.response.is_none() {
            return Err("it has neither a request nor a response");
        }
        let start_ns =
            self.ts.and_then(|ts| u64::try_from(ts.as_nanosecond()).ok()).unwrap_or_default();
        let end_ns = start_ns.saturating_add(nanoseconds(self.duration_ms.unwrap_or_default())?);
        let request = self
            .request
            .as_ref()
            .map(|request| {
                Ok::<_, &'static str>(Request {
                    method: request.method.clone().into(),
                    target: request.target.clone(),
                    version: Version::Http11,
                    headers: request.message.headers(),
                    body: request.message.body(digest)?,
                    anomalies: Anomalies::default(),
                })
            })
            .transpose()?;
        let response = self
            .response
            .as_ref()
            .map(|response| {
                if !(100..=999).contains(&response.status) {
                    return Err("its status is not of three digits");
                }
                Ok(Response {
                    status: response.status,
                    version: Version::Http11,
                    headers: response.message.headers(),
                    body: response.message.body(digest)?,
                    anomalies: Anomalies::default(),
                })
            })
            .transpose()?;
        let ending = match (&request, &response) {
            (Some(_), Some(_)) => Ending::Complete,
            (Some(_), None) => Ending::ResponseCut,
            (None, _) => Ending::RequestUnseen,
        };
        let seen = |body: Option<&Body>| Seen {
            framed_bytes: body.map_or(0, |body| body.length),
            ..Seen::default()
        };
        Ok(Exchange {
            connection: self.connection(),
            sequence: 0,
            role: match self.role {
                LineRole::Client => Role::Client,
                LineRole::Server => Role::Server,
            },
            timing: Timing {
                request_start_ns: start_ns,
                request_end_ns: start_ns,
                response_start_ns: if response.is_some() { start_ns } else { 0 },
                response_end_ns: if response.is_some() { end_ns } else { 0 },
            },
            completeness: Completeness {
                request: seen(request.as_ref().map(|request| &request.body)),
                response: seen(response.as_ref().map(|response| &response.body)),
                ending,
                resynchronised: false,
            },
            request,
            response,
            interim: Vec::new(),
        })
    }
}

impl MessageLine {
    fn headers(&self) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name, value.as_bytes());
        }
        headers
    }

    fn body(&self, digest: bool) -> Result<Body, &'static str> {
        let bytes = match (&self.body, self.body_encoding) {
            (None, _) => Vec::new(),
            (Some(text), None) => text.clone().into_bytes(),
            (Some(text), Some(BodyEncoding::Base64)) => {
                STANDARD.decode(text).map_err(|_quotes_the_body| "its body is not base64")?
            }
        };
        Ok(Body::whole(bytes, digest))
    }
}

/// Milliseconds of a duration as nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a duration of less than a year before"
)]
fn nanoseconds(milliseconds: f64) -> Result<u64, &'static str> {
    if !(0.0..MAX_DURATION_MS).contains(&milliseconds) {
        return Err("its duration_ms is not a duration");
    }
    Ok((milliseconds * 1e6) as u64)
}

/// A year.
const MAX_DURATION_MS: f64 = 365.0 * 24.0 * 3_600_000.0;

/// Two bodies of 64 MiB in base64 and room for headers.
const MAX_LINE_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Exchange, String> {
        let read: ExchangeLine =
            serde_json::from_str(line).map_err(|error| without_value(&error))?;
        read.exchange(true).map_err(str::to_owned)
    }

    #[test]
    fn a_full_line_is_a_complete_exchange() {
        let exchange = parse(
            r#"{"id":"e1","ts":"2026-11-24T12:00:00Z","duration_ms":12.5,"role":"server",
            "client":{"ip":"10.0.0.7","port":40112,"cert_pem":null},
            "request":{"method":"POST","target":"/x","headers":[["content-type","text/plain"]],"body":"hi"},
            "response":{"status":201,"body":"aGk=","body_encoding":"base64"}}"#,
        )
        .expect("well-formed");
        assert!(exchange.completeness.is_complete());
        assert_eq!(exchange.timing.response_end_ns - exchange.timing.request_start_ns, 12_500_000);
        assert_eq!(exchange.response.expect("there").body.bytes, b"hi");
    }

    #[test]
    fn missing_parts_are_incomplete_and_never_invented() {
        let exchange =
            parse(r#"{"id":"e","request":{"method":"GET","target":"/"}}"#).expect("well-formed");
        assert!(!exchange.completeness.is_complete());
        assert_eq!(exchange.timing.response_end_ns, 0);
    }

    #[test]
    fn errors_quote_no_value() {
        for bad in [
            r#"{"id":"e"}"#,
            r#"{"id":7,"request":{"method":"secret","target":"/"}}"#,
            r#"{"id":"e","response":{"status":20}}"#,
            r#"{"id":"e","response":{"status":200,"body":"secret!","body_encoding":"base64"}}"#,
            r#"{"id":"e","duration_ms":-1,"response":{"status":200}}"#,
            "secret",
        ] {
            let error = parse(bad).expect_err(bad);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
