//! Bodies of every length arrive byte for byte, whatever server and client carry them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, Script, bound, carried, curl,
    free_port, listening, observing, run, seen_at,
};
use tempfile::TempDir;

#[test]
fn nginx_serves_every_length_over_tls_1_3() -> Result<()> {
    nginx_serves("nginx_serves_every_length_over_tls_1_3", "1.3", SIZES)
}

#[test]
fn nginx_serves_every_length_over_tls_1_2() -> Result<()> {
    nginx_serves("nginx_serves_every_length_over_tls_1_2", "1.2", UP_TO_8_MIB)
}

fn nginx_serves(test: &str, version: &str, sizes: &[u64]) -> Result<()> {
    if !observing(test) {
        return Ok(());
    }
    let stage = Stage::new(sizes)?;
    let nginx = Nginx::builder(stage.folder())
        .tls(&stage.certificates)
        .location("~ /file/([^/]+)$", &format!("alias {}/$1;", stage.folder().display()))
        .start()?;
    let base = format!("https://localhost:{}", nginx.port());
    stage.downloads(&base, "file", &["--tls-max", version], &["client/tls", "server/tls"])
}

#[test]
fn nginx_stores_every_length_over_tls() -> Result<()> {
    if !observing("nginx_stores_every_length_over_tls") {
        return Ok(());
    }
    let stage = Stage::new(SIZES)?;
    let store = stage.folder().join("store");
    let nginx = Nginx::builder(stage.folder())
        .tls(&stage.certificates)
        .location(
            "/",
            &format!("root {}; dav_methods PUT; create_full_put_path on;", store.display()),
        )
        .start()?;
    let base = format!("https://localhost:{}", nginx.port());
    let stored = |marker: &Marker, body: &Body| {
        let name = body.path.file_name().context("a body has a name")?;
        let path = store.join(marker.path("").trim_start_matches('/')).join(name);
        ensure!(Body::digest_of(&path)? == body.sha256, "nginx stored something else");
        Ok(())
    };
    stage.uploads(&base, &[], &["client/tls", "server/tls"], stored)
}

#[test]
fn a_proxy_is_seen_on_both_of_its_sides() -> Result<()> {
    if !observing("a_proxy_is_seen_on_both_of_its_sides") {
        return Ok(());
    }
    let stage = Stage::new(SIZES)?;
    let backend = Script::serve("http_server.py", [stage.folder()])?;
    let nginx = Nginx::builder(stage.folder())
        .tls(&stage.certificates)
        .location(
            "/",
            &format!(
                "proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; \
                 proxy_set_header Connection ''; proxy_request_buffering off;",
                backend.port()
            ),
        )
        .start()?;
    let base = format!("https://localhost:{}", nginx.port());
    let views = ["client/tls", "server/tls", "client/socket", "server/socket"];
    stage.downloads(&base, "file", &[], &views)?;
    stage.uploads(&base, &[], &views, |_, _| Ok(()))
}

#[test]
fn python_over_tls_in_every_framing() -> Result<()> {
    if !observing("python_over_tls_in_every_framing") {
        return Ok(());
    }
    let stage = Stage::new(SIZES)?;
    let server = Script::serve(
        "http_server.py",
        [stage.folder(), &stage.certificates.server(), &stage.certificates.key()],
    )?;
    let base = format!("https://localhost:{}", server.port());
    let views = ["client/tls", "server/tls"];
    stage.downloads(&base, "file", &[], &views)?;
    stage.downloads(&base, "chunked", &[], &views)?;
    stage.uploads(&base, &[], &views, |_, _| Ok(()))
}

#[test]
fn python_over_plain_sockets_in_every_framing() -> Result<()> {
    if !observing("python_over_plain_sockets_in_every_framing") {
        return Ok(());
    }
    let stage = Stage::new(UP_TO_8_MIB)?;
    let server = Script::serve("http_server.py", [stage.folder()])?;
    let base = format!("http://localhost:{}", server.port());
    let views = ["client/socket", "server/socket"];
    for framing in ["file", "chunked", "close", "writev"] {
        stage.downloads(&base, framing, &[], &views)?;
    }
    stage.uploads(&base, &[], &views, |_, _| Ok(()))?;
    stage.uploads(&base, &["--header", "transfer-encoding: chunked"], &views, |_, _| Ok(()))
}

#[test]
fn node_with_its_own_openssl() -> Result<()> {
    if !observing("node_with_its_own_openssl") {
        return Ok(());
    }
    let stage = Stage::new(SIZES)?;
    let server = Script::serve(
        "node_server.js",
        [stage.folder(), &stage.certificates.server(), &stage.certificates.key()],
    )?;
    let base = format!("https://localhost:{}", server.port());
    let views = ["client/tls", "server/tls"];
    stage.downloads(&base, "file", &[], &views)?;
    stage.downloads(&base, "chunked", &[], &views)?;
    stage.uploads(&base, &[], &views, |_, _| Ok(()))
}

#[test]
fn node_over_plain_sockets() -> Result<()> {
    if !observing("node_over_plain_sockets") {
        return Ok(());
    }
    let stage = Stage::new(UP_TO_8_MIB)?;
    let server = Script::serve("node_server.js", [stage.folder()])?;
    let base = format!("http://localhost:{}", server.port());
    let views = ["client/socket", "server/socket"];
    stage.downloads(&base, "file", &[], &views)?;
    stage.downloads(&base, "chunked", &[], &views)?;
    stage.uploads(&base, &[], &views, |_, _| Ok(()))
}

/// `s_server` sends what it is given on standard input, so that this test writes the responses. (With
/// `-WWW` it answers by itself, but through a BIO of libssl that passes by the probed functions.)
#[test]
fn openssl_s_server_is_seen_as_a_server() -> Result<()> {
    if !observing("openssl_s_server_is_seen_as_a_server") {
        return Ok(());
    }
    let stage = Stage::new(&[0, 1, 513, 16_385, 65_537, MIB, 8 * MIB])?;
    let port = free_port();
    let mut command = bound("openssl");
    command
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"])
        .arg(stage.certificates.server())
        .arg("-key")
        .arg(stage.certificates.key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut server = Process::start("openssl s_server", &mut command)?;
    let mut answers = server.stdin().context("no standard input")?;
    let mut requests = BufReader::new(server.stdout().context("no standard output")?);
    listening(([127, 0, 0, 1], port).into())?;

    let marker = Marker::new("s-server");
    let observer = Observer::start()?;
    for body in &stage.bodies {
        let url = format!("https://localhost:{port}{}", marker.path(&file_name(body)?));
        let got = stage.folder().join("got");
        let mut command = stage.curl(paced(body));
        command.arg("--output").arg(&got).arg(url);
        let mut client = Process::start("curl", &mut command)?;
        let mut line = String::new();
        while requests.read_line(&mut line)? > 2 {
            line.clear();
        }
        write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.bytes)?;
        answers.write_all(&fs::read(&body.path)?)?;
        answers.flush()?;
        ensure!(client.wait(CALL_LIMIT)?.success(), "curl got no answer");
        if body.bytes > 0 {
            ensure!(Body::digest_of(&got)? == body.sha256, "curl got something else");
        }
    }
    stage.check(observer, &marker, "", &["client/tls", "server/tls"], |exchange, body| {
        carried(exchange, exchange.response(), body)
    })
}

#[test]
fn openssl_s_client_is_seen_as_a_client() -> Result<()> {
    if !observing("openssl_s_client_is_seen_as_a_client") {
        return Ok(());
    }
    let stage = Stage::new(&[0, 513, 65_537, 1 << 20])?;
    let nginx = Nginx::builder(stage.folder())
        .tls(&stage.certificates)
        .location("~ /file/([^/]+)$", &format!("alias {}/$1;", stage.folder().display()))
        .start()?;
    let marker = Marker::new("s-client");
    let observer = Observer::start()?;
    for body in &stage.bodies {
        let target = marker.path(&format!("file/{}", file_name(body)?));
        let request = stage.folder().join("request");
        fs::write(
            &request,
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )?;
        let script = format!(
            "exec openssl s_client -quiet -connect 127.0.0.1:{} -CAfile {} < {} 2>/dev/null",
            nginx.port(),
            stage.certificates.authority().display(),
            request.display()
        );
        run(Command::new("sh").args(["-c", &script]), CALL_LIMIT)?;
    }
    let prefix = marker.to_string();
    observer.wait_for(2 * stage.bodies.len(), REPORT_LIMIT, |exchange| {
        exchange.target().starts_with(&prefix)
    })?;
    let observation = observer.stop()?;
    for body in &stage.bodies {
        let target = marker.path(&format!("file/{}", file_name(body)?));
        let exchanges = observation.exchanges(&target);
        let exact: Vec<Exchange> =
            exchanges.into_iter().filter(|one| one.target() == target).collect();
        for exchange in seen_at(&exact, &["client/tls", "server/tls"])? {
            carried(exchange, exchange.response(), body)?;
        }
    }
    Ok(())
}

/// A folder with certificates and bodies.
struct Stage {
    folder: TempDir,
    certificates: Certificates,
    bodies: Vec<Body>,
}

impl Stage {
    fn new(sizes: &[u64]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let bodies = sizes
            .iter()
            .enumerate()
            .map(|(number, bytes)| Body::write(folder.path(), &format!("body-{number}"), *bytes))
            .collect::<Result<_>>()?;
        Ok(Self { folder, certificates, bodies })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every body is downloaded once and seen at each view.
    fn downloads(&self, base: &str, how: &str, options: &[&str], views: &[&str]) -> Result<()> {
        let marker = Marker::new("download");
        let got = self.folder().join("got");
        let observer = Observer::start()?;
        for body in &self.bodies {
            let url = format!("{base}{}", marker.path(&format!("{how}/{}", file_name(body)?)));
            let mut command = self.curl(options);
            command.args(paced(body)).arg("--output").arg(&got).arg(url);
            run(&mut command, CALL_LIMIT)?;
            // curl makes no file for a body without bytes.
            if body.bytes > 0 {
                ensure!(Body::digest_of(&got)? == body.sha256, "curl got something else");
            }
        }
        self.check(observer, &marker, how, views, |exchange, body| {
            carried(exchange, exchange.response(), body)
        })
    }

    /// Every body is uploaded once, stored by the server and seen at each view.
    fn uploads(
        &self,
        base: &str,
        options: &[&str],
        views: &[&str],
        stored: impl Fn(&Marker, &Body) -> Result<()>,
    ) -> Result<()> {
        let marker = Marker::new("upload");
        let observer = Observer::start()?;
        for body in &self.bodies {
            let url = format!("{base}{}", marker.path(&file_name(body)?));
            let upload = if body.bytes == 0 {
                // For --upload-file of an empty file curl never ends a chunked body.
                vec!["--request".into(), "PUT".into(), "--data-binary".into(), PathBuf::new()]
            } else {
                vec!["--upload-file".into(), body.path.clone()]
            };
            let mut command = self.curl(options);
            command.args(paced(body));
            // Dav answers 201 or 204, the scripts answer with the digest they computed.
            let output = run(command.args(upload).arg("--fail").arg(url), CALL_LIMIT)?;
            let answer = String::from_utf8_lossy(&output.stdout);
            if answer.contains("sha256") {
                ensure!(answer.contains(&body.sha256), "the server got something else: {answer}");
            }
            stored(&marker, body)?;
        }
        self.check(observer, &marker, "", views, |exchange, body| {
            carried(exchange, exchange.request(), body)
        })
    }

    fn check(
        &self,
        observer: Observer,
        marker: &Marker,
        how: &str,
        views: &[&str],
        verify: impl Fn(&Exchange, &Body) -> Result<()>,
    ) -> Result<()> {
        let prefix = marker.to_string();
        observer.wait_for(self.bodies.len() * views.len(), REPORT_LIMIT, |exchange| {
            exchange.target().starts_with(&prefix)
        })?;
        let observation = observer.stop()?;
        for body in &self.bodies {
            let name = file_name(body)?;
            let target = marker.path(&if how.is_empty() { name } else { format!("{how}/{name}") });
            let exchanges: Vec<Exchange> = observation
                .exchanges(&target)
                .into_iter()
                .filter(|exchange| exchange.target() == target)
                .collect();
            for exchange in seen_at(&exchanges, views)? {
                verify(exchange, body)
                    .with_context(|| format!("{} bytes, {}", body.bytes, exchange.role()))?;
            }
        }
        Ok(())
    }

    fn curl(&self, options: &[&str]) -> Command {
        let mut command = curl(&self.certificates);
        command.args(options);
        command
    }
}

/// Options of curl that keep a long body from outrunning MOP.
fn paced(body: &Body) -> &'static [&'static str] {
    if body.bytes < MIB { &[] } else { &["--limit-rate", PACE] }
}

fn file_name(body: &Body) -> Result<String> {
    Ok(body.path.file_name().context("a body has a name")?.to_string_lossy().into_owned())
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Around powers of two up to the largest segment: of a cache line, a page and a TLS record.
const SIZES: &[u64] = &[
    0,
    1,
    511,
    512,
    513,
    4 * KIB - 1,
    4 * KIB,
    4 * KIB + 1,
    16 * KIB - 1,
    16 * KIB,
    16 * KIB + 1,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    MIB,
    8 * MIB,
    64 * MIB,
];
/// All but the longest, which takes seconds.
const UP_TO_8_MIB: &[u64] = SIZES.split_at(SIZES.len() - 1).0;
/// Bytes a second. On two cores that they share with MOP, server and client together can move more
/// than can be read; what is lost then is counted, which other tests look at. Here every byte counts.
const PACE: &str = "25M";
const CALL_LIMIT: Duration = Duration::from_secs(120);
const REPORT_LIMIT: Duration = Duration::from_secs(20);
