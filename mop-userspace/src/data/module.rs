//! The engines of the module, joined: calls in, records out.

use std::{sync::Arc, time::Instant};

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    analyst::{Analyst, AnalystCounts, AnalystSettings, Outcome},
    call::{Call, ExtractorSettings},
    digest::{Key, Subject},
    funnel::{
        ConsentDigest, Funnel, FunnelCounts, FunnelOptions, FunnelRules, HookRefusal, HookStep,
        snapshot::Snapshot,
    },
};

use super::{
    DataConfiguration, NodeSamples, SharedMade, State,
    alarms::{AlarmKeeper, AlarmVitals},
    configuration,
    directory::{DirectoryCounts, DirectoryWatch},
    figures::{FigureCounts, Figures},
    peers::Peers,
};
use crate::{failure::Failure, output::Outlet};

/// Makes events and steps of calls.
pub(crate) struct Module {
    analyst: Analyst,
    funnel: Funnel,
    pub(super) figures: Figures,
    pub(super) rules: Arc<FunnelRules>,
    extractor: Arc<ExtractorSettings>,
    state: State,
    pub(super) peers: Arc<Peers>,
    directory: DirectoryWatch,
    /// What became of calls, for the report.
    made: SharedMade,
    alarms: AlarmKeeper,
    /// The latest time that it was told.
    now: Timestamp,
    outcomes: Vec<Outcome>,
    is_changed: bool,
}

/// What happened since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleCounts {
    pub(crate) analyst: AnalystCounts,
    pub(crate) funnel: FunnelCounts,
    /// Steps that wait for others.
    pub(crate) held_steps: usize,
    pub(crate) consents: usize,
    pub(crate) figures: FigureCounts,
    /// Where they are not switched off.
    pub(super) alarms: Option<AlarmVitals>,
}

impl Module {
    /// With what an earlier run knew.
    pub(crate) fn open(
        configuration: &DataConfiguration,
        state: State,
        node: NodeSamples,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let rules = configuration::rules()?;
        let key = state.key()?;
        let directory = DirectoryWatch::new(configuration);
        let settings: AnalystSettings = configuration.analyst(key.clone())?;
        let mut analyst = Analyst::new(settings);
        if let Some(bytes) = state.tokens()
            && let Err(error) = analyst.restore(&bytes, now)
        {
            eprintln!("mop: what was known of tokens is of no use: {error}; it is learnt anew");
        }
        let funnel = restored(&state, &rules, configuration.funnel(), &key);
        let figures = Figures::open(configuration, &state)?;
        let extractor = configuration.extractor(key)?;
        let peers = Arc::new(Peers::read(state.peers().as_deref(), now));
        let alarms = AlarmKeeper::open(&configuration.alarms, node, &state)?;
        Ok(Self {
            analyst,
            funnel,
            figures,
            rules,
            extractor,
            state,
            peers,
            directory,
            made: SharedMade::default(),
            alarms,
            now: Timestamp::UNIX_EPOCH,
            outcomes: Vec::new(),
            is_changed: false,
        })
    }

    /// As a part of a run: the run's name begins the identifiers of what is told at set times.
    pub(crate) fn of_run(mut self, run: &str) -> Self {
        self.figures.set_run(run);
        self
    }

    /// Counts what becomes of calls.
    pub(crate) fn counting(self, made: SharedMade) -> Self {
        Self { made, ..self }
    }

    /// What workers make calls with.
    pub(crate) fn extractor(&self) -> Arc<ExtractorSettings> {
        Arc::clone(&self.extractor)
    }

    /// Takes a call in.
    pub(crate) fn observe(&mut self, call: Call, outlet: Option<&mut Outlet>) {
        self.is_changed = true;
        self.now = self.now.max(call.end());
        self.analyst.observe(call, &mut self.outcomes);
        self.give(outlet);
    }

    /// Takes a step that a program told.
    pub(crate) fn hook(&mut self, told: HookStep) -> Result<(), HookRefusal> {
        self.is_changed = true;
        self.funnel.hook(told)
    }

    /// The time has come this far.
    pub(crate) fn advance(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.now = self.now.max(now);
        self.analyst.advance(now, &mut self.outcomes);
        self.give(outlet);
    }

    /// Takes a newer list of participants, if there is one.
    pub(super) fn refresh_directory(&mut self) {
        if let Some(addresses) = self.directory.look(Instant::now()) {
            self.analyst.replace_addresses(addresses);
        }
    }

    pub(super) fn directory_counts(&self) -> Arc<DirectoryCounts> {
        self.directory.counts()
    }

    /// Nothing comes any more. Steps that wait for others are kept, not given up.
    pub(crate) fn finish(&mut self, mut outlet: Option<&mut Outlet>) {
        self.analyst.finish(&mut self.outcomes);
        self.give(outlet.as_deref_mut());
        self.figures.finish(self.now, outlet.as_deref_mut());
        self.figures.save_now(&self.state);
        self.alarms.finish(self.now, outlet);
        self.save();
        self.made.write(Timestamp::now());
    }

    /// As [`Self::finish`], for a file, which has no later: steps wait no longer for earlier ones.
    pub(crate) fn finish_file(&mut self, mut outlet: Option<&mut Outlet>) {
        self.analyst.finish(&mut self.outcomes);
        self.give(outlet.as_deref_mut());
        self.figures.finish(self.now, outlet.as_deref_mut());
        self.alarms.finish(self.now, outlet.as_deref_mut());
        let settled = self.now.checked_add(SETTLED).unwrap_or(self.now);
        self.advance(settled, outlet);
        self.made.write(Timestamp::now());
    }

    /// Keeps what it knows, if that changed.
    pub(crate) fn save(&mut self) {
        if let Some(peers) = self.peers.write(Timestamp::now())
            && let Err(error) = self.state.save_peers(&peers)
        {
            eprintln!("mop: who is at the other end of connections cannot be kept: {error}");
        }
        self.figures.save(&self.state);
        self.made.lock().keep(Timestamp::now());
        self.alarms.save(&self.state);
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        let written = self.funnel.snapshot().write().map_err(std::io::Error::other);
        let saved = written.and_then(|funnel| self.state.save(&self.analyst.snapshot(), &funnel));
        if let Err(error) = saved {
            // The next time may be better; nothing is lost while the process lives.
            self.is_changed = true;
            eprintln!("mop: what the data module knows cannot be kept: {error}");
        }
    }

    pub(crate) fn counts(&self) -> ModuleCounts {
        ModuleCounts {
            analyst: self.analyst.counts(),
            funnel: self.funnel.counts().clone(),
            held_steps: self.funnel.held(),
            consents: self.funnel.consents(),
            figures: self.figures.counts(self.now),
            alarms: self.alarms.vitals(),
        }
    }

    /// Reports what came of calls.
    fn give(&mut self, mut outlet: Option<&mut Outlet>) {
        for outcome in self.outcomes.drain(..) {
            self.made.lock().outcome(&outcome);
            match outcome {
                Outcome::Event(event) => {
                    if let Some(outlet) = outlet.as_deref_mut() {
                        outlet.push(&*event);
                    }
                }
                Outcome::Signal(signal) => self.funnel.observe(&signal),
                Outcome::Edge(edge) => {
                    self.figures.edge(&edge, outlet.as_deref_mut());
                    self.alarms.observe(&edge);
                }
                // Counted by the analyst.
                Outcome::Excluded { .. }
                | Outcome::Hop { .. }
                | Outcome::Unlisted { .. }
                | Outcome::Unreportable { .. } => {}
            }
        }
        self.figures.advance(self.now, outlet.as_deref_mut());
        for record in self.funnel.advance(self.now) {
            self.is_changed = true;
            self.made.lock().step(&record);
            if let Some(outlet) = outlet.as_deref_mut() {
                outlet.push(&record);
            }
        }
        self.alarms.advance(self.now, outlet);
    }
}

/// The consents of an earlier run, or none.
pub(super) fn restored(
    state: &State,
    rules: &Arc<FunnelRules>,
    options: FunnelOptions,
    key: &Key,
) -> Funnel {
    let digest = |key: &Key| {
        let key = key.clone();
        Box::new(move |consent: &str| {
            ConsentDigest(key.digest(Subject::Consent, consent.as_bytes()).bytes())
        })
    };
    let read = state.funnel().map(|bytes| {
        let snapshot = Snapshot::parse(&bytes)?;
        Funnel::restore(Arc::clone(rules), options.clone(), digest(key), snapshot)
    });
    match read {
        Some(Ok(funnel)) => funnel,
        None => Funnel::new(Arc::clone(rules), options, digest(key)),
        Some(Err(error)) => {
            eprintln!("mop: what was known of consents is of no use: {error}; it begins anew");
            Funnel::new(Arc::clone(rules), options, digest(key))
        }
    }
}

/// Longer than a step waits for earlier ones; shorter than any time limit of a consent.
const SETTLED: SignedDuration = SignedDuration::from_secs(120);
