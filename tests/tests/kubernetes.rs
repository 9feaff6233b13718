//! Processes of pods are named as the cluster names them, and rules keep what is not to be observed out.
//!
//! The API server is [`fixtures/kubernetes_api.py`], which speaks the list and the watch of pods as the
//! conventions of Kubernetes say, and pods are cgroups with the names that the kubelet gives them. **No
//! real cluster was ever used**: no package of Debian has an API server or a kubelet.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{
    Certificates, Marker, Observer, Process, bound, free_port, mop_command, observing, python, run,
    shared_folder, skip,
};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn calls_of_pods_carry_their_names() -> Result<()> {
    const TEST: &str = "calls_of_pods_carry_their_names";
    if !observing(TEST) {
        return Ok(());
    }
    let Some(cgroups) = Cgroups::create()? else {
        skip(TEST, "no cgroup (version 2) can be made here");
        return Ok(());
    };
    let (api, secret) = (cgroups.pod(Driver::Systemd)?, cgroups.pod(Driver::Cgroupfs)?);
    let late = cgroups.pod(Driver::Systemd)?;
    let setup = Setup::new("[[scope.deny]]\nnamespace = [\"secret-*\"]\n")?;
    let mut cluster = setup.cluster("7")?;
    cluster.put(&pod(&api, "shop", "api", "one"))?;
    cluster.put(&pod(&secret, "secret-things", "vault", "one"))?;
    let observer = setup.observer()?;
    let marker = Marker::new("pods");

    // A pod that is known from the start, over HTTP that the pod speaks with itself.
    api.call(&marker.path("known"))?;
    for record in exchanges(&observer, &marker.path("known"), 2)? {
        let workload = &record["workload"];
        let expected = json!({
            "namespace": "shop", "pod": "api-7d9f8b-x2x", "pod_uid": api.uid, "container": "main",
            "node": "node-1", "owner": { "kind": "Deployment", "name": "api" },
            "labels": { "app": "api", "release": "one" }
        });
        ensure!(*workload == expected, "{workload:#}");
        ensure!(record["process"]["container"] == api.container.as_str(), "{record:#}");
    }

    // One whose namespace is denied, and one of which the cluster has not told.
    secret.call(&marker.path("secret"))?;
    late.call(&marker.path("unknown"))?;

    // The cluster tells of it: by a watch, in pieces that end anywhere.
    cluster.put(&pod(&late, "shop", "late", "é-is-no-label"))?;
    let named = named(&observer, &late, &marker, "late", |workload| workload["pod"].is_string())?;
    ensure!(named["pod"] == "late-7d9f8b-x2x", "{named:#}");
    ensure!(named["labels"] == json!({ "app": "late" }), "{named:#}");

    // What happened before is forgotten by the cluster: everything is listed again.
    cluster.command(&json!({ "compact": true }))?;
    cluster.put(&pod(&api, "shop", "api", "two"))?;
    self::named(&observer, &api, &marker, "compacted", |it| it["labels"]["release"] == "two")?;

    // It goes away. What was known stays.
    drop(cluster);
    api.call(&marker.path("away"))?;
    for record in exchanges(&observer, &marker.path("away"), 2)? {
        ensure!(record["workload"]["labels"]["release"] == "two", "{record:#}");
    }
    observer.wait_for_message("names of pods are not kept up to date", 1, LIMIT)?;

    // It comes back with another token, another certificate's pods, and no memory of its versions.
    setup.rotate_token()?;
    let mut cluster = setup.cluster("1000")?;
    cluster.put(&pod(&api, "shop", "api", "three"))?;
    self::named(&observer, &api, &marker, "back", |it| it["labels"]["release"] == "three")?;
    observer.wait_for_message("names of pods are up to date again", 1, LIMIT)?;

    // The last calls of a pod come after its end.
    cluster.command(&json!({ "delete": api.uid }))?;
    thread::sleep(Duration::from_millis(500));
    api.call(&marker.path("deleted"))?;
    for record in exchanges(&observer, &marker.path("deleted"), 2)? {
        ensure!(record["workload"]["pod"] == "api-7d9f8b-x2x", "{record:#}");
    }

    let requests = cluster.requests()?;
    ensure!(requests.iter().all(|one| one["path"] == "/api/v1/pods"), "{requests:#?}");
    let observation = observer.stop()?;
    for unseen in ["secret", "unknown"] {
        let seen = observation.exchanges(&marker.path(unseen));
        ensure!(seen.is_empty(), "{unseen}: {} exchanges", seen.len());
    }
    ensure!(!Value::from(observation.records.clone()).to_string().contains("secret-things"));
    ensure!(observation.number("/withheld/denied") == 2, "{:#}", observation.summary);
    ensure!(observation.number("/withheld/undecided") >= 2, "{:#}", observation.summary);
    let reports = observation.records.iter().filter(|one| one["kind"] == "quality.report");
    let named = reports.filter(|one| one["workload"]["namespace"] == "shop").count();
    ensure!(named > 0, "no report names its pod");
    let token = fs::read_to_string(setup.token())?;
    ensure!(!observation.messages.contains(token.trim()), "the token was said");
    Ok(())
}

#[test]
fn with_an_allow_list_only_what_is_known_to_be_on_it_is_reported() -> Result<()> {
    const TEST: &str = "with_an_allow_list_only_what_is_known_to_be_on_it_is_reported";
    if !observing(TEST) {
        return Ok(());
    }
    let Some(cgroups) = Cgroups::create()? else {
        skip(TEST, "no cgroup (version 2) can be made here");
        return Ok(());
    };
    let (api, other) = (cgroups.pod(Driver::Cgroupfs)?, cgroups.pod(Driver::Cgroupfs)?);
    let stranger = cgroups.pod(Driver::Cgroupfs)?;
    let setup = Setup::new("[[scope.allow]]\nselector = \"app in (api, web)\"\n")?;
    let mut cluster = setup.cluster("7")?;
    cluster.put(&pod(&api, "shop", "api", "one"))?;
    cluster.put(&pod(&other, "shop", "other", "one"))?;
    let observer = setup.observer()?;
    let marker = Marker::new("allowed");
    other.call(&marker.path("other"))?;
    stranger.call(&marker.path("stranger"))?;
    api.call(&marker.path("api"))?;
    exchanges(&observer, &marker.path("api"), 2)?;
    let observation = observer.stop()?;
    ensure!(observation.exchanges(&marker.to_string()).len() == 2, "{:#}", observation.summary);
    ensure!(observation.number("/withheld/not_allowed") >= 2, "{:#}", observation.summary);
    ensure!(observation.number("/withheld/undecided") >= 2, "{:#}", observation.summary);
    Ok(())
}

#[test]
fn the_doctor_names_pods_and_says_why_it_cannot() -> Result<()> {
    const TEST: &str = "the_doctor_names_pods_and_says_why_it_cannot";
    if !observing(TEST) {
        return Ok(());
    }
    let setup = Setup::new("")?;
    let mut cluster = setup.cluster("7")?;
    cluster.command(&json!({ "put": {
        "metadata": { "uid": "u", "namespace": "shop", "name": "api" }
    }}))?;
    let check = || -> Result<Value> {
        let mut doctor = mop_command();
        let output = run(doctor.args(["doctor", "--json", "--config"]).arg(setup.file()), LIMIT)?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let checks = report["checks"].as_array().context("checks")?;
        checks.iter().find(|check| check["name"] == "cluster").cloned().context("a check")
    };
    let answered = check()?;
    ensure!(answered["status"] == "ok", "{answered:#}");
    ensure!(answered["detail"].as_str().is_some_and(|it| it.contains("1 pod")), "{answered:#}");
    drop(cluster);
    let silent = check()?;
    ensure!(silent["status"] == "warning" && silent["remedy"].is_string(), "{silent:#}");
    Ok(())
}

/// Calls the pod's process makes to itself, until what is told of it is as it should be.
fn named(
    observer: &Observer,
    pod: &Pod,
    marker: &Marker,
    what: &str,
    is_right: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let deadline = Instant::now() + LIMIT;
    for attempt in letters() {
        let path = marker.path(&format!("{what}-{attempt}"));
        pod.call(&path)?;
        let found = observer
            .wait_for(2, Duration::from_secs(2), |exchange| exchange.target() == path)
            .unwrap_or_default();
        let workloads: Vec<Value> =
            found.iter().map(|one| one.record()["workload"].clone()).collect();
        if let Some(workload) = workloads.iter().find(|workload| is_right(workload)) {
            return Ok(workload.clone());
        }
        ensure!(Instant::now() < deadline, "{what}: {workloads:#?}");
    }
    bail!("{what} was not told")
}

fn exchanges(observer: &Observer, target: &str, count: usize) -> Result<Vec<Value>> {
    let found = observer.wait_for(count, LIMIT, |exchange| exchange.target() == target)?;
    Ok(found.iter().map(|exchange| exchange.record().clone()).collect())
}

fn letters() -> impl Iterator<Item = char> {
    ('a'..='z').chain('A'..='Z')
}

/// A pod as the API server tells it.
fn pod(pod: &Pod, namespace: &str, app: &str, release: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "uid": pod.uid, "namespace": namespace, "name": format!("{app}-7d9f8b-x2x"),
            "labels": { "app": app, "release": release, "pod-template-hash": "7d9f8b" },
            "annotations": { "note": "ção, não se vê" },
            "ownerReferences": [
                { "kind": "ReplicaSet", "name": format!("{app}-7d9f8b"), "controller": true }
            ]
        },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "x" }] },
        "status": { "containerStatuses": [
            { "name": "main", "containerID": format!("containerd://{}", pod.container) }
        ]}
    })
}

/// Certificates, a token and a configuration.
struct Setup {
    folder: TempDir,
    certificates: Certificates,
    port: u16,
}

impl Setup {
    fn new(scope: &str) -> Result<Self> {
        let folder = shared_folder()?;
        let certificates = Certificates::create(folder.path())?;
        let port = free_port();
        let setup = Self { folder, certificates, port };
        setup.rotate_token()?;
        let text = format!(
            "[admin]\nenabled = false\n[kubernetes]\nurl = \"https://127.0.0.1:{port}\"\n\
             token_file = \"{}\"\nca_file = \"{}\"\nnode = \"node-1\"\nlabels = [\"app\", \"release\"]\n\
             {scope}",
            setup.token().display(),
            setup.certificates.authority().display(),
        );
        fs::write(setup.file(), text)?;
        Ok(setup)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mop.toml")
    }

    fn token(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Replaces the token as the kubelet does: by another file of the same name.
    fn rotate_token(&self) -> Result<()> {
        let next = self.folder.path().join("token.next");
        let before = fs::read_to_string(self.token()).unwrap_or_default();
        fs::write(&next, format!("{}-renewed\n", before.trim()))?;
        fs::rename(next, self.token())?;
        Ok(())
    }

    fn cluster(&self, first_version: &str) -> Result<Cluster> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kubernetes_api.py");
        let mut command = bound(python());
        command
            .arg(script)
            .arg(self.port.to_string())
            .args([self.certificates.server(), self.certificates.key(), self.token()])
            .args(["node-1", first_version]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("api server", &mut command)?;
        let stdin = process.stdin().context("standard input")?;
        let stdout = BufReader::new(process.stdout().context("standard output")?);
        let mut cluster = Cluster { _process: process, stdin, stdout };
        ensure!(cluster.hear()? == "listening", "the API server does not listen");
        Ok(cluster)
    }

    fn observer(&self) -> Result<Observer> {
        Observer::builder().arg("--config").arg(self.file()).start()
    }
}

/// A running API server.
struct Cluster {
    _process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Cluster {
    fn put(&mut self, pod: &Value) -> Result<()> {
        self.command(&json!({ "put": pod })).map(|_done| ())
    }

    fn requests(&mut self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.command(&json!({ "requests": true }))?)?)
    }

    fn command(&mut self, command: &Value) -> Result<String> {
        writeln!(self.stdin, "{command}")?;
        self.hear()
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

/// How cgroups are named.
#[derive(Clone, Copy)]
enum Driver {
    Cgroupfs,
    Systemd,
}

/// Cgroups that are removed with their value.
struct Cgroups {
    root: PathBuf,
    number: std::cell::Cell<u32>,
}

/// A pod with one container.
struct Pod {
    uid: String,
    container: String,
    path: PathBuf,
}

impl Cgroups {
    fn create() -> Result<Option<Self>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let place = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (_device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(place))
        });
        let Some(place) = place else { return Ok(None) };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = place.join(format!("mop-test-{}-{number}", std::process::id()));
        if fs::create_dir(&root).is_err() {
            return Ok(None);
        }
        Ok(Some(Self { root, number: 0.into() }))
    }

    fn pod(&self, driver: Driver) -> Result<Pod> {
        let number = self.number.replace(self.number.get() + 1);
        let uid = format!("0f1e2d3c-4b5a-4978-8695-{:08x}{number:04x}", std::process::id());
        let container = format!("{:060x}{number:04x}", std::process::id());
        let path = match driver {
            Driver::Cgroupfs => format!("kubepods/burstable/pod{uid}/{container}"),
            Driver::Systemd => format!(
                "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/\
                 cri-containerd-{container}.scope",
                uid.replace('-', "_")
            ),
        };
        let path = self.root.join(path);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Pod { uid, container, path })
    }
}

impl Pod {
    /// A server and its client in one process, which then stays until it was looked into.
    fn call(&self, target: &str) -> Result<()> {
        let script = format!(
            "import os, time, threading, http.server, urllib.request\n\
             open('{procs}', 'w').write(str(os.getpid()))\n\
             class Handler(http.server.BaseHTTPRequestHandler):\n\
             \x20   def do_GET(self):\n\
             \x20       self.send_response(204)\n\
             \x20       self.end_headers()\n\
             \x20   def log_message(self, *args): pass\n\
             server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n\
             threading.Thread(target=server.serve_forever, daemon=True).start()\n\
             url = 'http://127.0.0.1:%d{target}' % server.server_address[1]\n\
             urllib.request.urlopen(url).read()\n\
             time.sleep(0.5)\n",
            procs = self.path.join("cgroup.procs").display(),
        );
        run(bound(python()).args(["-c", &script]), LIMIT).map(|_output| ())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.root) {
            eprintln!("a cgroup is left: {}: {error}", self.root.display());
        }
    }
}

/// Cgroups have files that cannot be removed, and go with them.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

const LIMIT: Duration = Duration::from_secs(30);
