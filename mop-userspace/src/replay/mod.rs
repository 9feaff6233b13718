//! `mop replay`: reports the calls of a file, without privileges.

mod capture_file;
mod exchange_lines;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use mop_insight::data::call::Extractor;
use sha2::{Digest as _, Sha256};

use crate::{
    cli::ReplayArguments,
    clock::Clock,
    data::{DataConfiguration, Module, NodeSamples, Port, State},
    failure::Failure,
    forwarding::Forwarding,
    identifiers::Identifiers,
    observe::{self, RUN_ID_BYTES},
    output::{Dropped, Format, Output},
    pipeline::Reporter,
    quality::Linking,
    rulebook::Rules,
    scope::Scope,
    security::{self, feed::FeedKeeper, intelligence::Indicators},
    selection::Selection,
    spool::spooling,
    summary::{ExchangeCounts, Summary},
    vitals::Vitals,
};

/// Reads the file in the format that its name says.
pub(crate) fn run(arguments: &ReplayArguments) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let read = if name.ends_with(".mopcap") {
        capture_file::replay
    } else if name.ends_with(".exchanges.jsonl") {
        exchange_lines::replay
    } else {
        return Err(Failure::usage(format!(
            "{} is of no known kind: its name must end in .mopcap or .exchanges.jsonl",
            path.display()
        )));
    };
    // A replay on a node that forwards is not to be taken for its traffic, unless that is asked for.
    let configuration = arguments.forwarding.load_if_given()?;
    let format = Format::of(&arguments.report, spooling(&configuration))?;
    let file = File::open(path)
        .map_err(|error| Failure::runtime(format!("cannot open {}: {error}", path.display())))?;
    let (run, mut file) = identify(BufReader::with_capacity(READ_BYTES, file))
        .map_err(|error| Failure::runtime(format!("cannot read {}: {error}", path.display())))?;
    let mut looked_for = configuration.security.clone();
    looked_for.over(&arguments.security);
    let rules = Rules::load(&arguments.quality, &looked_for)?;
    let dropped = Arc::new(Dropped::default());
    let (spool, forwarding) =
        Forwarding::start(&configuration, Arc::clone(&dropped), &Vitals::new())?.unzip();
    if let Some(forwarding) = &forwarding {
        // A replay does not last long enough for them to come meanwhile.
        forwarding.wait_for_fields(FIELDS_LIMIT);
    }
    let output = Output::start(format, spool, Arc::clone(&dropped))?;
    let mut calls = None;
    let data = configuration
        .data
        .as_ref()
        // A file is a world of its own: nothing is known before it, and nothing kept after it, but
        // what it puts into the outbox counts as any other.
        .map(|data| {
            let node = NodeSamples::of_file(&configuration);
            let module = Module::open(data, State::beside(None), node, Timestamp::UNIX_EPOCH)?;
            let module = module.of_run(&run);
            calls = Some(module.extractor());
            Ok::<_, Failure>(module.counting(Forwarding::made(forwarding.as_ref())))
        })
        .transpose()?;
    let security = match rules.books().filter(|_| looked_for.enabled) {
        Some(books) => {
            let settings = match calls.take() {
                Some(settings) => settings,
                None => DataConfiguration::default().extractor(State::beside(None).key()?)?,
            };
            let addresses = configuration.data.as_ref().map(DataConfiguration::addresses);
            let addresses = addresses.transpose()?.unwrap_or_default();
            let module = security::Module::of_file(&looked_for, &settings, addresses)?;
            let feed = looked_for.misp.as_ref();
            let feed = feed.map(|feed| FeedKeeper::open(feed, Timestamp::now())).transpose()?;
            let indicators = looked_for.intelligence.as_ref().map(Indicators::open).transpose()?;
            let stores = indicators.as_ref().map(Indicators::stores);
            calls = Some(settings);
            Some(security::Port::here(books, module.with_feed(feed)).looking_up(stores))
        }
        None => None,
    };
    let addresses = configuration.data.as_ref().map(DataConfiguration::addresses);
    let linking = Linking::new(addresses.transpose()?.unwrap_or_default())?;
    let (quality, name) = (&arguments.quality, run.clone());
    let inspector = observe::inspector(&rules, quality, EACH_CLEAN, name, forwarding.as_ref());
    let reporter = Reporter {
        tenure: Arc::default(),
        // A file was made of what was in scope, and does not tell whose calls they are.
        scope: Scope::default(),
        guard: None,
        selection: Selection::of(&arguments.report),
        payload: format.payload(),
        outlet: (!format.is_silent()).then(|| output.outlet_that_waits()),
        clock: Clock { offset_ns: 0 },
        identifiers: Identifiers::of_run(run),
        counts: ExchangeCounts::default(),
        inspector: inspector.map(|inspector| inspector.linking(linking)),
        extractor: calls.map(Extractor::new),
        data: data.map(Port::here),
        security,
    };
    let read = read(&mut file, &arguments.report, reporter);
    // What was read before an error is reported all the same.
    let spool = output.finish()?;
    if let (Some(mut spool), Some(forwarding)) = (spool, forwarding) {
        if !forwarding.drain(&mut spool, DRAIN_LIMIT, || false) {
            eprintln!("mop: some records are still in the outbox; they are sent by the next run");
        }
        forwarding.stop(spool);
    }
    let mut totals = read.map_err(|failure| failure.in_context(&path.display().to_string()))?;
    totals.output_dropped_bytes = dropped.bytes.load(Ordering::Relaxed);
    observe::finish(arguments.report.output, &Summary::new(totals))
}

/// Gives what begins the identifiers of a replay — the same whenever the same file is replayed, and
/// another for another file — and the file as it was.
fn identify<R: Read>(mut file: R) -> io::Result<(String, impl Read)> {
    let mut start = Vec::new();
    file.by_ref().take(IDENTIFIED_BYTES).read_to_end(&mut start)?;
    let digest = Sha256::digest(&start);
    let run = digest.iter().take(RUN_ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    Ok((run, io::Cursor::new(start).chain(file)))
}

/// Captures differ from their first record on: it has the time of the machine in nanoseconds.
const IDENTIFIED_BYTES: u64 = 64 << 10;

/// Whoever replays a file wants to know of every call in it.
const EACH_CLEAN: u32 = 1;

/// Without the lists of the official server no message for it can be made.
const FIELDS_LIMIT: Duration = Duration::from_secs(10);

/// The sinks may take so long for what a file gives.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

const READ_BYTES: usize = 256 << 10;
