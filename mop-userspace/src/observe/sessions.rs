//! Sessions, one after the other: until the observer is told to end, hands over, or has lost its prober.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mop_wire::Options;

use super::{PROBES, modules::Modules, setting::Setting, spawn};
use crate::{
    connections::{Connections, Node},
    coverage::{self, CoverageVitals, Decoded, Sight},
    data,
    failure::Failure,
    handover::Post,
    hellos::Hellos,
    output::Output,
    pipeline::{Pipeline, PipelineTotals},
    privileges::{Layers, Outlook, Probing},
    protection::Guard,
    rulebook::Rules,
    scope::Scope,
    session::{Known, Session, Start},
    signals::StopRequest,
    summary::{Totals, add_flows},
    tidying::Tidying,
    worker,
    workloads::Directory,
};

/// What sessions are run with.
pub(super) struct Sessions<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) modules: &'a Modules,
    pub(super) scope: &'a Scope,
    pub(super) stop: &'a StopRequest,
    pub(super) known: &'a Known,
    pub(super) hellos: &'a Arc<Hellos>,
    pub(super) directory: Option<Arc<Directory>>,
    pub(super) coverage: &'a Arc<CoverageVitals>,
    pub(super) layers: &'a Layers,
    /// Whether giving way is possible, where it is wanted.
    pub(super) courtesy: Option<&'a Result<(), String>>,
    /// What another observer may wait for. None any more once handing over has failed: a disk that is full
    /// ends nothing.
    pub(super) post: Cell<Option<&'a Post>>,
    /// When the observer was asked to end.
    pub(super) end: Option<Instant>,
}

/// How they ended.
pub(super) struct Ended {
    pub(super) is_prober_lost: bool,
    pub(super) is_handed_over: bool,
    /// What could be attached again.
    pub(super) probing: Option<Probing>,
}

/// What the threads of a session came to.
struct Over {
    is_prober_lost: bool,
    is_switched_off: bool,
    is_handed_over: bool,
    probing: Probing,
}

impl Sessions<'_> {
    /// Runs them. `early` is one that was begun before.
    pub(super) fn run(
        &self,
        mut probing: Option<Probing>,
        mut early: Option<Start>,
        rules: &mut Rules,
        totals: &mut Totals,
    ) -> Result<Ended, Failure> {
        let guard: &Guard = self.setting.guard;
        let mut rest = None;
        let mut is_switched_off = false;
        let mut number = 0;
        loop {
            if is_switched_off || rest.is_some() {
                let reason = guard.wait_reason(is_switched_off, rest);
                self.setting.vitals.wants(PROBES, reason);
                let outlook = self.wait_to_attach(probing.as_ref(), is_switched_off, rest.take());
                let ended = |is_handed_over, probing| {
                    Ok(Ended { is_prober_lost: false, is_handed_over, probing })
                };
                if self.is_at_end() || outlook == Outlook::Over {
                    return ended(false, probing);
                }
                // Nothing is attached, and nothing is under way.
                if self.is_awaited() && self.hand_over() {
                    return ended(true, probing);
                }
            }
            let start = match (early.take(), probing.take()) {
                (Some(start), _) => start,
                (None, Some(probing)) => {
                    self.hellos.forget_all();
                    let workers = usize::from(self.setting.arguments.workers);
                    Session::start(probing, workers, Some(Arc::clone(self.hellos)), self.known)?
                }
                (None, None) => {
                    return Ok(Ended { is_prober_lost: true, is_handed_over: false, probing });
                }
            };
            let session = match start {
                Start::Session(session) => session,
                Start::SwitchedOff(again) => {
                    (probing, is_switched_off) = (Some(again), true);
                    continue;
                }
            };
            guard.is_on();
            number += 1;
            let over = self.observe(*session, number, rules, totals)?;
            let Over { is_prober_lost, is_handed_over, .. } = over;
            probing = Some(over.probing);
            rest = guard.take_rest();
            is_switched_off = over.is_switched_off;
            let is_paused = rest.is_some() || is_switched_off;
            if is_prober_lost || self.is_at_end() || is_handed_over || !is_paused {
                return Ok(Ended { is_prober_lost, is_handed_over, probing });
            }
        }
    }

    /// Waits while nothing is to be attached.
    fn wait_to_attach(
        &self,
        probing: Option<&Probing>,
        is_switched_off: bool,
        rest: Option<Duration>,
    ) -> Outlook {
        let resting = rest.and_then(|rest| Instant::now().checked_add(rest));
        let is_resting = || resting.is_some_and(|end| Instant::now() < end);
        let mut outlook = Outlook::Wait;
        self.stop.wait(self.left(), || {
            let now = probing.map(|probing| probing.outlook(is_switched_off));
            outlook = now.unwrap_or(Outlook::Over);
            self.output().is_finished()
                || self.is_awaited()
                || outlook == Outlook::Over
                || outlook == Outlook::Attach && !is_resting()
        });
        outlook
    }

    /// One session, from its first batch to its last.
    fn observe(
        &self,
        mut session: Session,
        number: u64,
        rules: &mut Rules,
        totals: &mut Totals,
    ) -> Result<Over, Failure> {
        let Setting { arguments, configuration, vitals, .. } = self.setting;
        // Identifiers of connections begin anew with each session.
        let run = self.setting.run;
        let run = if number == 1 { run.to_owned() } else { format!("{run}.{number}") };
        let decoded = configuration.coverage.enabled.then(Arc::<Decoded>::default);
        let workers = self.start_workers(&mut session, &run, decoded.as_ref(), rules)?;
        let coverage = decoded.map(|decoded| {
            coverage::Running::start(
                &configuration.coverage,
                session.surveys(),
                (decoded, Arc::clone(&self.known.libraries), self.directory.clone()),
                self.setting.outlet_of_module(),
                &run,
                self.coverage,
            )
        });
        let coverage = coverage.transpose()?;
        vitals.has(PROBES);
        if number == 1 {
            rules.watch(&arguments.quality.rules)?;
            eprintln!("Privileges: {}.", self.layers);
            match self.courtesy {
                None => {}
                Some(Ok(())) => eprintln!("Processors: gives way to all other work of the node."),
                Some(Err(why)) => {
                    eprintln!("Processors: works like any other program, since {why}.");
                }
            }
        }
        let libraries = self.known.libraries.len();
        eprintln!("Observing {libraries} TLS libraries and all TCP sockets.");

        let is_handed_over = self.wait_for_end(&session, &workers);
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
        Ok(Over {
            is_prober_lost: stopped.is_prober_lost,
            is_switched_off: stopped.is_switched_off,
            is_handed_over,
            probing: stopped.probing,
        })
    }

    fn start_workers(
        &self,
        session: &mut Session,
        run: &str,
        decoded: Option<&Arc<Decoded>>,
        rules: &Rules,
    ) -> Result<Vec<JoinHandle<PipelineTotals>>, Failure> {
        let mut workers = Vec::new();
        for (number, batches) in std::mem::take(&mut session.batches).into_iter().enumerate() {
            let (worker, outlet) = (number.to_string(), self.output().outlet());
            let reporter =
                self.modules.reporter(self.setting, rules, self.scope, (run, &worker), outlet);
            let options = Options {
                digest_bodies: self.setting.arguments.report.body_digest,
                excerpt: reporter.selection.excerpt(),
                ..Options::default()
            };
            let connections = Connections::new(Arc::clone(&self.known.libraries), Node)
                .with_peers(self.modules.data().map(data::Running::peers))
                .with_hellos(Arc::clone(self.hellos))
                .with_directory(self.directory.clone());
            let pipeline = Pipeline::new(options, connections, reporter);
            let empties = session.empties.clone();
            let worked = self.setting.vitals.worker();
            let sight = decoded.cloned().map(Sight::new);
            workers.push(spawn("mop-worker", move || {
                worker::run(pipeline, &batches, &empties, sight, &worked)
            })?);
        }
        Ok(workers)
    }

    /// Waits until a session is to end; whether another observer goes on.
    fn wait_for_end(&self, session: &Session, workers: &[JoinHandle<PipelineTotals>]) -> bool {
        let mut tidying = Tidying::new();
        let mut is_interrupted = || {
            tidying.look(self.known.counters.received_bytes.load(Ordering::Relaxed));
            session.is_over()
                || self.output().is_finished()
                || workers.iter().any(JoinHandle::is_finished)
                || self.setting.guard.wants_rest()
        };
        loop {
            self.stop.wait(self.left(), || is_interrupted() || self.is_awaited());
            if is_interrupted() || self.is_at_end() || !self.is_awaited() {
                return false;
            }
            if !self.hand_over() {
                continue;
            }
            eprintln!("Handing over: requests from now on are of the observer that waits.");
            let grace = self.setting.configuration.handover.grace;
            self.stop.wait(Some(grace), || is_interrupted() || !self.is_awaited());
            if self.is_awaited() {
                return true;
            }
            if let Some(post) = self.post.get() {
                post.go_on(self.setting.tenure);
            }
            eprintln!("The observer that waited is gone: this one goes on.");
        }
    }

    fn hand_over(&self) -> bool {
        let handed_over =
            self.post.get().map_or(Ok(()), |post| post.hand_over(self.setting.tenure));
        if let Err(error) = &handed_over {
            eprintln!("mop: cannot hand over: {error}; this observer goes on");
            self.post.set(None);
        }
        handed_over.is_ok()
    }

    fn is_awaited(&self) -> bool {
        self.post.get().is_some_and(Post::is_awaited)
    }

    fn is_at_end(&self) -> bool {
        self.stop.is_requested()
            || self.output().is_finished()
            || self.left().is_some_and(|left| left.is_zero())
    }

    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    fn output(&self) -> &Output {
        self.setting.output
    }
}
