//! `mop forward`: puts records that were made elsewhere into the outbox and forwards them.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, Read as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use mop_outbox::{Admission, Draft, Lane};
use serde::Deserialize;

use crate::{
    admin::Admin,
    configuration::{Configuration, ConfigurationArguments},
    data::SharedMade,
    failure::Failure,
    forwarding::Forwarding,
    observe::spawn,
    output::Dropped,
    signals::StopRequest,
    spool::{Spool, unix_ms},
    stdout,
    vitals::Vitals,
};

/// Arguments of `mop forward`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: mop outbox export --folder old/outbox | mop forward --config mop.toml"
)]
pub(crate) struct ForwardArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Serve metrics and health there, e.g. 127.0.0.1:9465. Without it: nowhere, since the observer
    /// of this node does.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// Print the id of each record, one a line, once it is safe on disk.
    #[arg(long)]
    pub(crate) acknowledge: bool,
    /// After the last record, wait so long for the sinks to take all that is left.
    #[arg(long, value_name = "DURATION", default_value = "30s",
          value_parser = crate::cli::parse_duration)]
    pub(crate) drain_for: Duration,
}

/// What must be in a record for it to be forwarded.
#[derive(Deserialize)]
struct Head {
    kind: String,
    id: String,
    verdict: Option<String>,
}

/// Reads records, one a line, from the standard input until it ends.
pub(crate) fn run(arguments: &ForwardArguments) -> Result<ExitCode, Failure> {
    let configuration = Configuration::load(&arguments.configuration)?;
    let stop = StopRequest::listen()?;
    let numbers = Vitals::new();
    let started = Forwarding::start(&configuration, Arc::new(Dropped::default()), &numbers)?;
    let Some((mut spool, forwarding)) = started else {
        return Err(Failure::configuration(
            "nothing says where records go: configure [outbox] and a sink",
        ));
    };
    let admin = configuration.admin.asked_for(arguments.admin, false);
    let admin = Admin::start_if_enabled(&admin, &numbers, axum::Router::new())?;
    let (lines, incoming) = bounded(QUEUE_LINES);
    // The reader may be waiting for input when the program ends: nobody waits for it.
    spawn("mop-input", move || read(&lines))?;
    let mut refused_lines = 0;
    let mut acknowledgements = Acknowledgements::new(arguments.acknowledge);
    // Events that were made elsewhere are owed as those of this node are.
    let made = Forwarding::made(Some(&forwarding));
    let is_stopped = || stop.is_requested();
    let read = loop {
        if is_stopped() {
            break Ok(());
        }
        match take(&incoming, &mut spool, &mut acknowledgements, &made, &mut refused_lines) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    spool.commit();
    made.write(Timestamp::now());
    acknowledgements.print(&spool);
    let is_drained = forwarding.drain(&mut spool, arguments.drain_for, is_stopped);
    let vitals = Arc::clone(&forwarding.vitals);
    forwarding.stop(spool);
    if let Some(admin) = admin {
        admin.stop();
    }
    read?;
    if refused_lines > 0 {
        return Err(Failure::runtime(format!(
            "{refused_lines} lines are no records with `kind` and `id`; the others were forwarded"
        )));
    }
    if !is_drained && !is_stopped() {
        return Err(Failure::runtime(format!(
            "{} records are still in the outbox; they are sent by the next run",
            vitals.spooled()
        )));
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes what has come. False when no more will.
fn take(
    incoming: &Receiver<io::Result<Vec<u8>>>,
    spool: &mut Spool,
    acknowledgements: &mut Acknowledgements,
    made: &SharedMade,
    refused_lines: &mut u64,
) -> Result<bool, Failure> {
    let wait = spool.tend().min(LOOK_EVERY);
    acknowledgements.print(spool);
    let mut next = match incoming.recv_timeout(wait) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Timeout) => return Ok(true),
        Err(RecvTimeoutError::Disconnected) => return Ok(false),
    };
    let mut taken = 0;
    while let Some(line) = next {
        let line =
            line.map_err(|error| Failure::runtime(format!("cannot read records: {error}")))?;
        let payload = line.trim_ascii();
        match serde_json::from_slice::<Head>(payload) {
            Ok(head) if fits(&head, payload) => {
                let lane = lane_of(&head);
                let draft = Draft { lane, kind: &head.kind, id: &head.id, payload };
                if let Admission::Accepted { sequence } = spool.append(draft, unix_ms()) {
                    made.lock().forwarded(&head.kind, &head.id, payload);
                    acknowledgements.expect(lane, sequence, head.id);
                }
            }
            _ if payload.is_empty() => {}
            _ => *refused_lines += 1,
        }
        taken += 1;
        next = if taken < LINES_AT_ONCE { incoming.try_recv().ok() } else { None };
    }
    Ok(true)
}

fn fits(head: &Head, payload: &[u8]) -> bool {
    !head.kind.is_empty()
        && head.kind.len() <= MAX_KIND_BYTES
        && !head.id.is_empty()
        && head.id.len() <= MAX_ID_BYTES
        && payload.len() <= MAX_LINE_BYTES
}

/// Where a record belongs by what it says of itself.
fn lane_of(head: &Head) -> Lane {
    match head.kind.split('.').next() {
        Some("ops" | "node") => Lane::Operations,
        Some("security") => Lane::Security,
        Some("exchange") => Lane::Local,
        Some("quality") if head.kind == "quality.report" => match head.verdict.as_deref() {
            Some("conforming" | "unjudged") => Lane::Samples,
            _ => Lane::Violations,
        },
        _ => Lane::Data,
    }
}

fn read(lines: &Sender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        // One byte more than is allowed shows that the line is too long.
        match input.by_ref().take(MAX_LINE_BYTES as u64 + 2).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {
                if lines.send(Ok(line)).is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = lines.send(Err(error));
                return;
            }
        }
    }
}

/// Ids that are printed once their records are safe.
struct Acknowledgements {
    lanes: Option<[VecDeque<(u64, String)>; Lane::ALL.len()]>,
    /// Records that each lane had dropped when it was looked at last.
    shed: [u64; Lane::ALL.len()],
}

impl Acknowledgements {
    fn new(is_wanted: bool) -> Self {
        Self { lanes: is_wanted.then(Default::default), shed: [0; Lane::ALL.len()] }
    }

    fn expect(&mut self, lane: Lane, sequence: u64, id: String) {
        if let Some(lane) = self.lanes.as_mut().and_then(|lanes| lanes.get_mut(lane as usize)) {
            lane.push_back((sequence, id));
        }
    }

    fn print(&mut self, spool: &Spool) {
        let Some(lanes) = &mut self.lanes else { return };
        let mut text = String::new();
        for (lane, (waiting, shed_before)) in
            Lane::ALL.into_iter().zip(lanes.iter_mut().zip(&mut self.shed))
        {
            if waiting.is_empty() {
                continue;
            }
            // Records were dropped before they were safe: which ones is not known, so nothing is
            // promised of any that wait.
            let shed = spool.shed(lane);
            if std::mem::replace(shed_before, shed) < shed {
                waiting.clear();
            }
            let durable = spool.durable(lane);
            while let Some((_, id)) = waiting.pop_front_if(|(sequence, _)| *sequence <= durable) {
                text.push_str(&id);
                text.push('\n');
            }
        }
        if !text.is_empty() {
            stdout::print(&text);
        }
    }
}

/// As much as the outbox takes of one record.
const MAX_LINE_BYTES: usize = 16 << 20;
const MAX_KIND_BYTES: usize = 64;
const MAX_ID_BYTES: usize = 512;

/// The reader is a little ahead, no more: what it holds is not safe yet.
const QUEUE_LINES: usize = 256;

/// Then what is due is looked after.
const LINES_AT_ONCE: usize = 256;

/// A stop request is seen so soon.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_where_they_belong() {
        for (kind, verdict, lane) in [
            ("ops.ledger", None, Lane::Operations),
            ("node.coverage", None, Lane::Operations),
            ("security.finding", None, Lane::Security),
            ("quality.report", Some("violating"), Lane::Violations),
            ("quality.report", Some("conforming"), Lane::Samples),
            ("quality.report", None, Lane::Violations),
            ("quality.summary", None, Lane::Data),
            ("data.call", None, Lane::Data),
            ("exchange", None, Lane::Local),
            ("exchange.hop", None, Lane::Local),
        ] {
            let head = Head {
                kind: kind.to_owned(),
                id: "x".to_owned(),
                verdict: verdict.map(str::to_owned),
            };
            assert_eq!(lane_of(&head), lane, "{kind} {verdict:?}");
        }
    }
}
