//! The observer is no burden: it can be switched off by a file, and keeps to a CPU budget.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{
    Certificates, Exchange, Marker, Nginx, Observer, ObserverBuilder, Process, bound, curl,
    observing, run, skip, until,
};
use rustix::process::Signal;
use tempfile::TempDir;

#[test]
fn nothing_is_attached_while_the_switch_is_off() -> Result<()> {
    if !observing("nothing_is_attached_while_the_switch_is_off") {
        return Ok(());
    }
    for split in [&[][..], &["--no-privilege-split"]] {
        let stage = Stage::new("switch")?;
        let observer = stage.builder("")?.args(split).start()?;
        ensure!(attached(&observer)? > 0, "nothing is attached");
        stage.call("before")?;
        observer.wait_for(2, LIMIT, |one| one.target() == stage.target("before"))?;
        fs::write(&stage.switch, "")?;
        observer.wait_for_message("nothing is observed while", 1, LIMIT)?;
        ensure!(attached(&observer)? == 0, "{} are attached still", attached(&observer)?);
        stage.call("meanwhile")?;
        fs::remove_file(&stage.switch)?;
        observer.wait_for_message("Observing", 2, LIMIT)?;
        stage.call("after")?;
        observer.wait_for(2, LIMIT, |one| one.target() == stage.target("after"))?;
        // Told to end while it is off, it ends in good order.
        fs::write(&stage.switch, "")?;
        observer.wait_for_message("nothing is observed while", 2, LIMIT)?;
        let observation = observer.stop()?;
        let exchanges = observation.exchanges(&stage.prefix);
        let targets: BTreeSet<_> = exchanges.iter().map(|one| one.target().to_owned()).collect();
        ensure!(
            targets == ["before", "after"].map(|name| stage.target(name)).into(),
            "{targets:?} were reported"
        );
        ensure!(exchanges.iter().all(Exchange::complete), "a call is incomplete");
        let ids: BTreeSet<_> =
            exchanges.iter().map(|one| one.record()["exchange"].to_string()).collect();
        ensure!(ids.len() == 4, "of four exchanges, {ids:?}");
        ensure!(observation.number("/exchanges") >= 4, "{}", observation.summary);
        ensure!(observation.kernel("tls_entries") > 0, "{}", observation.summary);
    }
    Ok(())
}

#[test]
fn an_observer_that_starts_while_the_switch_is_off_waits() -> Result<()> {
    if !observing("an_observer_that_starts_while_the_switch_is_off_waits") {
        return Ok(());
    }
    let stage = Stage::new("late")?;
    fs::write(&stage.switch, "")?;
    let switch = stage.switch.clone();
    let turned = thread::spawn(move || {
        thread::sleep(Duration::from_secs(4));
        fs::remove_file(switch)
    });
    let began = Instant::now();
    let observer = stage.builder("")?.start()?;
    ensure!(began.elapsed() >= Duration::from_secs(4), "it did not wait");
    // It says at the first session what it says at every first session.
    observer.wait_for_message("Privileges: ", 1, LIMIT)?;
    turned.join().ok().context("the turner panicked")??;
    stage.call("after")?;
    observer.wait_for(2, LIMIT, |one| one.target() == stage.target("after"))?;
    observer.stop()?;
    Ok(())
}

#[test]
fn over_its_budget_it_leaves_out_calls_by_class_and_then_rests() -> Result<()> {
    if !observing("over_its_budget_it_leaves_out_calls_by_class_and_then_rests") {
        return Ok(());
    }
    let stage = Stage::new("budget")?;
    // Looking around alone takes more than this.
    let observer = stage.builder("cpu_share = 0.0000001")?.start()?;
    observer.wait_for_message("are left out, and counted", 1, LIMIT)?;
    stage.call(OTHER)?;
    stage.call(OPEN_DATA)?;
    observer.wait_for(2, LIMIT, |one| one.target() == stage.target(OPEN_DATA))?;
    observer.wait_for_message("open data are left out as well", 1, LIMIT)?;
    stage.call(&format!("{OPEN_DATA}?late"))?;
    stage.call(REGULATED)?;
    observer.wait_for(2, LIMIT, |one| one.target() == stage.target(REGULATED))?;
    observer.wait_for_message("nothing is observed for 60 s", 1, LIMIT)?;
    ensure!(attached(&observer)? == 0, "{} are attached still", attached(&observer)?);
    // Told to end while it rests, it ends at once.
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&stage.prefix);
    let targets: BTreeSet<_> = exchanges.iter().map(|one| one.target().to_owned()).collect();
    ensure!(
        targets == [OPEN_DATA, REGULATED].map(|name| stage.target(name)).into(),
        "{targets:?} were reported"
    );
    let withheld = |reason: &str| observation.number(&format!("/withheld/{reason}"));
    ensure!(withheld("over_budget_other") >= 2, "{}", observation.summary);
    ensure!(withheld("over_budget_open_data") == 2, "{}", observation.summary);
    let sum: u64 =
        ["denied", "not_allowed", "undecided", "over_budget_other", "over_budget_open_data"]
            .map(withheld)
            .iter()
            .sum();
    ensure!(
        observation.number("/exchanges") == observation.number("/reported") + sum,
        "not every call is accounted for: {}",
        observation.summary
    );
    Ok(())
}

#[test]
fn an_observer_gives_way_and_is_not_starved() -> Result<()> {
    if !observing("an_observer_gives_way_and_is_not_starved") {
        return Ok(());
    }
    let setting = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    if !setting.is_ok_and(|text| text.trim() == "1") {
        skip("an_observer_gives_way_and_is_not_starved", "sessions are no CPU groups here");
        return Ok(());
    }
    let stage = Stage::new("courtesy")?;
    // Within one group it would get nothing beside others, and works like them.
    let observer = stage.builder("")?.start()?;
    observer.wait_for_message("works like any other program", 1, LIMIT)?;
    wait_for_policy(&observer, "mop-worker", NORMAL)?;
    observer.stop()?;
    let observer = stage.builder(TAKES_ITS_SHARE)?.in_its_own_session().start()?;
    wait_for_policy(&observer, "mop-worker", NORMAL)?;
    observer.stop()?;
    let observer = stage.builder("")?.in_its_own_session().start()?;
    observer.wait_for_message("gives way to all other work", 1, LIMIT)?;
    wait_for_policy(&observer, "mop-worker", IDLE)?;
    wait_for_policy(&observer, "mop-security", IDLE)?;
    wait_for_policy(&observer, "mop-capture", NORMAL)?;
    // More than there are processors, and none of them ever waits.
    let processors = thread::available_parallelism()?.get();
    let mut busy = (0..processors * 2)
        .map(|_| Process::start("a busy loop", bound("sh").args(["-c", BUSY]).stdin(Stdio::null())))
        .collect::<Result<Vec<_>>>()?;
    let targets: Vec<_> = (0..CALLS).map(|number| format!("call-{number}")).collect();
    targets.iter().try_for_each(|target| stage.call(target))?;
    let prefix = stage.target("call-");
    observer.wait_for(2 * CALLS, LIMIT, |one| one.target().starts_with(&prefix))?;
    for process in &mut busy {
        process.signal(Signal::KILL);
        process.wait(LIMIT)?;
    }
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&prefix);
    ensure!(exchanges.len() == 2 * CALLS, "{} were reported", exchanges.len());
    ensure!(exchanges.iter().all(Exchange::complete), "a call is incomplete");
    Ok(())
}

#[test]
fn an_observer_that_shares_its_cpu_group_works_like_any_other_program() -> Result<()> {
    const NAME: &str = "an_observer_that_shares_its_cpu_group_works_like_any_other_program";
    if !observing(NAME) {
        return Ok(());
    }
    let Some(group) = CpuGroup::create() else {
        skip(NAME, "no group with a weight of CPU can be made here");
        return Ok(());
    };
    let stage = Stage::new("group")?;
    let observer = stage.builder("")?.in_cgroup(&group.folder).start()?;
    observer.wait_for_message("gives way to all other work", 1, LIMIT)?;
    wait_for_policy(&observer, "mop-worker", IDLE)?;
    observer.stop()?;
    let mut other =
        Process::start("another process", bound("sleep").arg("600").stdin(Stdio::null()))?;
    fs::write(group.folder.join("cgroup.procs"), other.pid().to_string())?;
    let observer = stage.builder("")?.in_cgroup(&group.folder).start()?;
    let said = observer.wait_for_message("works like any other program", 1, LIMIT)?;
    ensure!(said.contains(&format!("process {} is in", other.pid())), "{said}");
    wait_for_policy(&observer, "mop-worker", NORMAL)?;
    observer.stop()?;
    other.signal(Signal::KILL);
    other.wait(LIMIT)?;
    Ok(())
}

/// A group with a weight of CPU, of either version, that is removed with its value.
struct CpuGroup {
    folder: PathBuf,
}

impl CpuGroup {
    fn create() -> Option<Self> {
        let name = format!("mop-test-{}", std::process::id());
        let made = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"].map(|root| Path::new(root).join(&name));
        made.into_iter().find_map(|folder| {
            fs::create_dir(&folder).ok()?;
            let group = Self { folder };
            let weights = ["cpu.shares", "cpu.weight"];
            weights.iter().any(|file| group.folder.join(file).exists()).then_some(group)
        })
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        // Whoever was in it may need a moment to be gone.
        let is_gone = until("the end of the group", LIMIT, || fs::remove_dir(&self.folder).is_ok());
        if is_gone.is_err() {
            eprintln!("a group is left: {}", self.folder.display());
        }
    }
}

/// A server, and a switch for the observer.
struct Stage {
    folder: TempDir,
    certificates: Certificates,
    nginx: Nginx,
    /// Begins the paths of its calls, which are of no regulated interface by that.
    prefix: String,
    switch: PathBuf,
}

impl Stage {
    fn new(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .location("/", "return 200 '{\"data\":1}';")
            .start()?;
        let switch = folder.path().join("off");
        let marker = Marker::new(name).to_string();
        let unique = marker.rsplit('/').next().unwrap_or_default();
        let prefix = format!("/{unique}");
        Ok(Self { folder, certificates, nginx, prefix, switch })
    }

    fn builder(&self, more: &str) -> Result<ObserverBuilder> {
        let file = self.folder.path().join("mop.toml");
        let switch = self.switch.display();
        let text =
            format!("[admin]\nenabled = false\n[protection]\nswitch = \"{switch}\"\n{more}\n");
        fs::write(&file, text)?;
        Ok(Observer::builder().arg("--all").arg("--config").arg(&file))
    }

    fn target(&self, resource: &str) -> String {
        format!("{}/{resource}", self.prefix)
    }

    fn call(&self, resource: &str) -> Result<()> {
        let url = format!("https://localhost:{}{}", self.nginx.port(), self.target(resource));
        run(curl(&self.certificates).args(["--output", "/dev/null"]).arg(url), LIMIT)?;
        Ok(())
    }
}

/// Waits until the thread with a name has a scheduling policy (proc_pid_stat(5), field 41), which it gives
/// itself when it begins.
fn wait_for_policy(observer: &Observer, name: &str, policy: u32) -> Result<()> {
    let tasks = format!("/proc/{}/task", observer.core()?);
    let what = format!("{name} with the policy {policy}");
    until(&what, LIMIT, || policies(&tasks, name).is_ok_and(|policies| policies == [policy]))
}

fn policies(tasks: &str, name: &str) -> Result<Vec<u32>> {
    let mut policies = Vec::new();
    for entry in fs::read_dir(tasks)? {
        let folder = entry?.path();
        if fs::read_to_string(folder.join("comm"))?.trim() == name {
            let text = fs::read_to_string(folder.join("stat"))?;
            let behind_name = text.rsplit_once(") ").context("no name")?.1;
            policies.push(behind_name.split(' ').nth(41 - 3).context("no policy")?.parse()?);
        }
    }
    Ok(policies)
}

/// Probes that the processes of an observer hold.
fn attached(observer: &Observer) -> Result<usize> {
    let process = observer.process();
    let mut count = 0;
    for pid in process.children().into_iter().chain([process.pid()]) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let Ok(link) = fs::read_link(entry?.path()) else { continue };
            let link = link.to_string_lossy();
            count += usize::from(link.contains("[perf_event]") || link.contains("bpf_link"));
        }
    }
    Ok(count)
}

const TAKES_ITS_SHARE: &str = "gives_way = false";
/// `SCHED_OTHER` and `SCHED_IDLE` (sched(7)).
const NORMAL: u32 = 0;
const IDLE: u32 = 5;
const BUSY: &str = "while :; do :; done";
/// Calls, one after the other.
const CALLS: usize = 20;
const OTHER: &str = "shop/cart";
const OPEN_DATA: &str = "open-insurance/channels/v1/branches";
const REGULATED: &str = "open-insurance/consents/v2/consents";
/// Taking probes off takes a tenth of a second each.
const LIMIT: Duration = Duration::from_secs(60);
