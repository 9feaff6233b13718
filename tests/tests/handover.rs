//! One observer after another, while calls go on.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{
    Body, Certificates, Marker, Nginx, Observer, ObserverBuilder, carried, complete, curl,
    observing, run, shared_folder, until,
};
use rustix::process::Signal;

#[test]
fn an_observer_that_takes_over_misses_no_call_and_tells_none_twice() -> Result<()> {
    if !observing("an_observer_that_takes_over_misses_no_call_and_tells_none_twice") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let mut before = stage.observer().start()?;
    let is_over = AtomicBool::new(false);
    let (made, after) = thread::scope(|scope| -> Result<_> {
        let stop = StopOnDrop(&is_over);
        let callers = [
            scope.spawn(|| stage.on_one_connection(&is_over)),
            scope.spawn(|| stage.on_many_connections(&is_over)),
        ];
        // Paced, on one connection of TLS, and begun before the second observer is there.
        let paced = scope.spawn(|| stage.paced());
        thread::sleep(Duration::from_millis(500));
        let slow = scope.spawn(|| stage.slow_download());
        let after = stage.observer().arg("--take-over").start()?;
        thread::sleep(Duration::from_secs(1));
        drop(stop);
        let mut made = Vec::new();
        for caller in callers {
            made.extend(caller.join().ok().context("a caller panicked")??);
        }
        made.extend(paced.join().ok().context("curl panicked")??);
        slow.join().ok().context("curl panicked")??;
        Ok((made, after))
    })?;
    let before = before.finish()?;
    ensure!(before.messages.contains("Handing over"), "{}", before.messages);
    let prefix = stage.marker.to_string();
    let of_before = before.exchanges(&prefix);
    let count = (2 * (made.len() + 1)).saturating_sub(of_before.len());
    after.wait_for_most(count, |one| one.target().starts_with(&prefix));
    let after = after.stop()?;
    ensure!(before.lost() + after.lost() == 0, "{} {}", before.summary, after.summary);
    let of_after = after.exchanges(&prefix);
    ensure!(!of_before.is_empty() && !of_after.is_empty(), "one of them has seen nothing");

    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for exchange in of_before.iter().chain(&of_after) {
        complete(exchange)?;
        *seen.entry((exchange.role(), exchange.target())).or_default() += 1;
    }
    let slow = stage.slow_target();
    for target in made.iter().chain([&slow]) {
        for role in ["client", "server"] {
            let times = seen.get(&(role, target.as_str())).copied().unwrap_or(0);
            ensure!(times == 1, "{target} was told {times} times by the {role}");
        }
    }
    ensure!(seen.len() == 2 * (made.len() + 1), "{} calls were told", seen.len());
    // It began before the second one was there, and ended while both were.
    let download = of_before.iter().filter(|exchange| exchange.target() == slow);
    for exchange in download {
        carried(exchange, exchange.response(), &stage.body)?;
    }
    ensure!(of_before.iter().filter(|exchange| exchange.target() == slow).count() == 2);
    Ok(())
}

#[test]
fn one_that_waits_in_vain_leaves_everything_to_the_other() -> Result<()> {
    if !observing("one_that_waits_in_vain_leaves_everything_to_the_other") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let observer = stage.observer().start()?;
    let mut waiting = waiting(stage.observer().arg("--take-over"))?;
    observer.wait_for_message("Handing over", 1, LIMIT)?;
    waiting.kill()?;
    observer.wait_for_message("this one goes on", 1, LIMIT)?;
    let target = stage.marker.path("plain/after");
    call(&mut stage.connect()?, &target)?;
    observer.wait_for(2, LIMIT, |one| one.target() == target)?;
    // Without being asked to, none takes anything over.
    let mut refused = stage.observer();
    refused = refused.args(&["--for", "10s"]);
    let refusal = refused.start().err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refusal.contains("outbox"), "{refusal}");
    let observation = observer.stop()?;
    ensure!(observation.exchanges(&target).len() == 2, "{}", observation.summary);
    Ok(())
}

#[test]
fn one_whose_predecessor_is_killed_reports_what_it_saw() -> Result<()> {
    if !observing("one_whose_predecessor_is_killed_reports_what_it_saw") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let before = stage.observer().start()?;
    // As long as the one that goes may wait.
    let target = stage.marker.path("plain/meanwhile");
    let after = thread::scope(|scope| -> Result<Observer> {
        let killed = scope.spawn(|| -> Result<()> {
            before.wait_for_message("Handing over", 1, LIMIT)?;
            call(&mut stage.connect()?, &target)?;
            before.process().signal(Signal::KILL);
            Ok(())
        });
        let after = stage.observer().arg("--take-over").start()?;
        killed.join().ok().context("it panicked")??;
        Ok(after)
    })?;
    after.wait_for(2, LIMIT, |one| one.target() == target)?;
    let exchanges = after.stop()?.exchanges(&target);
    ensure!(exchanges.len() == 2, "{exchanges:?}");
    exchanges.iter().try_for_each(complete)
}

#[test]
fn one_that_handed_over_waits_where_it_would_be_started_again() -> Result<()> {
    if !observing("one_that_handed_over_waits_where_it_would_be_started_again") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let file = stage.outbox.path().join("mop.toml");
    let settings = "[admin]\nenabled = false\n[handover]\ntake_over = true\nthen = \"wait\"\n";
    fs::write(&file, settings.to_owned() + "grace = \"100ms\"\n")?;
    let before = stage.observer().arg("--config").arg(&file).start()?;
    let after = stage.observer().arg("--config").arg(&file).start()?;
    before.wait_for_message("waiting to be told to end", 1, LIMIT)?;
    let target = stage.marker.path("plain/later");
    call(&mut stage.connect()?, &target)?;
    after.wait_for(2, LIMIT, |one| one.target() == target)?;
    let before = before.stop()?;
    ensure!(before.exchanges(&target).is_empty(), "it observes still");
    after.stop().map(drop)
}

/// Starts an observer that waits for another one, and gives it once it waits.
fn waiting(builder: ObserverBuilder) -> Result<Waiting> {
    let mut child = builder.spawn()?;
    let errors = child.stderr.take().context("no standard error")?;
    let said = thread::spawn(move || {
        let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
        lines.any(|line| line.starts_with("Taking over"))
    });
    until("an observer that waits", LIMIT, || said.is_finished())?;
    ensure!(said.join().ok() == Some(true), "it did not wait");
    Ok(Waiting(child))
}

struct Waiting(std::process::Child);

impl Waiting {
    fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ended = self.kill();
    }
}

/// Ends the calls, also where the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Stage {
    plain: Nginx,
    tls: Nginx,
    certificates: Certificates,
    body: Body,
    marker: Marker,
    outbox: tempfile::TempDir,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let body = Body::write(folder.path(), "slow.bin", SLOW_BYTES)?;
        let plain = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
        let file = format!("alias {}/$1;", folder.path().display());
        let tls = Nginx::builder(folder.path())
            .tls(&certificates)
            .location("/", "return 200 $uri;")
            .location("~ /(slow.bin)$", &file)
            .start()?;
        let marker = Marker::new("handover");
        let outbox = shared_folder()?;
        Ok(Self { plain, tls, certificates, body, marker, outbox, _folder: folder })
    }

    /// All have the same outbox.
    fn observer(&self) -> ObserverBuilder {
        Observer::builder().arg("--outbox").arg(self.outbox.path().join("outbox"))
    }

    fn connect(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(("127.0.0.1", self.plain.port()))?)
    }

    /// Calls one after the other; their targets.
    fn on_one_connection(&self, is_over: &AtomicBool) -> Result<Vec<String>> {
        let mut connection = self.connect()?;
        self.calls(is_over, "kept", |target| call(&mut connection, target))
    }

    fn on_many_connections(&self, is_over: &AtomicBool) -> Result<Vec<String>> {
        self.calls(is_over, "new", |target| call(&mut self.connect()?, target))
    }

    fn calls(
        &self,
        is_over: &AtomicBool,
        name: &str,
        mut call: impl FnMut(&str) -> Result<()>,
    ) -> Result<Vec<String>> {
        let mut made = Vec::new();
        while !is_over.load(Ordering::Acquire) {
            let target = self.marker.path(&format!("{name}/{}", made.len()));
            call(&target)?;
            made.push(target);
            thread::sleep(Duration::from_millis(2));
        }
        Ok(made)
    }

    fn paced(&self) -> Result<Vec<String>> {
        let url = format!("https://localhost:{}{}", self.tls.port(), self.marker.path("paced"));
        let mut command = curl(&self.certificates);
        command.args(["--rate", "20/s", "--output", "/dev/null"]);
        run(command.arg(format!("{url}/[1-{PACED_CALLS}]")), LIMIT)?;
        Ok((1..=PACED_CALLS).map(|n| self.marker.path(&format!("paced/{n}"))).collect())
    }

    fn slow_target(&self) -> String {
        self.marker.path("slow.bin")
    }

    /// Five seconds of a download.
    fn slow_download(&self) -> Result<()> {
        let mut command = curl(&self.certificates);
        command.args(["--limit-rate", "2M", "--output", "/dev/null"]);
        command.arg(format!("https://localhost:{}{}", self.tls.port(), self.slow_target()));
        run(&mut command, LIMIT).map(drop)
    }
}

/// One call on a connection that stays open.
fn call(connection: &mut TcpStream, target: &str) -> Result<()> {
    connection.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(target.as_bytes()) {
        let mut buffer = [0; 1024];
        let read = connection.read(&mut buffer)?;
        ensure!(read > 0, "the server closed the connection");
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(())
}

const SLOW_BYTES: u64 = 10 << 20;
const PACED_CALLS: usize = 240;
const LIMIT: Duration = Duration::from_secs(60);
