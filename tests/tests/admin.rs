//! The admin listener of a real daemon: what it tells, and how it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Marker, Nginx, Observer, Process, free_port, mop_command, observing, shared_folder, skip, tool,
    until,
};
use serde_json::Value;

#[test]
fn metrics_count_the_calls_of_a_server() -> Result<()> {
    const TEST: &str = "metrics_count_the_calls_of_a_server";
    if !observing(TEST) {
        return Ok(());
    }
    let address = format!("127.0.0.1:{}", free_port());
    let observer = Observer::builder().args(&["--admin", &address]).start()?;
    let ready = get(&address, "/readyz", "")?;
    ensure!(ready.status == 200 && ready.json()?["status"] == "ok", "{}", ready.body);
    ensure!(get(&address, "/healthz", "")?.status == 200);

    let before = samples(&get(&address, "/metrics", "")?.body)?;
    let folder = tempfile::tempdir()?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 204;").start()?;
    let marker = Marker::new("metrics");
    let server_address = format!("127.0.0.1:{}", nginx.port());
    for number in 0..CALLS {
        let answer = get(&server_address, &marker.path(&format!("call-{number}")), "")?;
        ensure!(answer.status == 204, "{}", answer.head);
    }
    let prefix = marker.to_string();
    observer.wait_for(CALLS, LIMIT, |exchange| {
        exchange.target().starts_with(&prefix) && exchange.role() == "server"
    })?;
    let server = "mop_exchanges_total{role=\"server\",ending=\"complete\"}";
    // Workers publish after the batch whose records are seen here.
    until("the count of calls", LIMIT, || {
        let counted = |samples: &BTreeMap<String, f64>| samples.get(server).copied().unwrap_or(0.0);
        get(&address, "/metrics", "")
            .and_then(|answer| samples(&answer.body))
            .is_ok_and(|now| counted(&now) - counted(&before) >= CALLS as f64)
    })?;
    let after = samples(&get(&address, "/metrics", "")?.body)?;
    let number = |name: &str| after.get(name).copied().unwrap_or(f64::NAN);
    ensure!(number("mop_capture_bytes_total") > 0.0);
    ensure!(number("mop_self_cpu_seconds_total") > 0.0);
    ensure!(number("mop_self_resident_memory_bytes") > 1e6);
    ensure!(number("mop_rules_operations") > 100.0);
    ensure!(number("mop_ready") == 1.0 && number("mop_alive") == 1.0);
    observer.stop()?;
    ensure!(TcpStream::connect(&address).is_err(), "it still listens");
    Ok(())
}

#[test]
fn metrics_obey_the_rules_of_both_text_forms() -> Result<()> {
    const TEST: &str = "metrics_obey_the_rules_of_both_text_forms";
    if !observing(TEST) {
        return Ok(());
    }
    let address = format!("127.0.0.1:{}", free_port());
    let observer = Observer::builder().args(&["--admin", &address]).start()?;
    let old = get(&address, "/metrics", "text/plain;version=0.0.4")?;
    let open = get(&address, "/metrics", "application/openmetrics-text;version=1.0.0")?;
    observer.stop()?;
    ensure!(old.head.contains("text/plain; version=0.0.4"), "{}", old.head);
    ensure!(open.head.contains("application/openmetrics-text; version=1.0.0"), "{}", open.head);
    match tool("promtool") {
        Some(promtool) => {
            let mut command = Command::new(promtool);
            let said = with_input(command.args(["check", "metrics"]), &old.body)?;
            ensure!(said.is_empty(), "promtool: {said}");
        }
        None => skip(TEST, "promtool is not installed (Debian's package prometheus)"),
    }
    let reader = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        print(sum(1 for _ in read(sys.stdin.read())))";
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        with_input(Command::new(python).args(["-c", "import prometheus_client"]), "").is_ok()
    });
    let Some(python) = python else {
        skip(TEST, "Python has no prometheus_client (Debian's package python3-prometheus-client)");
        return Ok(());
    };
    let families = with_input(Command::new(python).args(["-c", reader]), &open.body)?;
    ensure!(families.trim().parse::<usize>()? > 40, "OpenMetrics: {families}");
    Ok(())
}

#[test]
fn the_documents_name_every_metric_and_only_those() -> Result<()> {
    const TEST: &str = "the_documents_name_every_metric_and_only_those";
    if !observing(TEST) {
        return Ok(());
    }
    let folder = shared_folder()?;
    let address = format!("127.0.0.1:{}", free_port());
    // With every part that has metrics.
    let configuration = folder.path().join("mop.toml");
    let indicators = folder.path().join("indicators.txt");
    fs::write(&indicators, "192.0.2.7\n")?;
    let text = format!(
        "[kubernetes]\nurl = \"https://127.0.0.1:1\"\n[data]\n[security.misp]\nfolder = \"{}\"\norganisation = \"A\"\n\
         organisation_uuid = \"2ed6657d-e927-568b-95e1-2665a8aea6a2\"\n\
         [[security.intelligence.sources]]\nname = \"own\"\nformat = \"freetext\"\npath = \"{}\"\n",
        folder.path().join("misp").display(),
        indicators.display(),
    );
    fs::write(&configuration, text)?;
    let configuration = configuration.display().to_string();
    let arguments = ["--admin", &address, "--config", &configuration];
    let observer = Observer::builder().args(&arguments).start()?;
    let mut told = get(&address, "/metrics", "")?.body;
    observer.stop()?;
    told += &metrics_of_a_hub(folder.path())?;
    let kinds: BTreeMap<&str, &str> =
        told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in told.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).context("a sample")?;
        let inside = rest.split_once('}').map_or("", |(inside, _)| inside);
        let names = inside.split(',').filter_map(|label| Some(label.split_once('=')?.0));
        labels.entry(name).or_default().extend(names);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/metrics.md"))?;
    let mut documented = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `mop_")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, of, ..] = cells.as_slice() else { continue };
        let names: BTreeSet<&str> =
            of.split(',').map(|name| name.trim().trim_matches('`')).collect();
        let names: BTreeSet<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let name = name.trim_matches('`');
        documented.insert(name, *kind);
        if let Some(told) = labels.get(name) {
            ensure!(*told == names, "{name}: {told:?} told, {names:?} documented");
        }
    }
    ensure!(
        kinds == documented,
        "told, not documented: {:?}; documented, not told: {:?}",
        kinds.iter().filter(|(name, kind)| documented.get(*name) != Some(kind)).collect::<Vec<_>>(),
        documented.iter().filter(|(name, kind)| kinds.get(*name) != Some(kind)).collect::<Vec<_>>()
    );
    Ok(())
}

/// Those of the hub alone; it tells them while it reaches nobody.
fn metrics_of_a_hub(folder: &Path) -> Result<String> {
    let configuration = folder.join("hub.toml");
    let text = format!(
        "[hub.broker]\nurl = \"amqp://guest@127.0.0.1:{}/%2f\"\nqueues = [\"q\"]\n\
         [hub.database]\nurl = \"postgresql://mop@127.0.0.1:{}/mop\"\nsslmode = \"disable\"\n",
        free_port(),
        free_port(),
    );
    fs::write(&configuration, text)?;
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = mop_command();
    command.args(["hub", "--admin", &address, "--config"]).arg(&configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _hub = Process::start("mop hub", &mut command)?;
    until("metrics of the hub", LIMIT, || get(&address, "/metrics", "").is_ok())?;
    let unready = get(&address, "/readyz", "")?;
    ensure!(unready.status == 503 && unready.body.contains("broker"), "{}", unready.body);
    let body = get(&address, "/metrics", "")?.body;
    // A family comes with its lines of help and type.
    let of_hub = |line: &&str| line.contains("mop_hub_");
    Ok(body.lines().filter(of_hub).map(|line| format!("{line}\n")).collect())
}

#[test]
fn a_port_that_is_taken_is_an_error_of_configuration() -> Result<()> {
    if !observing("a_port_that_is_taken_is_an_error_of_configuration") {
        return Ok(());
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let output = mop_command().args(["observe", "--for", "10s", "--admin", &address]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78), "{:?}: {said}", output.status);
    ensure!(said.contains(&address) && said.contains("[admin]"), "{said}");
    Ok(())
}

#[test]
fn without_a_configuration_nothing_listens() -> Result<()> {
    if !observing("without_a_configuration_nothing_listens") {
        return Ok(());
    }
    if Path::new("/etc/mop").exists() {
        skip("without_a_configuration_nothing_listens", "this machine has a configuration");
        return Ok(());
    }
    let observation = Observer::start()?.stop()?;
    ensure!(!observation.messages.contains("/metrics"), "{}", observation.messages);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mop.toml");
    fs::write(&file, format!("[admin]\nlisten = \"127.0.0.1:{}\"\n", free_port()))?;
    let observation = Observer::builder().arg("--config").arg(&file).start()?.stop()?;
    ensure!(observation.messages.contains("/metrics"), "{}", observation.messages);
    fs::write(&file, "[admin]\nenabled = false\n")?;
    let observation = Observer::builder().arg("--config").arg(&file).start()?.stop()?;
    ensure!(!observation.messages.contains("/metrics"), "{}", observation.messages);
    Ok(())
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }
}

fn get(address: &str, path: &str, accept: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Values by name and labels, as they are written.
fn samples(text: &str) -> Result<BTreeMap<String, f64>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("no value")?;
            Ok((name.to_owned(), value.parse()?))
        })
        .collect()
}

/// What a program says to an input; an error when it is not content.
fn with_input(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{:?}: {said}", output.status);
    Ok(said)
}

const CALLS: usize = 20;
const LIMIT: Duration = Duration::from_secs(30);
