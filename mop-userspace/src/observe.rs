//! `mop observe`: the main job.

use std::{
    os::unix::net::UnixListener,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use mop_common::Counters;
use mop_insight::data::call::Extractor;
use mop_wire::Options;
use sha2::{Digest as _, Sha256};

use crate::{
    admin::Admin,
    batch::Batch,
    capture::{self, CaptureCounters, Destinations, QUEUE_BATCHES},
    cli::{ObserveArguments, OutputFormat},
    clock::{self, Clock},
    configuration::Configuration,
    connections::{Connections, LibraryNames, Node},
    coverage::{self, Decoded, Sight, Surveys},
    data::{self, DataConfiguration, Deadline, HookSocket, Module, NodeSamples, State},
    discovery::{self, FIND_QUEUE},
    failure::Failure,
    forwarding::Forwarding,
    official::{self, door::Door},
    output::{Dropped, Format, Outlet, Output},
    pipeline::{Pipeline, Reporter},
    privileges::{self, Layers, Needs, Probing, Role, Running},
    quality::{Inspector, QualityArguments},
    rulebook::Rules,
    security::{self, feed::FeedKeeper, intelligence::Indicators},
    selection::Selection,
    signals::StopRequest,
    spool::{spooling, unix_ms},
    stdout::print_line,
    summary::{ExchangeCounts, Summary, Totals, add_flows},
    vitals::Vitals,
    worker::{self, EMPTY_BATCHES},
};

/// Observes until told to stop.
pub(crate) fn run(mut arguments: ObserveArguments) -> Result<ExitCode, Failure> {
    let configuration = arguments.forwarding.load()?;
    let Configuration { observe: settings, quality, .. } = &configuration;
    let mut security = configuration.security.clone();
    arguments.over(settings, quality, &mut security);
    arguments.kernel.certificates = configuration.data.is_some() || security.enabled;
    let configuration = Configuration { security, ..configuration.clone() };
    let mut settings = configuration.privileges.clone();
    settings.split &= !arguments.no_privilege_split;
    let needs = Needs::of(&arguments, &configuration);
    match privileges::take_role(&arguments.kernel, &settings, &needs)? {
        Role::Over(code) => Ok(code),
        Role::Observer(probing, layers, socket) => {
            observe(&arguments, &configuration, probing, &layers, socket)
        }
    }
}

/// Observes through probes of this process or of its prober.
fn observe(
    arguments: &ObserveArguments,
    configuration: &Configuration,
    probing: Probing,
    layers: &Layers,
    socket: Option<UnixListener>,
) -> Result<ExitCode, Failure> {
    let format = Format::of(&arguments.report, spooling(configuration))?;
    let vitals = Vitals::new();
    vitals.wants(PROBES, "the probes are not attached yet");
    let family = layers.family();
    vitals.add_families(move || vec![family.clone()]);
    let run = run_id(&configuration.node.name());
    let stop = StopRequest::listen()?;
    let mut rules = Rules::load(&arguments.quality, &configuration.security)?;
    let dropped = Arc::new(Dropped::default());
    let (spool, forwarding) =
        Forwarding::start(configuration, Arc::clone(&dropped), &vitals)?.unzip();
    let output = Output::start(format, spool, Arc::clone(&dropped))?;
    let data = configuration.data.as_ref().filter(|_| !format.is_silent());
    let state = State::beside(configuration.outbox.folder.as_deref());
    let mut calls = None;
    let data = data
        .map(|data| {
            let state = state.clone();
            let node = NodeSamples::live(configuration, &vitals);
            let module = Module::open(data, state, node, Timestamp::now())?.of_run(&run);
            let module = module.counting(Forwarding::made(forwarding.as_ref()));
            calls = Some(module.extractor());
            let running = data::Running::start(module, output.outlet_that_waits(), &vitals)?;
            Ok::<_, Failure>((data, running))
        })
        .transpose()?;
    let security = (configuration.security.enabled && !format.is_silent()).then(|| {
        let settings = match &calls {
            Some(settings) => Arc::clone(settings),
            None => calls.insert(DataConfiguration::default().extractor(state.key()?)?).clone(),
        };
        let addresses = configuration.data.as_ref().map(DataConfiguration::addresses);
        let addresses = addresses.transpose()?.unwrap_or_default();
        let module = security::Module::new(&configuration.security, &settings, addresses)?;
        let feed = configuration.security.misp.as_ref();
        let feed = feed.map(|feed| FeedKeeper::open(feed, Timestamp::now())).transpose()?;
        if let Some(feed) = &feed {
            let feed = feed.vitals();
            vitals.add_families(move || feed.families());
        }
        let module = module.with_feed(feed).with_state(state.clone());
        security::Running::start(module, output.outlet_that_waits(), &vitals)
    });
    let security = security.transpose()?;
    let section = &configuration.security;
    if !section.enabled && (section.misp.is_some() || section.intelligence.is_some()) {
        eprintln!(
            "mop: [security.misp] and [security.intelligence] do nothing while security.enabled is false"
        );
    }
    let intelligence = configuration.security.intelligence.as_ref();
    let intelligence = intelligence.filter(|_| security.is_some());
    let mut indicators = intelligence.map(Indicators::open).transpose()?;
    if let Some(indicators) = &mut indicators {
        indicators.watch()?;
        let stores = indicators.stores();
        vitals.add_families(move || stores.families());
    }
    let deadline = match &data {
        Some(_) => Deadline::start(configuration, &vitals)?,
        None => None,
    };
    let reporter = |rules: &Rules, worker: &str, outlet: Outlet| Reporter {
        selection: Selection::of(&arguments.report),
        payload: format.payload(),
        outlet: (!format.is_silent()).then_some(outlet),
        clock: Clock::now(),
        run: run.clone(),
        counts: ExchangeCounts::default(),
        inspector: inspector(
            rules,
            &arguments.quality,
            LIVE_CLEAN,
            format!("{run}/{worker}"),
            forwarding.as_ref(),
        ),
        extractor: calls.clone().map(Extractor::new),
        data: data.as_ref().map(|(_, running)| running.port()),
        security: security.as_ref().zip(rules.books()).map(|(running, books)| {
            running.port(books).looking_up(indicators.as_ref().map(Indicators::stores))
        }),
    };
    let admin = configuration.admin.asked_for(arguments.admin, configuration.is_given);
    let mut routes = axum::Router::new();
    let mut door = None;
    if admin.enabled && admin.door {
        let reporter = reporter(&rules, "door", output.outlet_that_waits());
        let official = forwarding.as_ref().and_then(Forwarding::official_source);
        let opened = Door::start(reporter, official)?;
        routes = official::door::routes(Arc::clone(&opened.0));
        door = Some(opened);
    }
    if let Some((data, running)) = &data {
        routes = routes.merge(data::routes(data, running));
    }
    if let Some(feed) = configuration.security.misp.as_ref().filter(|_| security.is_some()) {
        routes = routes.merge(security::feed::routes(feed));
    }
    let admin = Admin::start_if_enabled(&admin, &vitals, routes)?;
    let running = data.as_ref().map(|(_, running)| running);
    let hook = socket.zip(running).map(|(socket, running)| HookSocket::start(socket, running));
    let hook = hook.transpose()?;
    let mut session = Session::start(probing, usize::from(arguments.workers))?;
    let decoded = configuration.coverage.enabled.then(Arc::<Decoded>::default);
    let mut workers = Vec::new();
    for (number, batches) in std::mem::take(&mut session.batches).into_iter().enumerate() {
        let reporter = reporter(&rules, &number.to_string(), output.outlet());
        let options = Options { digest_bodies: arguments.report.body_digest, ..Options::default() };
        let peers = data.as_ref().map(|(_, running)| running.peers());
        let connections = Connections::new(Arc::clone(&session.libraries), Node).with_peers(peers);
        let pipeline = Pipeline::new(options, connections, reporter);
        let empties = session.empties.clone();
        let worked = vitals.worker();
        let sight = decoded.clone().map(Sight::new);
        workers.push(spawn("mop-worker", move || {
            worker::run(pipeline, &batches, &empties, sight, &worked)
        })?);
    }
    let coverage = decoded.map(|decoded| {
        coverage::Running::start(
            &configuration.coverage,
            session.surveys(),
            (decoded, Arc::clone(&session.libraries)),
            (!format.is_silent()).then(|| output.outlet_that_waits()),
            &run,
            &vitals,
        )
    });
    let coverage = coverage.transpose()?;
    vitals.set_capture(Arc::clone(&session.counters), Arc::clone(&session.libraries));
    vitals.has(PROBES);
    if let Some(books) = rules.books() {
        vitals.set_rules(books);
    }
    rules.watch(&arguments.quality.rules)?;
    eprintln!("Privileges: {layers}.");
    eprintln!("Observing {} TLS libraries and all TCP sockets.", session.libraries.len());

    stop.wait(arguments.duration, || {
        session.is_over() || output.is_finished() || workers.iter().any(JoinHandle::is_finished)
    });

    vitals.wants(PROBES, "the observer is stopping");
    if let Some(coverage) = coverage {
        coverage.stop();
    }
    let stopped = session.stop()?;
    let mut totals = Totals {
        kernel: Some(stopped.kernel),
        received_segments: stopped.capture.received_segments.load(Ordering::Relaxed),
        received_bytes: stopped.capture.received_bytes.load(Ordering::Relaxed),
        queue_dropped_segments: stopped.capture.queue_dropped_segments.load(Ordering::Relaxed),
        dropped_finds: stopped.capture.dropped_finds.load(Ordering::Relaxed),
        libraries: stopped.libraries,
        ..Totals::default()
    };
    for worker in workers {
        let worked =
            worker.join().map_err(|_panic| Failure::runtime("a worker thread panicked"))?;
        totals.counts.absorb(&worked.counts);
        add_flows(&mut totals.flows, &worked.flows);
        if let Some(inspected) = worked.inspected {
            totals.inspected.get_or_insert_default().absorb(inspected);
        }
    }
    rules.stop()?;
    if let Some(admin) = admin {
        admin.stop();
    }
    if let Some((door, reporter)) = door {
        door.close();
        let reporter =
            reporter.join().map_err(|_panic| Failure::runtime("the door's thread panicked"))?;
        totals.counts.absorb(&reporter.counts);
        if let Some(inspector) = reporter.inspector {
            totals.inspected.get_or_insert_default().absorb(inspector.counts);
        }
    }
    if let Some(hook) = hook {
        hook.stop();
    }
    let data = data.map_or(Ok(()), |(_, running)| running.stop());
    let security = security.map_or(Ok(()), security::Running::stop);
    if let Some(indicators) = indicators {
        indicators.stop()?;
    }
    if let Some(deadline) = deadline {
        deadline.stop();
    }
    let spool = output.finish()?;
    totals.output_dropped_bytes = dropped.bytes.load(Ordering::Relaxed);
    if let (Some(spool), Some(forwarding)) = (spool, forwarding) {
        forwarding.stop(spool);
    }
    // Whatever became of the module, what others reported is kept first.
    data?;
    security?;
    let code = finish(arguments.report.output, &Summary::new(totals))?;
    if stopped.is_prober_lost {
        return Err(Failure::runtime("the prober is gone: nothing is observed any more"));
    }
    Ok(code)
}

/// The judge of one worker, which also makes messages for the official server when there is one.
pub(crate) fn inspector(
    rules: &Rules,
    arguments: &QualityArguments,
    report_clean: u32,
    worker: String,
    forwarding: Option<&Forwarding>,
) -> Option<Inspector> {
    let mut inspector = rules.inspector(arguments, report_clean, worker)?;
    inspector.official = forwarding.and_then(Forwarding::official);
    Some(inspector)
}

/// Begins the identifiers of a run: no other run, of this node or another, has the same.
fn run_id(node: &str) -> String {
    let digest = Sha256::digest(format!("{node}/{}/{}", unix_ms(), clock::monotonic_ns()));
    digest.iter().take(RUN_ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Enough for every run of every node there will ever be.
pub(crate) const RUN_ID_BYTES: usize = 8;
/// What an observer needs before it is ready.
const PROBES: &str = "probes";

/// Of the calls with nothing wrong, the part of live traffic that is reported: enough to see that
/// judging goes on, at no cost.
const LIVE_CLEAN: u32 = 100;

/// Prints the summary: for machines as the last record, for people below the records.
pub(crate) fn finish(output: OutputFormat, summary: &Summary) -> Result<ExitCode, Failure> {
    match output {
        OutputFormat::Jsonl => {
            let line = serde_json::to_string(summary).map_err(Failure::runtime)?;
            print_line(&line);
        }
        OutputFormat::Pretty | OutputFormat::None => eprintln!("{}", summary.lines()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The threads that every live command has: capture and discovery.
pub(crate) struct Session {
    /// One queue per worker, to be taken by the workers.
    pub(crate) batches: Vec<Receiver<Batch>>,
    /// Where workers put emptied batches.
    pub(crate) empties: Sender<Batch>,
    pub(crate) libraries: Arc<LibraryNames>,
    pub(crate) counters: Arc<CaptureCounters>,
    stop: Arc<AtomicBool>,
    finds: Sender<discovery::Find>,
    probing: Running,
    capture: JoinHandle<()>,
}

/// What is known when a session is over.
pub(crate) struct Stopped {
    pub(crate) kernel: Counters,
    pub(crate) capture: Arc<CaptureCounters>,
    pub(crate) libraries: usize,
    /// The prober is gone without a last word: the kernel's counters are as old as its last ones.
    pub(crate) is_prober_lost: bool,
}

impl Session {
    /// Loads, attaches and starts the threads. When it returns, everything is being observed.
    pub(crate) fn start(probing: Probing, workers: usize) -> Result<Self, Failure> {
        let libraries = Arc::new(LibraryNames::default());
        let counters = Arc::new(CaptureCounters::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (queues, batches): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| bounded(QUEUE_BATCHES)).unzip();
        let (empties, emptied) = bounded(EMPTY_BATCHES);
        let (finds, to_find) = bounded(FIND_QUEUE);
        let (attached, rings) = probing.attach()?;
        let destinations = Destinations { workers: queues, empties: emptied, finds: finds.clone() };
        let capture = {
            let (counters, stop) = (Arc::clone(&counters), Arc::clone(&stop));
            spawn("mop-capture", move || capture::run(rings, destinations, &counters, &stop))?
        };
        let probing = attached.look_around(to_find, &libraries, &counters)?;
        Ok(Self { batches, empties, libraries, counters, stop, finds, probing, capture })
    }

    /// How the sockets of the node are looked at.
    pub(crate) fn surveys(&self) -> Surveys {
        self.probing.surveys()
    }

    /// True when observation has ended although nobody here asked for it.
    pub(crate) fn is_over(&self) -> bool {
        self.probing.is_over()
    }

    /// Detaches, reads what is left in the lanes and ends the threads.
    pub(crate) fn stop(self) -> Result<Stopped, Failure> {
        let Self { batches: _, empties: _, libraries, counters, stop, finds, probing, capture } =
            self;
        let _ = finds.send(discovery::Find::Nothing);
        drop(finds);
        let last = probing.detached()?;
        // No probe runs any more: what the lanes hold is all there is.
        stop.store(true, Ordering::Release);
        capture.join().map_err(|_panic| Failure::runtime("the capture thread panicked"))?;
        Ok(Stopped {
            kernel: last.or_else(|| counters.kernel()).unwrap_or_default(),
            capture: counters,
            libraries: libraries.len(),
            is_prober_lost: last.is_none(),
        })
    }
}

/// Starts a named thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Failure::runtime(format!("cannot start the thread {name}: {error}")))
}
