//! What both sides of a TLS connection said in clear text is known of every call.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{
    Certificates, Exchange, GoBuild, Marker, Nginx, Observation, Observer, Process, Script, bound,
    curl, free_port, go_program, mop_command, observing, python, run, until,
};
use serde_json::Value;

#[test]
fn every_library_is_understood_alike() -> Result<()> {
    if !observing("every_library_is_understood_alike") {
        return Ok(());
    }
    let stage = Stage::set("libraries", TLS_1_2_AND_1_3)?;
    // A program is known once it was seen running, a moment after its start.
    let program = go_program("peer", GoBuild::Plain)?;
    let mut server = bound(&program);
    server.arg("serve").arg(free_port().to_string()).arg(stage.folder.path());
    server.arg(stage.certificates.server()).arg(stage.certificates.key());
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _known = Process::start("peer", &mut server)?;
    let observer = Observer::start()?;
    let mut targets = Vec::new();
    let mut call = |name: &str, command: &dyn Fn(&str) -> Command| -> Result<()> {
        let target = stage.marker.path(name);
        run(&mut command(&stage.url(&target)), CALL_LIMIT)?;
        targets.push(target);
        Ok(())
    };
    let tls12 = ["--tlsv1.2", "--tls-max", "1.2", "--ciphers"];
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        call(suite, &|url| stage.curl(&[&tls12[..], &[suite, url]].concat()))?;
    }
    call("tls13", &|url| stage.curl(&["--tlsv1.3", url]))?;
    call("suite", &|url| stage.curl(&["--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", url]))?;
    call("offers-http2", &|url| stage.curl(&["--http2", url]))?;
    call("offers-nothing", &|url| stage.curl(&["--no-alpn", url]))?;
    call("nameless", &|url| stage.curl(&[&url.replace("localhost", "127.0.0.1")]))?;
    call("gnutls", &|url| {
        let mut command = bound("wget");
        command.args(["--no-config", "--quiet", "--no-proxy", "--output-document=/dev/null"]);
        command.arg("--ca-certificate").arg(stage.certificates.authority()).arg(url);
        command
    })?;
    call("go", &|url| {
        let mut command = bound(&program);
        command.args(["get", "1"]).arg(stage.certificates.authority()).arg(url);
        command
    })?;
    let expected = 2 * targets.len();
    let observation = stage.reported(observer, expected)?;
    let exchanges = observation.exchanges(&stage.marker.to_string());
    let said = stage.said()?;
    for target in &targets {
        let of_target: Vec<_> = exchanges.iter().filter(|it| it.target() == target).collect();
        ensure!(of_target.len() == 2, "{target}: {} exchanges", of_target.len());
        for exchange in &of_target {
            said.get(target.as_str()).context("not in the log")?.check(exchange)?;
        }
        let [one, other] = of_target.as_slice() else { continue };
        ensure!(tls(one) == tls(other), "{target}: {} and {}", one.record(), other.record());
    }
    let of = |name: &str| {
        let found = exchanges.iter().find(|it| it.target().ends_with(name));
        found.map(|found| tls(found).clone()).unwrap_or_default()
    };
    ensure!(of("/offers-http2")["alpn_offered"] == serde_json::json!(["h2", "http/1.1"]));
    ensure!(of("/offers-nothing")["alpn_offered"] == serde_json::json!([]));
    ensure!(of("/tls13")["alpn"] == Value::Null, "{}", of("/tls13"));
    ensure!(of("/ECDHE-ECDSA-AES128-GCM-SHA256")["alpn"] == "http/1.1");
    ensure!(of("/nameless")["ja4"].as_str().is_some_and(|ja4| ja4.starts_with("t13i")));
    let fingerprints = ["/tls13", "/gnutls", "/go"].map(|name| of(name)["ja4"].to_string());
    ensure!(fingerprints[0] != fingerprints[1] && fingerprints[1] != fingerprints[2]);
    Ok(())
}

#[test]
fn sixteen_at_once_of_changing_versions_are_never_mistaken() -> Result<()> {
    if !observing("sixteen_at_once_of_changing_versions_are_never_mistaken") {
        return Ok(());
    }
    let stage = Stage::set("at-once", "TLSv1.1 TLSv1.2 TLSv1.3")?;
    let observer = Observer::start()?;
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                let stage = &stage;
                scope.spawn(move || -> Result<()> {
                    for number in (worker..CONNECTIONS).step_by(AT_ONCE) {
                        let url = stage.url(&stage.marker.path(&number.to_string()));
                        let options = CHANGING[number % CHANGING.len()];
                        run(&mut stage.curl(&[options, &[&url]].concat()), CALL_LIMIT)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().ok().context("a worker panicked")??;
        }
        Ok(())
    })?;
    let observation = stage.reported(observer, 2 * CONNECTIONS)?;
    let exchanges = observation.exchanges(&stage.marker.to_string());
    let said = stage.said()?;
    let mut missing = 0;
    for exchange in &exchanges {
        if tls(exchange).is_null() {
            missing += 1;
        } else {
            said.get(exchange.target()).context("not in the log")?.check(exchange)?;
        }
    }
    ensure!(exchanges.len() == 2 * CONNECTIONS, "{} exchanges", exchanges.len());
    // Nothing but a full lane or a page that is not there hides a hello.
    ensure!(
        missing == 0 || observation.lost() > 0,
        "{missing} are missing: {}",
        observation.summary
    );
    Ok(())
}

#[test]
fn memory_bios_are_known_once_their_socket_is() -> Result<()> {
    if !observing("memory_bios_are_known_once_their_socket_is") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let (server, key) = (certificates.server(), certificates.key());
    let server = Script::serve("asyncio_peer.py", ["serve".into(), server, key] as [PathBuf; 3])?;
    let marker = Marker::new("memory-facts");
    let observer = Observer::start()?;
    let mut command = bound(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/asyncio_peer.py"));
    command.arg(server.port().to_string()).arg("call").arg(certificates.authority());
    command.arg(marker.to_string()).args(["8", "10"]);
    run(&mut command, CALL_LIMIT)?;
    let prefix = marker.to_string();
    observer.wait_for(160, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
    let exchanges = observer.stop()?.exchanges(&prefix);
    let mut unknown = 0;
    for exchange in &exchanges {
        let facts = tls(exchange);
        if facts.is_null() {
            unknown += 1;
            continue;
        }
        ensure!(exchange.client_port() != 0, "facts without a socket: {}", exchange.record());
        ensure!(facts["version"] == "TLS 1.3" && facts["sni"] == "localhost", "{facts}");
        ensure!(facts["cipher"] == "TLS_AES_256_GCM_SHA384", "{facts}");
    }
    // The first call of a connection may be over before two records have shown its socket.
    ensure!(unknown <= 16, "{unknown} of {} are unknown", exchanges.len());
    Ok(())
}

#[test]
fn a_second_hello_and_one_in_pieces_are_understood() -> Result<()> {
    if !observing("a_second_hello_and_one_in_pieces_are_understood") {
        return Ok(());
    }
    // The server wants another group than the one that the client has a key for.
    let stage = Stage::with("retry", TLS_1_2_AND_1_3, "ssl_ecdh_curve secp384r1;")?;
    let observer = Observer::start()?;
    let (retried, pieces) = (stage.marker.path("retried"), stage.marker.path("pieces"));
    run(&mut stage.curl(&[&stage.url(&retried)]), CALL_LIMIT)?;
    let script = format!(
        "printf 'GET {pieces} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | \
         openssl s_client -quiet -connect localhost:{} -servername localhost -max_send_frag 512 \
         -alpn {} -CAfile {}",
        stage.nginx.port(),
        (0..80).map(|number| format!("protocol-{number},")).collect::<String>() + "http/1.1",
        stage.certificates.authority().display()
    );
    run(bound("sh").args(["-c", &script]), CALL_LIMIT)?;
    let observation = stage.reported(observer, 4)?;
    let said = stage.said()?;
    for exchange in observation.exchanges(&stage.marker.to_string()) {
        ensure!(!tls(&exchange).is_null(), "{}", exchange.record());
        said.get(exchange.target()).context("not in the log")?.check(&exchange)?;
    }
    Ok(())
}

#[test]
fn an_old_version_is_a_finding() -> Result<()> {
    if !observing("an_old_version_is_a_finding") {
        return Ok(());
    }
    let stage = Stage::set("old-version", "TLSv1.1 TLSv1.2 TLSv1.3")?;
    let observer = Observer::start()?;
    for options in CHANGING {
        let url = stage.url("/open-insurance/consents/v3/consents/urn:example:1");
        run(&mut stage.curl(&[options, &[&url]].concat()), CALL_LIMIT)?;
    }
    let is_old = |record: &Value| {
        record["kind"] == "security.finding" && record["rule"] == "profile.tls_version_old"
    };
    let finding = observer.wait_for_record("finding", REPORT_LIMIT, is_old)?;
    ensure!(finding["places"][0] == "connection:version", "{finding}");
    let observation = observer.stop()?;
    let calls: Vec<_> = observation
        .exchanges("/open-insurance/consents/v3/consents/urn:example:1")
        .into_iter()
        .filter(|exchange| tls(exchange)["version"] == "TLS 1.1")
        .collect();
    ensure!(calls.len() == 2, "{} calls of TLS 1.1", calls.len());
    Ok(())
}

#[test]
fn a_capture_holds_them() -> Result<()> {
    if !observing("a_capture_holds_them") {
        return Ok(());
    }
    let stage = Stage::set("capture", TLS_1_2_AND_1_3)?;
    let capture = stage.folder.path().join("tls.mopcap");
    let mut command = mop_command();
    command.args(["record", "--yes", "--for", "6s", "--out"]).arg(&capture);
    let recorder = thread::spawn(move || run(&mut command, CALL_LIMIT));
    until("a capture", REPORT_LIMIT, || capture.exists())?;
    let target = stage.marker.path("page");
    // Probes are attached some time after the file is there.
    for _ in 0..20 {
        run(&mut stage.curl(&[&stage.url(&target)]), CALL_LIMIT)?;
        thread::sleep(Duration::from_millis(200));
    }
    recorder.join().ok().context("the recorder panicked")??;
    let mut command = mop_command();
    let printed = run(command.args(["replay", "--output", "jsonl"]).arg(&capture), CALL_LIMIT)?;
    let printed = String::from_utf8(printed.stdout)?;
    let records = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let exchanges: Vec<_> = records.filter_map(|record| Exchange::from_record(&record)).collect();
    let of_target: Vec<_> = exchanges.iter().filter(|it| it.target() == target).collect();
    let known: Vec<_> = of_target.iter().filter(|it| !tls(it).is_null()).collect();
    ensure!(known.len() >= 4, "{} of {} are known", known.len(), of_target.len());
    let said = stage.said()?;
    for exchange in known {
        said.get(target.as_str()).context("not in the log")?.check(exchange)?;
    }
    Ok(())
}

/// A server that logs what it knows of its connections.
struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    nginx: Nginx,
    marker: Marker,
    log: PathBuf,
}

/// What the server says of the connection of a call.
#[derive(Debug)]
struct Said {
    version: String,
    cipher: String,
    name: Option<String>,
}

impl Stage {
    fn set(name: &str, protocols: &str) -> Result<Self> {
        Self::with(name, protocols, "")
    }

    fn with(name: &str, protocols: &str, directives: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let log = folder.path().join("facts.log");
        let format = "log_format facts '$request_uri $ssl_protocol $ssl_cipher $ssl_server_name';";
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .protocols(protocols)
            .http(format)
            .http(directives)
            .location("/", &format!("access_log {} facts; return 200 $uri;", log.display()))
            .start()?;
        Ok(Self { folder, certificates, nginx, marker: Marker::new(name), log })
    }

    fn url(&self, target: &str) -> String {
        format!("https://localhost:{}{target}", self.nginx.port())
    }

    fn curl(&self, options: &[&str]) -> Command {
        let mut command = curl(&self.certificates);
        command.args(options.iter().map(OsString::from));
        command
    }

    fn reported(&self, observer: Observer, count: usize) -> Result<Observation> {
        let prefix = self.marker.to_string();
        observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
        observer.stop()
    }

    /// By target.
    fn said(&self) -> Result<HashMap<String, Said>> {
        let mut table = Command::new("openssl");
        table.args(["ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
        let table = String::from_utf8(run(&mut table, CALL_LIMIT)?.stdout)?;
        let names: HashMap<_, _> = table
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let registered = words.next()?;
                Some((words.nth(1)?, registered))
            })
            .collect();
        let log = fs::read_to_string(&self.log)?;
        log.lines()
            .map(|line| {
                let words: Vec<_> = line.split(' ').collect();
                let [target, version, cipher, name] = words.as_slice() else {
                    anyhow::bail!("a line of another form: {line}")
                };
                let said = Said {
                    version: version.replace("TLSv", "TLS "),
                    cipher: (*names.get(cipher).context("an unknown suite")?).to_owned(),
                    name: (*name != "-").then(|| (*name).to_owned()),
                };
                Ok(((*target).to_owned(), said))
            })
            .collect()
    }
}

impl Said {
    fn check(&self, exchange: &Exchange) -> Result<()> {
        let facts = tls(exchange);
        let is_same = facts["version"] == self.version.as_str()
            && facts["cipher"] == self.cipher.as_str()
            && facts["sni"].as_str() == self.name.as_deref();
        ensure!(is_same, "not {self:?}: {}", exchange.record());
        let is_whole = facts["ja4"].as_str().is_some_and(|ja4| ja4.len() == 36);
        ensure!(is_whole, "no fingerprint: {}", exchange.record());
        Ok(())
    }
}

fn tls(exchange: &Exchange) -> &Value {
    &exchange.record()["tls"]
}

const TLS_1_2_AND_1_3: &str = "TLSv1.2 TLSv1.3";
const CONNECTIONS: usize = 300;
const AT_ONCE: usize = 16;
/// Options of calls, one after the other.
const CHANGING: [&[&str]; 5] = [
    &["--tlsv1.3"],
    &["--tlsv1.2", "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    &["--tlsv1.1", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"],
    &["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"],
    &["--tlsv1.2", "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"],
];
const CALL_LIMIT: Duration = Duration::from_secs(60);
const REPORT_LIMIT: Duration = Duration::from_secs(30);
