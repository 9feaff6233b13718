//! `mop observe`: the main job.

mod modules;
mod sessions;
mod setting;

use std::{
    cell::Cell,
    os::unix::net::UnixListener,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use self::{
    modules::Modules,
    sessions::{Ended, Sessions},
    setting::Setting,
};
use crate::{
    admin::Admin,
    cli::{ObserveArguments, OutputFormat},
    clock,
    configuration::Configuration,
    coverage::CoverageVitals,
    data::HookSocket,
    failure::Failure,
    forwarding::Forwarding,
    handover::{Arrival, Begun, Means, Then},
    hellos::Hellos,
    official::{self, door::Door},
    output::{Dropped, Format, Output},
    pipeline::Reporter,
    privileges::{self, Layers, Needs, Outlook, Probing, Role},
    protection::{self, Guard},
    quality::{Inspector, QualityArguments},
    rulebook::Rules,
    scope::Scope,
    session::Known,
    signals::StopRequest,
    spool::{spooling, unix_ms},
    stdout::print_line,
    summary::{Summary, Totals},
    vitals::Vitals,
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
    let courtesy = configuration.protection.gives_way.then(protection::give_way);
    match privileges::take_role(&arguments.kernel, &settings, &needs)? {
        Role::Over(code) => Ok(code),
        Role::Observer(probing, layers, socket) => {
            observe(&arguments, &configuration, probing, &layers, socket, courtesy.as_ref())
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
    courtesy: Option<&Result<(), String>>,
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
    let Arrival { post, tenure, begun } = Arrival::of(outbox, takes_over, means, &stop)?;
    let tenure = Arc::new(tenure);
    let (probing, early) = match begun {
        Begun::Not(probing) => (Some(probing), None),
        Begun::Early(start) => (None, Some(start)),
        Begun::Over => return Ok(ExitCode::SUCCESS),
    };
    let dropped = Arc::new(Dropped::default());
    let (spool, forwarding) =
        Forwarding::start(configuration, Arc::clone(&dropped), &vitals)?.unzip();
    let output = Output::start(format, spool, Arc::clone(&dropped))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guard = Guard::new(&configuration.protection, processors);
    let setting = Setting {
        arguments,
        configuration,
        format,
        vitals: &vitals,
        output: &output,
        forwarding: forwarding.as_ref(),
        run: &run,
        tenure: &tenure,
        guard: &guard,
    };
    let modules = Modules::start(&setting, &rules)?;
    let scope = Scope::new(&configuration.scope)?;
    let keeper = Keeper::start_if_configured(configuration, &vitals)?;
    let admin = configuration.admin.asked_for(arguments.admin, configuration.is_given);
    let mut routes = modules.routes(configuration);
    let mut door = None;
    if admin.enabled && admin.door {
        let outlet = output.outlet_that_waits();
        let reporter = modules.reporter(&setting, &rules, &scope, (&run, "door"), outlet);
        // Nobody else has what comes by it.
        let reporter = Reporter { tenure: Arc::default(), ..reporter };
        let official = forwarding.as_ref().and_then(Forwarding::official_source);
        let opened = Door::start(reporter, official)?;
        routes = routes.merge(official::door::routes(Arc::clone(&opened.0)));
        door = Some(opened);
    }
    let admin = Admin::start_if_enabled(&admin, &vitals, routes)?;
    let hook = socket.zip(modules.data());
    let hook = hook.map(|(socket, running)| HookSocket::start(socket, running)).transpose()?;
    if let Some(keeper) = &keeper {
        keeper.wait_for_names();
    }
    let guard_running = protection::Running::start(&guard, &known.counters, &vitals)?;
    let coverage_vitals = CoverageVitals::told_by(&vitals);
    vitals.set_capture(Arc::clone(&known.counters), Arc::clone(&known.libraries));
    if let Some(books) = rules.books() {
        vitals.set_rules(books);
    }
    let told = Arc::clone(&hellos);
    vitals.add_families(move || told.families());
    let mut totals = Totals::default();
    let sessions = Sessions {
        setting: &setting,
        modules: &modules,
        scope: &scope,
        stop: &stop,
        known: &known,
        hellos: &hellos,
        directory: keeper.as_ref().map(Keeper::directory),
        coverage: &coverage_vitals,
        layers,
        courtesy,
        post: Cell::new(post.as_ref()),
        end: arguments.duration.and_then(|duration| Instant::now().checked_add(duration)),
    };
    let Ended { is_prober_lost, is_handed_over, probing } =
        sessions.run(probing, early, &mut rules, &mut totals)?;
    guard_running.stop();
    totals.add_capture(&known);
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
    let stopped = modules.stop(hook)?;
    let spool = output.finish()?;
    totals.output_dropped_bytes = dropped.bytes.load(Ordering::Relaxed);
    if let (Some(spool), Some(forwarding)) = (spool, forwarding) {
        forwarding.stop(spool);
    }
    // Whatever became of a module, what others reported is kept by now.
    if let Some(reported) = stopped()? {
        totals.inspected.get_or_insert_default().absorb(reported);
    }
    let code = finish(arguments.report.output, &Summary::new(totals))?;
    if is_prober_lost {
        return Err(Failure::runtime("the prober is gone: nothing is observed any more"));
    }
    drop(post);
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
