//! The engines of the module, joined: inspected calls in, findings out.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use mop_insight::{
    data::{analyst::Addresses, call::ExtractorSettings, digest::Key},
    security::{
        finding::Severity,
        misp::feed::Network,
        profile::ReaderSettings,
        pseudonym::{Epoch, Pseudonymiser},
        watch::{Noticed, Seen, Watch, WatchCounts},
    },
};

use super::{
    SecurityConfiguration,
    feed::{FeedKeeper, Told},
    profile::ProfileParts,
};
use crate::{data::State, failure::Failure, output::Outlet};

/// Makes findings of inspected calls.
pub(crate) struct Module {
    watch: Watch,
    pub(super) shared: Shared,
    noticed: Vec<Noticed>,
    counts: FindingCounts,
    /// What others pull, where it is asked for.
    feed: Option<FeedKeeper>,
    /// Where what it knows is kept, where a restart is to be outlived.
    state: Option<State>,
    is_changed: bool,
}

/// What workers need as well.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) key: Key,
    pub(super) addresses: Arc<Addresses>,
    /// `None`: the profile is not checked.
    pub(super) profile: Option<Arc<ReaderSettings>>,
    pub(super) has_direct_clients: bool,
    /// Rules above this level of suspicion tell nothing.
    pub(super) paranoia: u8,
    /// `None`: nobody is told of pseudonyms.
    pub(super) pseudonymiser: Option<Arc<Pseudonymiser>>,
}

/// Findings since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct FindingCounts {
    pub(super) by_rule: BTreeMap<String, u64>,
    pub(super) by_severity: BTreeMap<Severity, u64>,
}

/// What happened since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct ModuleCounts {
    pub(super) watch: WatchCounts,
    pub(super) findings: FindingCounts,
}

impl Module {
    /// One that knows nothing yet. `calls` is what calls are made with, `addresses` says who is who.
    pub(crate) fn new(
        configuration: &SecurityConfiguration,
        calls: &ExtractorSettings,
        addresses: Arc<Addresses>,
    ) -> Result<Self, Failure> {
        let key = calls.key.clone();
        let (reader, profile) = match ProfileParts::of(configuration, calls)? {
            Some(ProfileParts { reader, checks, profile }) => {
                (Some(reader), Some((checks, profile)))
            }
            None => (None, None),
        };
        let has_direct_clients = configuration.direct_clients;
        let pseudonymiser = configuration.pseudonymiser(&key)?.map(Arc::new);
        let paranoia = configuration.paranoia;
        Ok(Self {
            watch: Watch::new(configuration.watch(key.clone()), profile),
            shared: Shared {
                key,
                addresses,
                profile: reader,
                has_direct_clients,
                paranoia,
                pseudonymiser,
            },
            noticed: Vec::new(),
            counts: FindingCounts::default(),
            feed: None,
            state: None,
            is_changed: false,
        })
    }

    /// One that tells every finding by itself, as whoever looks at a file wants it.
    pub(crate) fn of_file(
        configuration: &SecurityConfiguration,
        calls: &ExtractorSettings,
        addresses: Arc<Addresses>,
    ) -> Result<Self, Failure> {
        let configuration =
            SecurityConfiguration { told_singly: u64::MAX, ..configuration.clone() };
        Self::new(&configuration, calls, addresses)
    }

    /// Keeps a feed as well.
    pub(crate) fn with_feed(self, feed: Option<FeedKeeper>) -> Self {
        Self { feed, ..self }
    }

    /// With what an earlier run knew; what it learns is kept as well.
    pub(crate) fn with_state(mut self, state: State) -> Self {
        let clients = state.clients().map(|bytes| self.watch.restore_clients(&bytes));
        if let Some(Err(error)) = clients {
            eprintln!("mop: what was known of clients is of no use: {error}; it is learnt anew");
        }
        let profile = state.profile().map(|bytes| self.watch.restore_profile(&bytes));
        if let Some(Err(error)) = profile {
            eprintln!(
                "mop: what was known of the profile is of no use: {error}; it is learnt anew"
            );
        }
        Self { state: Some(state), ..self }
    }

    /// Keeps what it knows, if that changed.
    pub(super) fn save(&mut self) {
        let Some(state) = self.state.as_ref().filter(|_| self.is_changed) else { return };
        match state.save_watch(&self.watch.snapshot()) {
            Ok(()) => self.is_changed = false,
            // The next time may be better; nothing is lost while the process lives.
            Err(error) => eprintln!("mop: what the security module knows cannot be kept: {error}"),
        }
    }

    /// Takes a call in.
    pub(super) fn observe(&mut self, seen: Seen, outlet: Option<&mut Outlet>) {
        self.is_changed = true;
        let now = seen.end;
        self.watch.observe(seen, &mut self.noticed);
        self.give(now, outlet);
    }

    /// The time has come this far.
    pub(super) fn advance(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.watch.advance(now, &mut self.noticed);
        self.give(now, outlet);
        if let Some(feed) = &mut self.feed {
            feed.advance(now);
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.watch.finish(&mut self.noticed);
        self.give(now, outlet);
        if let Some(feed) = &mut self.feed {
            feed.finish(now);
        }
    }

    pub(super) fn counts(&self) -> ModuleCounts {
        ModuleCounts { watch: self.watch.counts(), findings: self.counts.clone() }
    }

    fn give(&mut self, now: Timestamp, mut outlet: Option<&mut Outlet>) {
        for Noticed { finding, marking, caller, about } in self.noticed.drain(..) {
            let facts = &finding.facts;
            let by_rule = &mut self.counts.by_rule;
            let is_told_apart = by_rule.len() < MOST_RULES || by_rule.contains_key(&facts.rule);
            let rule = if is_told_apart { facts.rule.as_str() } else { "other" };
            *by_rule.entry(rule.to_owned()).or_default() += 1;
            *self.counts.by_severity.entry(facts.severity).or_default() += 1;
            if let Some(feed) = &mut self.feed {
                let agent = caller.user_agent.as_str();
                // The month of its event, which is that of its first call.
                let epoch = Epoch::of(facts.first_seen);
                let pseudonymiser = self.shared.pseudonymiser.as_ref();
                let pseudonyms = pseudonymiser.map(|it| about.pseudonyms(it, epoch));
                let network = Network {
                    client: caller.address,
                    server_port: caller.server_port,
                    ja3: caller.ja3,
                    ja4: caller.ja4.as_deref(),
                    certificate: caller.certificate,
                    user_agent: Some(agent).filter(|agent| !agent.is_empty()),
                    pseudonyms: pseudonyms.as_deref().unwrap_or_default(),
                };
                feed.observe(&Told { finding: &finding, marking: &marking, network }, now);
            }
            if let Some(outlet) = outlet.as_deref_mut() {
                outlet.push(&finding);
            }
        }
    }
}

/// Rules that are told apart in metrics: several times those that are shipped.
const MOST_RULES: usize = 512;
