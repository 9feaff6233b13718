//! `mop observe`: the main job.

use std::{
    cell::Cell,
    os::unix::net::UnixListener,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Instant,
};

use jiff::Timestamp;
use mop_insight::data::call::Extractor;
use mop_wire::Options;
use sha2::{Digest as _, Sha256};

use crate::{
    admin::Admin,
    cli::{ObserveArguments, OutputFormat},
    clock::{self, Clock},
    configuration::Configuration,
    connections::{Connections, Node},
    coverage::{self, CoverageVitals, Decoded, Sight},
    data::{self, DataConfiguration, Deadline, HookSocket, Module, NodeSamples, State},
    failure::Failure,
    forwarding::Forwarding,
    handover::{Arrival, Begun, Means, Post, Then},
    hellos::Hellos,
    official::{self, door::Door},
    output::{Dropped, Format, Outlet, Output},
    pipeline::{Pipeline, Reporter},
    privileges::{self, Layers, Needs, Outlook, Probing, Role},
    protection::{self, Guard},
    quality::{self, Inspector, Linking, QualityArguments},
    rulebook::Rules,
    scope::Scope,
    security::{self, feed::FeedKeeper, intelligence::Indicators},
    selection::Selection,
    session::{Known, Session, Start},
    signals::StopRequest,
    spool::{spooling, unix_ms},
    stdout::print_line,
    summary::{ExchangeCounts, Summary, Totals, add_flows},
    tidying::Tidying,
    vitals::Vitals,
    worker,
    workloads::Keeper,
};

/// Observes until told to stop.
pub(crate) fn run(mut arguments: ObserveArguments) -> Result<ExitCode, Failure> {
    let configuration = arguments.forwarding.load()?;
    let Configuration { observe: settings, quality, .. } = &configuration;
    let mut security = configuration.security.clone();
    arguments.over(settings, quality, &mut security);
    arguments.kernel.certificates = configuration.data.is_some() || security.enabled;
    arguments.kernel.switch.clone_from(&configuration.protection.switch);
    arguments.kernel.never_attach.clone_from(&configuration.protection.never_attach);
    arguments.kernel.wants_administration =
        configuration.coverage.enabled || configuration.protection.cpu_share > 0.0;
    let configuration = Configuration { security, ..configuration.clone() };
    let mut settings = configuration.privileges.clone();
    settings.split &= !arguments.no_privilege_split;
    let needs = Needs::of(&arguments, &configuration);
    let courtesy = protection::give_way(configuration.protection.gives_way);
    match privileges::take_role(&arguments.kernel, &settings, &needs)? {
        Role::Over(code) => Ok(code),
        Role::Observer(probing, layers, socket) => {
            observe(&arguments, &configuration, probing, &layers, socket, &courtesy)
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
    courtesy: &Result<(), String>,
) -> Result<ExitCode, Failure> {
    let format = Format::of(&arguments.report, spooling(configuration))?;
    let vitals = Vitals::new();
    vitals.wants(PROBES, "the probes are not attached yet");
    let family = layers.family();
    vitals.add_families(move || vec![family.clone()]);
    let run = run_id(&configuration.node.name());
    let stop = StopRequest::listen()?;
    let mut rules = Rules::load(&arguments.quality, &configuration.security)?;
    let known = Known::default();
    let hellos = Arc::<Hellos>::default();
    let workers = usize::from(arguments.workers);
    let takes_over = arguments.take_over || configuration.handover.take_over;
    let means = Means { probing, workers, hellos: &hellos, known: &known };
    let outbox = configuration.outbox.folder.as_deref();
    let Arrival { post: own, tenure, begun } = Arrival::of(outbox, takes_over, means, &stop)?;
    let tenure = Arc::new(tenure);
    let (mut probing, mut early) = match begun {
        Begun::Not(probing) => (Some(probing), None),
        Begun::Early(start) => (None, Some(start)),
        Begun::Over => return Ok(ExitCode::SUCCESS),
    };
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
    let quality = rules.judging_books().map(|books| {
        let addresses = configuration.data.as_ref().map(DataConfiguration::addresses);
        let parts = quality::Parts {
            books,
            arguments: &arguments.quality,
            report_clean: LIVE_CLEAN,
            name: run.clone(),
            official: forwarding.as_ref().and_then(Forwarding::official_source),
            outlet: (!format.is_silent()).then(|| output.outlet_that_waits()),
            linking: Linking::new(addresses.transpose()?.unwrap_or_default())?,
        };
        quality::Running::start(parts, &vitals)
    });
    let quality = quality.transpose()?;
    let scope = Scope::new(&configuration.scope)?;
    let keeper = Keeper::start_if_configured(configuration, &vitals)?;
    let directory = keeper.as_ref().map(Keeper::directory);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guard = Guard::new(&configuration.protection, processors);
    let reporter = |rules: &Rules, run: &str, worker: &str, outlet: Outlet| Reporter {
        tenure: Arc::clone(&tenure),
        scope: scope.clone(),
        guard: Some(Arc::clone(&guard)),
        selection: Selection::of(&arguments.report),
        payload: format.payload(),
        outlet: (!format.is_silent()).then_some(outlet),
        clock: Clock::now(),
        run: run.to_owned(),
        counts: ExchangeCounts::default(),
        inspector: inspector(
            rules,
            &arguments.quality,
            LIVE_CLEAN,
            format!("{run}/{worker}"),
            forwarding.as_ref(),
        )
        .zip(quality.as_ref())
        .map(|(inspector, running)| inspector.handing_over(running)),
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
        let reporter = reporter(&rules, &run, "door", output.outlet_that_waits());
        // Nobody else has what comes by it.
        let reporter = Reporter { tenure: Arc::default(), ..reporter };
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
    if let Some(keeper) = &keeper {
        keeper.wait_for_names();
    }
    let guard_running = protection::Running::start(&guard, &known.counters, &vitals)?;
    let coverage_vitals = CoverageVitals::told_by(&vitals);
    vitals.set_capture(Arc::clone(&known.counters), Arc::clone(&known.libraries));
    if let Some(books) = rules.books() {
        vitals.set_rules(books);
    }
    let end = arguments.duration.and_then(|duration| Instant::now().checked_add(duration));
    let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
    let is_at_end =
        || stop.is_requested() || output.is_finished() || left().is_some_and(|left| left.is_zero());
    let mut totals = Totals::default();
    // None any more once handing over has failed: a disk that is full ends nothing.
    let post = Cell::new(own.as_ref());
    let is_awaited = || post.get().is_some_and(Post::is_awaited);
    let hand_over = || {
        let handed_over = post.get().map_or(Ok(()), |post| post.hand_over(&tenure));
        if let Err(error) = &handed_over {
            eprintln!("mop: cannot hand over: {error}; this observer goes on");
            post.set(None);
        }
        handed_over.is_ok()
    };
    let mut is_handed_over = false;
    let mut rest = None;
    let mut is_switched_off = false;
    let mut sessions = 0_u64;
    let told = Arc::clone(&hellos);
    vitals.add_families(move || told.families());
    let is_prober_lost = loop {
        if is_switched_off || rest.is_some() {
            vitals.wants(PROBES, guard.wait_reason(is_switched_off, rest));
            let resting = rest.take().and_then(|rest| Instant::now().checked_add(rest));
            let is_resting = || resting.is_some_and(|end| Instant::now() < end);
            let outlook = Cell::new(Outlook::Wait);
            stop.wait(left(), || {
                let now = probing.as_ref().map(|probing| probing.outlook(is_switched_off));
                outlook.set(now.unwrap_or(Outlook::Over));
                output.is_finished()
                    || is_awaited()
                    || outlook.get() == Outlook::Over
                    || outlook.get() == Outlook::Attach && !is_resting()
            });
            if is_at_end() || outlook.get() == Outlook::Over {
                break false;
            }
            // Nothing is attached, and nothing is under way.
            if is_awaited() && hand_over() {
                is_handed_over = true;
                break false;
            }
        }
        let start = match (early.take(), probing.take()) {
            (Some(start), _) => start,
            (None, Some(probing)) => {
                hellos.forget_all();
                Session::start(probing, workers, Some(Arc::clone(&hellos)), &known)?
            }
            (None, None) => break true,
        };
        let mut session = match start {
            Start::Session(session) => session,
            Start::SwitchedOff(again) => {
                (probing, is_switched_off) = (Some(again), true);
                continue;
            }
        };
        guard.is_on();
        sessions += 1;
        // Identifiers of connections begin anew with each session.
        let run = if sessions == 1 { run.clone() } else { format!("{run}.{sessions}") };
        let decoded = configuration.coverage.enabled.then(Arc::<Decoded>::default);
        let mut workers = Vec::new();
        for (number, batches) in std::mem::take(&mut session.batches).into_iter().enumerate() {
            let reporter = reporter(&rules, &run, &number.to_string(), output.outlet());
            let options =
                Options { digest_bodies: arguments.report.body_digest, ..Options::default() };
            let peers = data.as_ref().map(|(_, running)| running.peers());
            let connections = Connections::new(Arc::clone(&known.libraries), Node)
                .with_peers(peers)
                .with_hellos(Arc::clone(&hellos))
                .with_directory(directory.clone());
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
                (decoded, Arc::clone(&known.libraries), directory.clone()),
                (!format.is_silent()).then(|| output.outlet_that_waits()),
                &run,
                &coverage_vitals,
            )
        });
        let coverage = coverage.transpose()?;
        vitals.has(PROBES);
        if sessions == 1 {
            rules.watch(&arguments.quality.rules)?;
            eprintln!("Privileges: {layers}.");
            match courtesy {
                Ok(()) => eprintln!("Processors: gives way to all other work of the node."),
                Err(why) => eprintln!("Processors: works like any other program, since {why}."),
            }
        }
        eprintln!("Observing {} TLS libraries and all TCP sockets.", known.libraries.len());

        let mut tidying = Tidying::new();
        let mut is_interrupted = || {
            tidying.look(known.counters.received_bytes.load(Ordering::Relaxed));
            session.is_over()
                || output.is_finished()
                || workers.iter().any(JoinHandle::is_finished)
                || guard.wants_rest()
        };
        loop {
            stop.wait(left(), || is_interrupted() || is_awaited());
            if is_interrupted() || is_at_end() || !is_awaited() {
                break;
            }
            if !hand_over() {
                continue;
            }
            eprintln!("Handing over: requests from now on are of the observer that waits.");
            let grace = configuration.handover.grace;
            stop.wait(Some(grace), || is_interrupted() || !is_awaited());
            is_handed_over = is_awaited();
            if is_handed_over {
                break;
            }
            if let Some(post) = post.get() {
                post.go_on(&tenure);
            }
            eprintln!("The observer that waited is gone: this one goes on.");
        }

        vitals.wants(PROBES, "the observer is stopping");
        if let Some(coverage) = coverage {
            coverage.stop();
        }
        let stopped = session.stop()?;
        for worker in workers {
            let worked =
                worker.join().map_err(|_panic| Failure::runtime("a worker thread panicked"))?;
            totals.counts.absorb(&worked.counts);
            add_flows(&mut totals.flows, &worked.flows);
            if let Some(inspected) = worked.inspected {
                totals.inspected.get_or_insert_default().absorb(inspected);
            }
        }
        probing = Some(stopped.probing);
        rest = guard.take_rest();
        is_switched_off = stopped.is_switched_off;
        let is_paused = rest.is_some() || is_switched_off;
        if stopped.is_prober_lost || is_at_end() || is_handed_over || !is_paused {
            break stopped.is_prober_lost;
        }
    };
    guard_running.stop();
    let counters = &known.counters;
    totals.kernel = Some(counters.kernel().unwrap_or_default());
    totals.received_segments = counters.received_segments.load(Ordering::Relaxed);
    totals.received_bytes = counters.received_bytes.load(Ordering::Relaxed);
    totals.queue_dropped_segments = counters.queue_dropped_segments.load(Ordering::Relaxed);
    totals.dropped_finds = counters.dropped_finds.load(Ordering::Relaxed);
    totals.libraries = known.libraries.len();
    rules.stop()?;
    if let Some(keeper) = keeper {
        keeper.stop();
    }
    if let Some(admin) = admin {
        admin.stop();
    }
    if let Some((door, reporter)) = door {
        door.close();
        let reporter =
            reporter.join().map_err(|_panic| Failure::runtime("the door's thread panicked"))?;
        totals.counts.absorb(&reporter.counts);
        if let Some(inspector) = reporter.inspector {
            totals.inspected.get_or_insert_default().absorb(inspector.counts());
        }
    }
    let quality = quality.map(quality::Running::stop).transpose();
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
    if let Some(reported) = quality? {
        totals.inspected.get_or_insert_default().absorb(reported);
    }
    data?;
    security?;
    let code = finish(arguments.report.output, &Summary::new(totals))?;
    if is_prober_lost {
        return Err(Failure::runtime("the prober is gone: nothing is observed any more"));
    }
    drop(own);
    if is_handed_over && configuration.handover.then == Then::Wait {
        eprintln!("Handed over; waiting to be told to end.");
        let outlook = || probing.as_ref().map(|probing| probing.outlook(true));
        stop.wait(None, || outlook().is_none_or(|outlook| outlook == Outlook::Over));
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
    let inspector = rules.inspector(arguments, report_clean, worker)?;
    Some(inspector.with_official(forwarding.and_then(Forwarding::official)))
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
