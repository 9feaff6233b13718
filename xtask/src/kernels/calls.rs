//! The calls that a client makes in the virtual machine, and what MOP must report about each.

use std::path::Path;

use anyhow::Result;
use mop_tests::{Body, Exchange};

/// One call over loopback with a body of known content.
#[derive(Debug)]
pub(super) struct Call {
    /// Also the last segment of its path.
    pub(super) name: &'static str,
    pub(super) body: Body,
    direction: Direction,
    server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Download,
    Upload,
}

/// One of the servers of [`SERVERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Plain,
    Tls,
    /// Hands a large body over to TLS in one call, which takes `bpf_loop` of Linux 5.17.
    TlsAtOnce,
}

impl Call {
    /// All calls, with their bodies in files of this folder.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        use Direction::{Download, Upload};
        [
            ("tls-download", DOWNLOAD_BYTES, Download, Server::Tls),
            ("tls-upload", UPLOAD_BYTES, Upload, Server::Tls),
            ("tls-at-once", AT_ONCE_BYTES, Download, Server::TlsAtOnce),
            ("plain-download", DOWNLOAD_BYTES, Download, Server::Plain),
            ("plain-upload", UPLOAD_BYTES, Upload, Server::Plain),
        ]
        .into_iter()
        .map(|(name, bytes, direction, server)| {
            let body = Body::write(folder, name, bytes)?;
            Ok(Self { name, body, direction, server })
        })
        .collect()
    }

    /// Whether a kernel of this version can show it whole.
    pub(super) fn is_shown_by(&self, version: (u32, u32)) -> bool {
        self.server != Server::TlsAtOnce || version >= FIRST_WITH_LOOPS
    }

    /// Where its body lies in the virtual machine.
    pub(super) fn body_path(&self) -> String {
        match self.direction {
            Direction::Download => format!("srv{}", self.target()),
            Direction::Upload => format!("uploads/{}", self.name),
        }
    }

    /// The line of the script that makes it.
    pub(super) fn command(&self) -> String {
        let address = match self.server {
            Server::Plain => "http://127.0.0.1:8080",
            Server::Tls => "https://127.0.0.1:8443",
            Server::TlsAtOnce => "https://127.0.0.1:8444",
        };
        let verb = match self.direction {
            Direction::Download => "download",
            Direction::Upload => "upload",
        };
        format!("{verb} {} {address}{}", self.name, self.target())
    }

    /// Whether this is what the client in the virtual machine said after it.
    pub(super) fn was_answered(&self, said: &str) -> bool {
        match self.direction {
            Direction::Download => said.split(' ').next() == Some(&self.body.sha256),
            Direction::Upload => said == self.status().to_string(),
        }
    }

    /// Of the exchanges of this call at one of its ends, how many are whole and right, and what is
    /// wrong with the others.
    pub(super) fn judge(&self, exchanges: &[Exchange], role: &str) -> (usize, Vec<String>) {
        let target = self.target();
        let seen = exchanges.iter().filter(|one| one.role() == role && one.target() == target);
        let mut right = 0;
        let mut problems = Vec::new();
        for exchange in seen {
            match self.problem(exchange) {
                None => right += 1,
                Some(problem) => problems.push(problem),
            }
        }
        (right, problems)
    }

    fn problem(&self, exchange: &Exchange) -> Option<String> {
        let message = match self.direction {
            Direction::Download => exchange.response(),
            Direction::Upload => exchange.request(),
        };
        let layer = if self.server == Server::Plain { "socket" } else { "tls" };
        let Body { bytes, sha256, .. } = &self.body;
        if exchange.layer() == layer
            && exchange.complete()
            && exchange.status() == self.status()
            && message.body_bytes() == *bytes
            && message.sha256() == sha256
        {
            return None;
        }
        Some(format!(
            "layer {}, complete {}, ending {}, status {}, {} of {bytes} bytes, {} of them missing, \
             digest {}",
            exchange.layer(),
            exchange.complete(),
            exchange.ending(),
            exchange.status(),
            message.body_bytes(),
            message.missing_bytes(),
            if message.sha256() == sha256 { "right" } else { "wrong" },
        ))
    }

    fn target(&self) -> String {
        format!("/open-insurance/kernels/{}", self.name)
    }

    fn status(&self) -> u64 {
        match self.direction {
            Direction::Download => 200,
            Direction::Upload => 201,
        }
    }
}

/// Neither is a multiple of a page, a TLS record or a buffer.
const DOWNLOAD_BYTES: u64 = 300_007;
const UPLOAD_BYTES: u64 = 150_001;
/// More than the 1 MiB of one call that is captured without `bpf_loop`.
const AT_ONCE_BYTES: u64 = 2_500_009;
const FIRST_WITH_LOOPS: (u32, u32) = (5, 17);

/// The settings of nginx: its servers take files from /srv and put files there.
pub(super) const SERVERS: &str = "user root;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /tmp/nginx.log warn;
events { worker_connections 64; }
http {
    access_log off;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;
    ssl_certificate /etc/server.pem;
    ssl_certificate_key /etc/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root /srv;
    dav_methods PUT;
    server { listen 127.0.0.1:8080; }
    server { listen 127.0.0.1:8443 ssl; }
    server { listen 127.0.0.1:8444 ssl; ssl_buffer_size 4m; output_buffers 1 4m; }
}
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(call: &Call, status: u64, bytes: u64) -> Value {
        let body = json!({ "bytes": bytes, "missing": 0, "sha256": call.body.sha256 });
        json!({
            "kind": "exchange", "role": "client", "transport": { "layer": "tls" },
            "completeness": { "complete": true, "ending": "complete" },
            "request": { "target": call.target(), "body": { "bytes": 0 } },
            "response": { "status": status, "body": body },
        })
    }

    #[test]
    fn only_whole_exchanges_are_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = Call::all(folder.path()).expect("calls");
        let call = calls.first().expect("a call");
        let judge = |records: &[Value], role| {
            let exchanges: Vec<Exchange> =
                records.iter().filter_map(Exchange::from_record).collect();
            let (right, problems) = call.judge(&exchanges, role);
            (right, problems.join(", "))
        };
        let right = record(call, 200, DOWNLOAD_BYTES);
        let short = record(call, 200, DOWNLOAD_BYTES - 1);
        let failed = record(call, 500, DOWNLOAD_BYTES);
        assert_eq!(judge(std::slice::from_ref(&right), "client"), (1, String::new()));
        assert_eq!(judge(std::slice::from_ref(&right), "server"), (0, String::new()));
        let (count, problems) = judge(&[right.clone(), short, right, failed], "client");
        assert_eq!(count, 2);
        assert!(problems.contains("300006 of 300007 bytes") && problems.contains("status 500"));
    }

    #[test]
    fn a_large_call_is_not_whole_before_loops() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = Call::all(folder.path()).expect("calls");
        let shown = |version| calls.iter().filter(|call| call.is_shown_by(version)).count();
        assert_eq!((shown((5, 16)), shown((5, 17))), (4, 5));
    }
}
