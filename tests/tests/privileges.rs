//! The split of MOP into a prober with rights and a core without any.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Certificates, Marker, Nginx, Observer, Process, bound, curl, exported, mop_command, observing,
    run, shared_folder, skip, status_field, tool, until,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn the_core_is_another_user_without_any_right() -> Result<()> {
    if !observing("the_core_is_another_user_without_any_right") {
        return Ok(());
    }
    let observer = Observer::start()?;
    let (prober, core) = (observer.process().pid(), observer.core()?);
    for (field, value) in [
        ("Uid:", "65532\t65532\t65532\t65532"),
        ("Gid:", "65532\t65532\t65532\t65532"),
        ("Groups:", ""),
        ("CapInh:", NO_CAPABILITIES),
        ("CapPrm:", NO_CAPABILITIES),
        ("CapEff:", NO_CAPABILITIES),
        ("CapBnd:", NO_CAPABILITIES),
        ("CapAmb:", NO_CAPABILITIES),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        let found = status_field(core, field)?;
        ensure!(found == value, "{field} {found} and not {value}");
    }
    // What holds for the process holds for every thread that it has started.
    for thread in fs::read_dir(format!("/proc/{core}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        ensure!(status.contains("Seccomp:\t2") && status.contains("CapEff:\t0000000000000000"));
    }
    // The prober keeps what observing takes, and can hand on none of it.
    ensure!(status_field(prober, "CapBnd:")? == NO_CAPABILITIES);
    ensure!(status_field(prober, "NoNewPrivs:")? == "1");
    let held = u64::from_str_radix(&status_field(prober, "CapEff:")?, 16)?;
    ensure!(held & CAP_NET_ADMIN == 0 && held & CAP_SYS_MODULE == 0, "{held:x}");
    // One, and the one that lists sockets.
    let threads = status_field(prober, "Threads:")?;
    ensure!(["1", "2"].contains(&threads.as_str()), "{threads}");
    observer.stop()?;
    Ok(())
}

#[test]
fn the_core_holds_no_program_no_probe_and_no_byte_of_the_prober() -> Result<()> {
    if !observing("the_core_holds_no_program_no_probe_and_no_byte_of_the_prober") {
        return Ok(());
    }
    let observer = Observer::start()?;
    let (prober, core) = (observer.process().pid(), observer.core()?);
    let descriptors = links(Path::new(&format!("/proc/{core}/fd")))?;
    let of_kernel: Vec<&String> =
        descriptors.iter().filter(|link| link.starts_with("anon_inode:bpf")).collect();
    // The control ring, to wait for; the lanes are memory only.
    ensure!(of_kernel == ["anon_inode:bpf-map"], "{descriptors:?}");
    ensure!(!descriptors.iter().any(|link| link.contains("perf_event")), "{descriptors:?}");
    // And the prober has no lane mapped: bytes of messages are not in its memory.
    let mapped = |pid: u32| -> Result<usize> {
        Ok(fs::read_to_string(format!("/proc/{pid}/maps"))?.matches("bpf-map").count())
    };
    ensure!(mapped(core)? >= 4, "the core maps the rings");
    ensure!(mapped(prober)? == 0, "the prober maps a ring");
    observer.stop()?;
    Ok(())
}

#[test]
fn the_core_is_refused_what_root_is_not() -> Result<()> {
    if !observing("the_core_is_refused_what_root_is_not") {
        return Ok(());
    }
    // As root without a cage: each attempt must be able to succeed, or it proves nothing.
    let free = attempts(&["privileges-rehearsal"], "/attempts")?;
    let kept = attempts(&["doctor", "--json"], "/privileges/attempts")?;
    ensure!(free.len() == kept.len() && kept.len() >= 18, "{free:?}\n{kept:?}");
    for ((name, free), (same, kept)) in free.iter().zip(&kept) {
        ensure!(name == same);
        ensure!(free.is_null(), "{name} is refused to root as well: {free}");
        ensure!(kept.is_string(), "the core was not kept from {name}");
    }
    Ok(())
}

#[test]
fn each_layer_that_the_kernel_offers_is_in_force_and_told() -> Result<()> {
    if !observing("each_layer_that_the_kernel_offers_is_in_force_and_told") {
        return Ok(());
    }
    let observer = Observer::start()?;
    let line = observer.wait_for_message("Privileges: core", 1, LIMIT)?;
    let report = doctor()?;
    let layers = report["privileges"]["layers"].as_array().context("layers")?.clone();
    ensure!(layers.len() == 10, "{layers:?}");
    for layer in &layers {
        let name = layer["name"].as_str().context("a name")?;
        ensure!(line.contains(name), "{name} is not told: {line}");
        // Landlock may be missing from a kernel. Nothing else may.
        ensure!(layer.get("missing").is_none() || name.starts_with("landlock"), "{layer}");
    }
    observer.stop()?;
    Ok(())
}

#[test]
fn turned_off_one_process_does_all_and_says_so() -> Result<()> {
    if !observing("turned_off_one_process_does_all_and_says_so") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let marker = Marker::new("whole");
    let observer = Observer::builder().arg("--no-privilege-split").start()?;
    observer.wait_for_message("one process does all", 1, LIMIT)?;
    ensure!(observer.process().children().is_empty());
    stage.call(&marker)?;
    stage.reported(&observer, &marker)?;
    let observation = observer.stop()?;
    ensure!(observation.kernel("tls_entries") > 0, "{}", observation.summary);
    Ok(())
}

#[test]
fn rights_that_a_machine_does_not_give_cost_a_layer_and_not_the_observation() -> Result<()> {
    if !observing("rights_that_a_machine_does_not_give_cost_a_layer_and_not_the_observation") {
        return Ok(());
    }
    // What a container is given that was told of nothing but observing.
    let mut command = mop_command();
    command.args(["observe", "--output", "jsonl", "--for", "1s"]);
    let mut caged = std::process::Command::new("setpriv");
    let kept = "-all,+sys_admin,+sys_ptrace,+bpf,+perfmon";
    caged.args(["--bounding-set", kept, "--inh-caps", "-all", "--"]);
    // Behind the binder of the test library, so that it ends with the test.
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let (binder, program) = arguments.split_at(3);
    let mut bound = std::process::Command::new(command.get_program());
    bound.args(binder).arg(caged.get_program()).args(caged.get_args()).args(program);
    let output = run(&mut bound, LIMIT)?;
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(messages.contains("as user 0: process, capabilities,"), "{messages}");
    ensure!(messages.contains("without user: the prober may not change the user"), "{messages}");
    ensure!(messages.contains("CAP_SETPCAP"), "{messages}");
    Ok(())
}

#[test]
fn where_many_places_are_one_link_no_right_over_the_machine_is_needed() -> Result<()> {
    const TEST: &str = "where_many_places_are_one_link_no_right_over_the_machine_is_needed";
    if !observing(TEST) {
        return Ok(());
    }
    let report = doctor()?;
    if report["attach"]["method"] != "uprobe_multi" {
        skip(TEST, "this kernel has no uprobe_multi");
        return Ok(());
    }
    let stage = Stage::new()?;
    let marker = Marker::new("few");
    let few = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"];
    let observer = Observer::builder().as_nobody_with(&few).start()?;
    observer.wait_for_message("Probes: uprobe_multi", 1, LIMIT)?;
    let prober = observer.process().pid();
    ensure!(status_field(prober, "Uid:")? == "65534\t65534\t65534\t65534");
    let held = u64::from_str_radix(&status_field(prober, "CapEff:")?, 16)?;
    ensure!(held == CAP_BPF | CAP_PERFMON | CAP_SYS_PTRACE | CAP_DAC_READ_SEARCH, "{held:x}");
    let core = observer.core()?;
    ensure!(status_field(core, "CapPrm:")? == NO_CAPABILITIES, "the core has rights");
    ensure!(status_field(core, "CapAmb:")? == NO_CAPABILITIES, "the core can get rights");
    stage.call(&marker)?;
    // At the client and at the server, whose library only root may change and whose process is root's.
    stage.reported(&observer, &marker)?;
    let observation = observer.stop()?;
    ensure!(observation.kernel("tls_entries") > 0, "{}", observation.summary);
    for exchange in observation.exchanges(&marker.to_string()) {
        ensure!(exchange.complete(), "{exchange:?}");
    }
    Ok(())
}

#[test]
fn the_prober_keeps_the_right_over_the_machine_only_while_something_asks_for_it() -> Result<()> {
    const TEST: &str =
        "the_prober_keeps_the_right_over_the_machine_only_while_something_asks_for_it";
    if !observing(TEST) {
        return Ok(());
    }
    if doctor()?["attach"]["method"] != "uprobe_multi" {
        skip(TEST, "this kernel has no uprobe_multi");
        return Ok(());
    }
    let folder = shared_folder()?;
    let configuration = folder.path().join("mop.toml");
    let administers = |coverage: &str, options: &[&str]| -> Result<bool> {
        fs::write(&configuration, format!("[coverage]\nenabled = {coverage}\n"))?;
        let observer =
            Observer::builder().arg("--config").arg(&configuration).args(options).start()?;
        let held = status_field(observer.process().pid(), "CapPrm:")?;
        observer.stop()?;
        Ok(u64::from_str_radix(&held, 16)? & CAP_SYS_ADMIN != 0)
    };
    ensure!(!administers("false", &[])?, "nothing asks for it");
    ensure!(administers("true", &[])?, "sockets of other network namespaces ask for it");
    ensure!(administers("false", &["--attach", "perf_event"])?, "perf events ask for it");
    Ok(())
}

#[test]
fn whichever_is_killed_the_other_ends_and_nothing_is_left_in_the_kernel() -> Result<()> {
    const TEST: &str = "whichever_is_killed_the_other_ends_and_nothing_is_left_in_the_kernel";
    if !observing(TEST) {
        return Ok(());
    }
    if tool("bpftool").is_none() {
        skip(TEST, "bpftool is not installed");
        return Ok(());
    }
    for victim in ["prober", "core"] {
        let before = loaded()?;
        let mut observer = Observer::start()?;
        let (prober, core) = (observer.process().pid(), observer.core()?);
        ensure!(loaded()?.len() > before.len(), "bpftool shows nothing of MOP");
        kill(if victim == "prober" { prober } else { core })?;
        until("the end of both", LIMIT, || {
            !Path::new(&format!("/proc/{core}")).exists() && ended(prober)
        })?;
        let status = observer.process_mut().wait(LIMIT)?;
        ensure!(!status.success(), "a killed {victim} is a success: {status}");
        if victim == "core" {
            ensure!(status.code() == Some(1), "{status}");
        }
        until("an empty kernel", LIMIT, || loaded().is_ok_and(|now| now.is_subset(&before)))?;
    }
    Ok(())
}

#[test]
fn a_signal_to_either_ends_both_in_order() -> Result<()> {
    if !observing("a_signal_to_either_ends_both_in_order") {
        return Ok(());
    }
    let stage = Stage::new()?;
    for (to_core, signal) in [(false, Signal::TERM), (true, Signal::TERM), (true, Signal::INT)] {
        let marker = Marker::new("signal");
        let mut observer = Observer::start()?;
        let core = observer.core()?;
        stage.call(&marker)?;
        if to_core {
            kill_process(pid(core)?, signal)?;
        } else {
            observer.process().signal(signal);
        }
        // What was called just before is still reported, and the counters are final.
        let observation = observer.finish()?;
        let calls = observation.exchanges(&marker.to_string());
        ensure!(calls.len() == 2, "{} of 2 calls: {}", calls.len(), observation.messages);
        ensure!(observation.kernel("tls_entries") > 0, "{}", observation.summary);
        ensure!(!Path::new(&format!("/proc/{core}")).exists());
    }
    Ok(())
}

#[test]
fn a_signal_is_not_lost_among_processes_that_start() -> Result<()> {
    if !observing("a_signal_is_not_lost_among_processes_that_start") {
        return Ok(());
    }
    // Each of them is a request of the core, so the prober never comes to rest.
    let mut storm = bound("sh");
    storm.args(["-c", "while :; do /bin/true; done"]).stdin(Stdio::null());
    let storm = Process::start("sh", &mut storm)?;
    for signal in [Signal::INT, Signal::TERM, Signal::INT, Signal::TERM] {
        let mut observer = Observer::start()?;
        observer.process().signal(signal);
        observer.finish()?;
    }
    drop(storm);
    Ok(())
}

#[test]
fn records_are_written_by_the_core_into_a_folder_that_was_made_for_it() -> Result<()> {
    if !observing("records_are_written_by_the_core_into_a_folder_that_was_made_for_it") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let marker = Marker::new("outbox");
    let folder = stage.folder.path().join("records/of/mop");
    let observer = Observer::builder().arg("--outbox").arg(&folder).start()?;
    stage.call(&marker)?;
    stage.reported(&observer, &marker)?;
    observer.stop()?;
    ensure!(fs::metadata(&folder)?.uid() == CORE_USER, "the folder was not given to the core");
    for file in fs::read_dir(&folder)? {
        ensure!(file?.metadata()?.uid() == CORE_USER, "not all of it is the core's");
    }
    let lines = exported(&folder)?;
    ensure!(lines.iter().any(|line| line.contains(&marker.to_string())), "{lines:?}");
    Ok(())
}

#[test]
fn what_the_core_cannot_use_is_named_with_a_remedy() -> Result<()> {
    if !observing("what_the_core_cannot_use_is_named_with_a_remedy") {
        return Ok(());
    }
    let folder = shared_folder()?;
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let closed = folder.path().join("closed");
    fs::create_dir_all(closed.join("inside"))?;
    let contract = folder.path().join("contract.yaml");
    fs::write(&contract, "openapi: 3.0.0")?;
    open(&contract, 0o600)?;
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign)?;
    fs::write(foreign.join("of-root"), "")?;
    open(&closed, 0o700)?;
    for (option, path, named) in [
        ("--outbox", closed.join("inside/outbox"), closed.clone()),
        ("--outbox", foreign.clone(), foreign.clone()),
        ("--rules", closed.clone(), closed.clone()),
        ("--contracts", contract.clone(), contract.clone()),
    ] {
        let mut command = mop_command();
        command.args(["observe", "--for", "1s", option]).arg(&path).stdin(Stdio::null());
        let output = command.output()?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(78), "{option} {}: {messages}", path.display());
        ensure!(messages.lines().count() == 1, "{messages}");
        ensure!(messages.contains(&format!("{}: ", named.display())), "{messages}");
        ensure!(messages.contains("65532") && messages.contains("--no-privilege-split"));
    }
    // What belongs to somebody is not taken from him.
    ensure!(fs::metadata(&foreign)?.uid() == 0);
    Ok(())
}

#[test]
fn nobody_becomes_a_core_by_an_environment_variable() -> Result<()> {
    for value in ["", "1", "not a number"] {
        let mut command = mop_command();
        command.args(["observe", "--for", "1s"]).env("MOP_PRIVILEGES_CORE", value);
        let output = command.stdin(Stdio::null()).output()?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{messages}");
        ensure!(messages.contains("MOP_PRIVILEGES_CORE"), "{messages}");
    }
    Ok(())
}

/// An nginx with TLS, and a folder that others may pass.
struct Stage {
    nginx: Nginx,
    certificates: Certificates,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let folder = shared_folder()?;
        let certificates = Certificates::create(folder.path())?;
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .location("/", "return 200 $uri;")
            .start()?;
        Ok(Self { nginx, certificates, folder })
    }

    fn call(&self, marker: &Marker) -> Result<()> {
        let url = format!("https://localhost:{}{}", self.nginx.port(), marker.path("call"));
        run(curl(&self.certificates).arg(url), LIMIT)?;
        Ok(())
    }

    fn reported(&self, observer: &Observer, marker: &Marker) -> Result<()> {
        let prefix = marker.to_string();
        observer.wait_for(2, LIMIT, |one| one.target().starts_with(&prefix))?;
        Ok(())
    }
}

fn doctor() -> Result<Value> {
    let output = run(mop_command().args(["doctor", "--json"]), LIMIT)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Attempts of a report, each with what the kernel said.
fn attempts(arguments: &[&str], place: &str) -> Result<Vec<(String, Value)>> {
    let output = run(mop_command().args(arguments), LIMIT)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    report
        .pointer(place)
        .and_then(Value::as_array)
        .context("attempts")?
        .iter()
        .map(|attempt| {
            let name = attempt["name"].as_str().context("a name")?.to_owned();
            Ok((name, attempt["refused"].clone()))
        })
        .collect()
}

/// Ids of all programs, links and maps of the kernel.
fn loaded() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let bpftool = tool("bpftool").context("bpftool")?;
    for kind in ["prog", "link", "map"] {
        let output = run(std::process::Command::new(&bpftool).args(["-j", kind, "list"]), LIMIT)?;
        let list: Value = serde_json::from_slice(&output.stdout)?;
        let ids = list.as_array().into_iter().flatten().filter_map(|one| one["id"].as_u64());
        found.extend(ids.map(|id| format!("{kind} {id}")));
    }
    Ok(found)
}

fn links(folder: &Path) -> Result<Vec<String>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(fs::read_link(entry?.path())?.to_string_lossy().into_owned()))
        .collect()
}

fn kill(process: u32) -> Result<()> {
    Ok(kill_process(pid(process)?, Signal::KILL)?)
}

fn pid(process: u32) -> Result<Pid> {
    Pid::from_raw(i32::try_from(process)?).context("a process id")
}

/// It is gone, or waits for its parent to take notice.
fn ended(process: u32) -> bool {
    status_field(process, "State:").map_or(true, |state| state.starts_with('Z'))
}

const NO_CAPABILITIES: &str = "0000000000000000";
/// Of include/uapi/linux/capability.h.
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;
const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CORE_USER: u32 = 65532;
const LIMIT: Duration = Duration::from_secs(30);
