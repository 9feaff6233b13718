//! Segments that are lost: each costs the calls that it was of, and none is paired wrongly.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mop_common::Direction;
use mop_tests::{
    Exchange, Marker, Nginx, Observer, Process, mop_command, observing, run, sha256_hex, until,
};
use mop_wire::mopcap::{Decoder, Encoder, Record};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn calls_are_paired_again_once_what_was_lost_has_passed() -> Result<()> {
    if !observing("calls_are_paired_again_once_what_was_lost_has_passed") {
        return Ok(());
    }
    /// For as long as MOP stands still, more comes than the smallest room holds.
    const STANDSTILL: Duration = Duration::from_millis(700);
    const A_WHILE: Duration = Duration::from_millis(600);
    /// Too short for a client's calls to be told apart by their times alone.
    const A_REST: Duration = Duration::from_micros(200);
    let folder = tempfile::tempdir()?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let marker = Marker::new("standstill");
    let observer = Observer::builder().args(&["--ring-mib", "1"]).start()?;
    let core = i32::try_from(observer.core()?).ok().and_then(Pid::from_raw).context("a process")?;
    let mut client = QuickClient::connect(nginx.port(), &marker)?;
    client.call_for(A_WHILE, Duration::ZERO)?;
    kill_process(core, Signal::STOP)?;
    let during = client.call_for(STANDSTILL, Duration::ZERO);
    kill_process(core, Signal::CONT)?;
    during?;
    // Until what waited has been read, room may run out again; and on a busy machine at any time, unless the
    // client leaves MOP some.
    client.call_for(A_WHILE, A_REST)?;
    let lost_before = client.calls;
    client.call_for(A_WHILE, A_REST)?;
    let last = marker.path(&(client.calls - 1).to_string());
    observer.wait_for(2, CALL_LIMIT, |one| one.target() == last)?;
    let observation = observer.stop()?;
    let mut followed = 0;
    for exchange in observation.exchanges(&marker.to_string()).iter().filter(|it| it.complete()) {
        is_right(exchange)?;
        followed += usize::from(number_of(exchange)? >= lost_before);
    }
    let (lost, expected) = (observation.lost(), 2 * (client.calls - lost_before));
    println!("{lost} losses, and then {followed} of {expected} calls");
    ensure!(lost > 0, "nothing was lost");
    ensure!(followed * 100 >= expected * 99, "only {followed} of {expected} calls");
    Ok(())
}

/// A quick client leaves no pause between its calls by which they could be told apart: what tells is that
/// one thread makes them.
#[test]
fn a_lost_segment_costs_a_quick_client_no_more_than_three_calls() -> Result<()> {
    if !observing("a_lost_segment_costs_a_quick_client_no_more_than_three_calls") {
        return Ok(());
    }
    /// Of the responses that the client read, one in so many is lost.
    const ONE_IN: usize = 50;
    const CALLS: usize = 2000;
    let folder = tempfile::tempdir()?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let marker = Marker::new("holes");
    let capture = folder.path().join("calls.mopcap");
    let errors = folder.path().join("errors");
    let mut command = mop_command();
    command.args(["record", "--yes", "--for", "60s", "--out"]).arg(&capture);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&errors)?);
    let mut recorder = Process::start("mop record", &mut command)?;
    until("recording", CALL_LIMIT, || {
        let said = fs::read_to_string(&errors).unwrap_or_default();
        said.lines().any(|line| line.starts_with("Recording")) || !recorder.running()
    })?;
    let mut client = QuickClient::connect(nginx.port(), &marker)?;
    for _ in 0..CALLS {
        client.call()?;
    }
    drop(client);
    recorder.signal(Signal::INT);
    let status = recorder.wait(CALL_LIMIT)?;
    ensure!(status.success(), "mop record ended with {status}: {}", fs::read_to_string(&errors)?);
    let lost = lose_responses(&capture, &marker, ONE_IN)?;
    ensure!(lost >= CALLS / ONE_IN, "only {lost} segments were taken out");
    let replayed = run(
        mop_command()
            .arg("replay")
            .arg(&capture)
            .args(["--all", "--body-digest"])
            .args(["--output", "jsonl"]),
        CALL_LIMIT,
    )?;
    let mut complete = 0;
    for line in replayed.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let record = serde_json::from_slice(line)?;
        let Some(exchange) = Exchange::from_record(&record) else { continue };
        let is_ours = exchange.target().starts_with(&marker.to_string());
        if is_ours && exchange.complete() && exchange.role() == "client" {
            is_right(&exchange)?;
            complete += 1;
        }
    }
    println!("{lost} segments lost, {complete} of {CALLS} calls complete");
    ensure!(complete < CALLS, "no call is missing");
    ensure!(complete + 3 * lost >= CALLS, "{lost} losses cost {} calls", CALLS - complete);
    Ok(())
}

/// Takes out of a capture one in so many of the segments that clients read; how many these were.
fn lose_responses(capture: &Path, marker: &Marker, one_in: usize) -> Result<usize> {
    let mut decoder = Decoder::new();
    decoder.push(&fs::read(capture)?);
    let (mut encoder, mut left) = (Encoder::new(), Vec::new());
    let request = format!("GET {}", marker.path(""));
    let (mut clients, mut responses, mut lost) = (Vec::new(), 0, 0);
    while let Some(record) = decoder.next_record()? {
        if let Record::Segment { head, bytes } = &record {
            if head.direction == Direction::Write as u8 && bytes.starts_with(request.as_bytes()) {
                clients.push(head.connection);
                clients.dedup();
            }
            if head.direction == Direction::Read as u8 && clients.contains(&head.connection) {
                responses += 1;
                if responses % one_in == 0 {
                    lost += 1;
                    continue;
                }
            }
        }
        encoder.record(&record, &mut left)?;
    }
    decoder.finish()?;
    fs::write(capture, left)?;
    Ok(lost)
}

/// The response says which request it answers.
fn is_right(exchange: &Exchange) -> Result<()> {
    let body = sha256_hex(exchange.target().as_bytes());
    ensure!(exchange.response().sha256() == body, "a wrong pair: {}", exchange.record());
    Ok(())
}

fn number_of(exchange: &Exchange) -> Result<usize> {
    let number = exchange.target().rsplit('/').next().and_then(|number| number.parse().ok());
    number.with_context(|| format!("an unknown call: {}", exchange.record()))
}

/// A client that makes one call after the other on one connection.
struct QuickClient<'m> {
    connection: BufReader<TcpStream>,
    marker: &'m Marker,
    calls: usize,
}

impl<'m> QuickClient<'m> {
    fn connect(server: u16, marker: &'m Marker) -> Result<Self> {
        let connection = BufReader::new(TcpStream::connect(("127.0.0.1", server))?);
        Ok(Self { connection, marker, calls: 0 })
    }

    fn call_for(&mut self, duration: Duration, rest: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < duration {
            self.call()?;
            if !rest.is_zero() {
                thread::sleep(rest);
            }
        }
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let target = self.marker.path(&self.calls.to_string());
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.connection.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            ensure!(self.connection.read_line(&mut line)? > 0, "the server went away");
        }
        let mut body = vec![0; target.len()];
        self.connection.read_exact(&mut body)?;
        ensure!(body == target.as_bytes(), "the server answered another call");
        self.calls += 1;
        Ok(())
    }
}

const CALL_LIMIT: Duration = Duration::from_secs(30);
