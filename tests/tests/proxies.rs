//! Servers and proxies that end TLS in ways of their own: HAProxy, which reads and writes through a
//! BIO of its own, and Apache, whose filters move cipher text when they see fit.

use std::{
    fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio,
    time::Duration,
};

use anyhow::{Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, bound, carried, curl,
    free_port, listening, observing, run, seen_at, tool,
};

#[test]
fn haproxy_is_seen_at_both_its_sides() -> Result<()> {
    if !observing("haproxy_is_seen_at_both_its_sides") {
        return Ok(());
    }
    let stage = Stage::set("haproxy")?;
    let folder = stage.folder.path();
    let files = format!("alias {}/$1;", folder.display());
    let upstream = Nginx::builder(folder).location("~ /([^/]+)$", &files).start()?;
    let (chain, port) = (folder.join("chain.pem"), free_port());
    let [certificate, key] = [stage.certificates.server(), stage.certificates.key()].map(fs::read);
    fs::write(&chain, [certificate?, key?].concat())?;
    let configuration = format!(
        "global\n maxconn 200\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         frontend tls\n bind 127.0.0.1:{port} ssl crt {} alpn h2,http/1.1\n default_backend files\n\
         backend files\n server one 127.0.0.1:{}\n",
        chain.display(),
        upstream.port()
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, configuration)?;
    let _haproxy = start("haproxy", &["-db", "-f", &file.to_string_lossy()], port)?;
    let exchanges = stage.download(port, 4)?;
    for version in VERSIONS {
        for body in &stage.bodies {
            let of_body = stage.of(&exchanges, version, body);
            let views = ["client/tls", "server/tls", "client/socket", "server/socket"];
            for exchange in seen_at(&of_body, &views)? {
                carried(exchange, exchange.response(), body)?;
            }
        }
    }
    Ok(())
}

#[test]
fn apache_is_seen() -> Result<()> {
    if !observing("apache_is_seen") {
        return Ok(());
    }
    let stage = Stage::set("apache")?;
    let tls = format!(
        "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\nProtocols h2 http/1.1\n",
        stage.certificates.server().display(),
        stage.certificates.key().display()
    );
    let (_apache, port) = stage.apache(" https", &tls)?;
    let exchanges = stage.download(port, 2)?;
    for version in VERSIONS {
        for body in &stage.bodies {
            for exchange in seen_at(&stage.of(&exchanges, version, body), &VIEWS)? {
                carried(exchange, exchange.response(), body)?;
                ensure!(exchange.server_port() == u64::from(port), "{}", exchange.record());
            }
        }
    }
    Ok(())
}

#[test]
fn http2_that_a_request_asked_for_is_seen() -> Result<()> {
    if !observing("http2_that_a_request_asked_for_is_seen") {
        return Ok(());
    }
    let stage = Stage::set("upgrade")?;
    let (_apache, port) = stage.apache("", "Protocols h2c http/1.1\n")?;
    let bodies: Vec<_> =
        stage.bodies.iter().filter(|body| body.bytes < MOST_BEHIND_AN_UPGRADE).collect();
    let observer = Observer::start()?;
    for body in &bodies {
        // Some versions of curl fail when they use such a connection again.
        let mut command = curl(&stage.certificates);
        command.arg("--http2").arg("--output").arg(stage.folder.path().join("got"));
        let url = format!("http://localhost:{port}{}", stage.target("h2c", body));
        run(command.arg(url), CALL_LIMIT)?;
    }
    let exchanges = stage.reported(observer, 2 * bodies.len())?;
    for body in bodies {
        let views = ["client/socket", "server/socket"];
        for exchange in seen_at(&stage.of(&exchanges, "h2c", body), &views)? {
            carried(exchange, exchange.response(), body)?;
            let version = &exchange.record()["response"]["version"];
            ensure!(version == "HTTP/2", "{}", exchange.record());
        }
    }
    Ok(())
}

/// curl gives up when more than that has come right behind the response that changes to HTTP/2.
const MOST_BEHIND_AN_UPGRADE: u64 = 32 << 10;

fn start(program: &str, arguments: &[&str], port: u16) -> Result<Process> {
    let mut command = bound(tool(program).unwrap_or_else(|| program.into()));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::start(program, &mut command)?;
    listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
    Ok(process)
}

/// Bodies of many sizes, and what calls are known by.
struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    marker: Marker,
    bodies: Vec<Body>,
}

impl Stage {
    fn set(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // Apache gives up its rights before it reads files.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let certificates = Certificates::create(folder.path())?;
        let sizes = [1, 2000, 16_384, 100_000, 2_000_000];
        let bodies = sizes.map(|bytes| readable(folder.path(), bytes));
        let bodies = bodies.into_iter().collect::<Result<_>>()?;
        Ok(Self { folder, certificates, marker: Marker::new(name), bodies })
    }

    /// Gets all bodies over one connection for each version; every call is to be seen so many times.
    fn download(&self, port: u16, views: usize) -> Result<Vec<Exchange>> {
        let observer = Observer::start()?;
        for version in VERSIONS {
            let mut command = curl(&self.certificates);
            // All of them are moved several times on this node: so fast that MOP keeps up.
            command.args([version, "--limit-rate", "32M"]);
            for body in &self.bodies {
                let url = format!("https://localhost:{port}{}", self.target(version, body));
                command.arg("--output").arg(self.folder.path().join("got")).arg(url);
            }
            run(&mut command, CALL_LIMIT)?;
        }
        self.reported(observer, views * VERSIONS.len() * self.bodies.len())
    }

    fn reported(&self, observer: Observer, count: usize) -> Result<Vec<Exchange>> {
        let prefix = self.marker.to_string();
        observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
        Ok(observer.stop()?.exchanges(&prefix))
    }

    /// An Apache that serves the bodies, and its port.
    fn apache(&self, protocol: &str, directives: &str) -> Result<(Process, u16)> {
        let port = free_port();
        let modules = ["mpm_event", "authz_core", "alias", "ssl", "http2"]
            .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
            .concat();
        let place = self.folder.path().display();
        let configuration = format!(
            "ServerRoot {place}\nServerName localhost\nPidFile {place}/pid\n\
             ErrorLog {place}/error.log\n{modules}Mutex posixsem\nUser nobody\nGroup nogroup\n\
             Listen 127.0.0.1:{port}{protocol}\nEnableSendfile Off\n{directives}\
             AliasMatch \"/([^/]+)$\" \"{place}/$1\"\n\
             <Directory \"{place}\">\nRequire all granted\n</Directory>\n"
        );
        let file = self.folder.path().join("apache.conf");
        fs::write(&file, configuration)?;
        let apache = start("apache2", &["-DFOREGROUND", "-f", &file.to_string_lossy()], port)?;
        Ok((apache, port))
    }

    fn target(&self, version: &str, body: &Body) -> String {
        self.marker.path(&format!("{version}/{}.bin", body.bytes))
    }

    fn of(&self, exchanges: &[Exchange], version: &str, body: &Body) -> Vec<Exchange> {
        let target = self.target(version, body);
        exchanges.iter().filter(|exchange| exchange.target() == target).cloned().collect()
    }
}

fn readable(folder: &Path, bytes: u64) -> Result<Body> {
    let body = Body::write(folder, &format!("{bytes}.bin"), bytes)?;
    fs::set_permissions(&body.path, fs::Permissions::from_mode(0o644))?;
    Ok(body)
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];
const VIEWS: [&str; 2] = ["client/tls", "server/tls"];
/// Where Debian has them.
const MODULES: &str = "/usr/lib/apache2/modules";
const CALL_LIMIT: Duration = Duration::from_secs(60);
const REPORT_LIMIT: Duration = Duration::from_secs(20);
