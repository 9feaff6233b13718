//! What calls show together, and what is told of it: the one place where inspections become
//! findings.
//!
//! ```text
//! worker: Inspector ──▶ Seen ──▶ Watch: once ──▶ correlations, points, first sight ──▶ fold ──▶ Finding
//! ```
//!
//! One thread owns a watch. A call that several processes of a node show is looked at once, at the
//! edge, as reports are. Time is the calls' own and what [`Watch::advance`] is told, whichever is
//! later. Limits: correlations, points and folds each have a bounded number of keys; what had no
//! room is counted.

mod about;
mod clients;
mod fold;
mod points;
mod tell;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use mop_wire::{Exchange, Role};

use self::{clients::Clients, fold::Folds, points::Points, tell::Told};
use super::{
    finding::{Finding, Severity},
    handshake::Handshake,
    inspector::{Hit, Inspection, PassedOver},
    misp::marking::Marking,
    profile::{self, Breach, Checks, Facts, Profile, ProfileCounts, ProfileSnapshotError},
    rules::{Correlator, CorrelatorCounts, RuleSet},
};
use crate::data::{
    call::{Call, Method, Observed, Unprinted},
    digest::{Digest, Key, Subject},
    once::{self, OnceWindow, Place, Settled, Sighting},
    signal::Parties,
};

pub use self::{
    about::About,
    clients::{ClientsCounts, ClientsSnapshotError},
    fold::FoldCounts,
    points::PointsCounts,
};

/// How a watch works.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// Key of digests.
    pub key: Key,
    /// Rules above this level of suspicion tell nothing.
    pub paranoia: u8,
    /// How long a sighting waits for one that contains it.
    pub settle: SignedDuration,
    /// Findings of one rule, client and endpoint that are told one by one in a window; all others
    /// of it are told together when it ends.
    pub told_singly: u64,
    /// How long that window is.
    pub fold_window: SignedDuration,
    /// Points of one client within [`WatchSettings::points_window`] from which on it is told.
    pub points: u32,
    /// Time in which points are summed.
    pub points_window: SignedDuration,
    /// Groups of calls that correlations remember.
    pub groups: usize,
}

/// A call and what it shows. Nearly all show nothing, and are small.
#[derive(Debug)]
pub struct Seen {
    /// By which sightings of one call are told from others.
    pub sighting: Sighting,
    /// Last byte of the answer.
    pub end: Timestamp,
    /// What was not looked at, or is not told.
    pub passed_over: PassedOver,
    /// What there is to tell or to count; none where [`Seen::is_plain`] says so.
    pub shown: Option<Box<Shown>>,
}

/// What a call shows.
#[derive(Debug)]
pub struct Shown {
    /// What is told of the call.
    pub call: SeenCall,
    /// What it shows by itself.
    pub inspection: Inspection,
    /// The rules that its numbers are of.
    pub rules: Arc<RuleSet>,
    /// What the profile is about.
    pub facts: Option<Box<Facts>>,
}

/// A finding, and what else is told of it to those who may know.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// The finding.
    pub finding: Finding,
    /// What its rule says of it for MISP.
    pub marking: Marking,
    /// What its caller is known by.
    pub caller: Caller,
    /// Whom it is about; nobody where it follows from many calls that are not about the same.
    pub about: About,
}

/// What a caller is known by. Not part of records: an address may be that of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its address, unless it is a proxy's.
    pub address: Option<IpAddr>,
    /// Port that was called.
    pub server_port: Option<u16>,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
    /// JA3 of its offer, unless it is a proxy's.
    pub ja3: Option<[u8; 16]>,
    /// JA4 of the same.
    pub ja4: Option<Box<str>>,
    /// What it says that it is.
    pub user_agent: Unprinted,
}

/// What findings tell of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCall {
    /// The exchange.
    pub exchange: Arc<str>,
    /// Part of the observed process.
    pub role: Role,
    /// First byte of the request.
    pub start: Timestamp,
    /// Last byte of the answer.
    pub end: Timestamp,
    /// Method, as it is told.
    pub method: Option<&'static str>,
    /// Template of the path: of the contract, or of the metrics platform.
    pub endpoint: Option<String>,
    /// Who called whom.
    pub parties: Parties,
    /// Stands for the client: its organisation, or certificate, or address.
    pub client: Option<Digest>,
    /// What it is known by.
    pub caller: Caller,
    /// Whom it is about; nobody where no pseudonyms are wanted.
    pub about: About,
}

/// Makes findings of what calls show.
pub struct Watch {
    settings: WatchSettings,
    once: OnceWindow<Waiting>,
    rules: Option<Arc<RuleSet>>,
    correlator: Correlator,
    points: Points,
    clients: Clients,
    folds: Folds,
    profile: Option<(Arc<Checks>, Profile)>,
    breaches: Vec<Breach>,
    now: Timestamp,
    counts: WatchCounts,
}

/// What waits for the other sightings of its call.
#[derive(Debug)]
struct Waiting {
    beyond_paranoia: u64,
    shown: Option<Box<Shown>>,
}

/// What happened, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Calls that were taken in.
    pub calls: u64,
    /// Further sightings of calls.
    pub hops: u64,
    /// Matches of rules that were above the level of suspicion, of calls that are no further sightings.
    pub beyond_paranoia: u64,
    /// Matches that could not be told, since a rule's own words make no record.
    pub unspeakable: u64,
    /// Bytes of calls that rules did not look at.
    pub unscanned_bytes: u64,
    /// Messages that were not looked at, or not in all their parts, by why.
    pub unread: BTreeMap<&'static str, u64>,
    /// Of correlations.
    pub correlator: CorrelatorCounts,
    /// Of points.
    pub points: PointsCounts,
    /// Of clients that are seen first.
    pub clients: ClientsCounts,
    /// Of findings that are told together.
    pub folds: FoldCounts,
    /// Of the profile, where it is checked.
    pub profile: Option<ProfileCounts>,
}

/// What a watch knows that must outlive a restart. What correlations and points counted is of minutes,
/// and begins anew.
#[derive(Clone, Debug)]
pub struct WatchSnapshot {
    /// Organisations that were seen.
    pub clients: Vec<u8>,
    /// Tokens, consents and assertions, where the profile is checked.
    pub profile: Option<Vec<u8>>,
}

impl SeenCall {
    /// What findings tell of a call. `template` is that of the contract, where there is one;
    /// `is_client_direct` where the other end of the connection is the client itself, which then is whose
    /// handshake that was.
    #[must_use]
    pub fn new(
        call: &Call,
        observed: &Observed<'_>,
        parties: Parties,
        template: Option<&str>,
        (user_agent, is_client_direct, handshake): (Unprinted, bool, Handshake<'_>),
        key: &Key,
    ) -> Self {
        let (client, server, certificate) = match call.role {
            Role::Server => (call.ends.remote, call.ends.local, observed.peer_certificate),
            Role::Client => (call.ends.local, call.ends.remote, observed.own_certificate),
        };
        let caller = Caller {
            address: client.map(|client| client.ip()).filter(|_| is_client_direct),
            server_port: server.map(|server| server.port()),
            certificate: certificate.and_then(|certificate| certificate.fingerprint),
            ja3: handshake.ja3.filter(|_| is_client_direct),
            ja4: handshake.ja4.filter(|_| is_client_direct).map(Box::from),
            user_agent,
        };
        let address = caller.address.map(|address| address.to_string());
        let client = parties
            .client_organisation
            .as_ref()
            .map(String::as_bytes)
            .or(caller.certificate.as_ref().map(<[u8; 32]>::as_slice))
            .or(address.as_ref().map(String::as_bytes))
            .map(|client| key.digest(Subject::Observed, client));
        let listed = || call.endpoint.as_ref().ok().map(|endpoint| endpoint.template.to_string());
        Self {
            exchange: Arc::clone(&call.exchange),
            role: call.role,
            start: call.start,
            end: call.end(),
            method: told_method(call.method),
            endpoint: template.map(str::to_owned).or_else(listed),
            parties,
            client,
            caller,
            about: About::default(),
        }
    }
}

impl Seen {
    /// Whether nothing is told or counted of a call.
    #[must_use]
    pub fn is_plain(inspection: &Inspection, facts: Option<&Facts>, parties: &Parties) -> bool {
        let Inspection { hits, occurrences, known_bad, .. } = inspection;
        let is_quiet = hits.is_empty() && occurrences.is_empty() && known_bad.is_empty();
        // Who calls for the first time is told.
        is_quiet && facts.is_none() && parties.client_organisation.is_none()
    }
}

impl Watch {
    /// A watch that knows nothing yet. Without a profile, none is checked.
    #[must_use]
    pub fn new(settings: WatchSettings, profile: Option<(Arc<Checks>, Profile)>) -> Self {
        Self {
            once: OnceWindow::new(settings.settle, once::DEFAULT_LIMIT),
            rules: None,
            correlator: Correlator::new(settings.groups),
            points: Points::new(settings.points, settings.points_window),
            clients: Clients::default(),
            folds: Folds::new(settings.told_singly, settings.fold_window),
            profile,
            breaches: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            counts: WatchCounts::default(),
            settings,
        }
    }

    /// Takes a call in.
    pub fn observe(&mut self, seen: Seen, findings: &mut Vec<Noticed>) {
        let Seen { sighting, end, passed_over, shown } = seen;
        let PassedOver { unscanned_bytes, unread, beyond_paranoia } = passed_over;
        self.advance(end, findings);
        self.clients.begin(end);
        self.counts.calls += 1;
        let unscanned = u64::try_from(unscanned_bytes).unwrap_or(u64::MAX);
        self.counts.unscanned_bytes = self.counts.unscanned_bytes.saturating_add(unscanned);
        for why in unread {
            *self.counts.unread.entry(why).or_default() += 1;
        }
        let hurried = self.once.see(sighting, Waiting { beyond_paranoia, shown }, self.now);
        hurried.into_iter().for_each(|settled| self.settled(settled, findings));
    }

    /// The time has come this far.
    pub fn advance(&mut self, now: Timestamp, findings: &mut Vec<Noticed>) {
        self.now = self.now.max(now);
        while let Some(settled) = self.once.take_due(self.now) {
            self.settled(settled, findings);
        }
        self.folds.advance(self.now, findings);
    }

    /// Nothing comes any more: gives everything out.
    pub fn finish(&mut self, findings: &mut Vec<Noticed>) {
        while let Some(settled) = self.once.take_first() {
            self.settled(settled, findings);
        }
        self.folds.finish(findings);
    }

    /// What it knows, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> WatchSnapshot {
        let profile = self.profile.as_ref().map(|(_, profile)| profile.snapshot());
        WatchSnapshot { clients: self.clients.snapshot(), profile }
    }

    /// Takes in which organisations another watch had seen; this one should be new.
    ///
    /// # Errors
    ///
    /// Every [`ClientsSnapshotError`]; then nothing is taken in.
    pub fn restore_clients(&mut self, bytes: &[u8]) -> Result<(), ClientsSnapshotError> {
        self.clients.restore(bytes)
    }

    /// Takes in what another watch knew of the profile, where it is checked; this one should be new.
    ///
    /// # Errors
    ///
    /// Every [`ProfileSnapshotError`]; then nothing is taken in.
    pub fn restore_profile(&mut self, bytes: &[u8]) -> Result<(), ProfileSnapshotError> {
        self.profile.as_mut().map_or(Ok(()), |(_, profile)| profile.restore(bytes))
    }

    /// What happened, since the start.
    #[must_use]
    pub fn counts(&self) -> WatchCounts {
        WatchCounts {
            correlator: self.correlator.counts(),
            points: self.points.counts(),
            clients: self.clients.counts(),
            folds: self.folds.counts(),
            profile: self.profile.as_ref().map(|(_, profile)| profile.counts()),
            ..self.counts.clone()
        }
    }

    fn settled(&mut self, settled: Settled<Waiting>, findings: &mut Vec<Noticed>) {
        let Settled { item: Waiting { beyond_paranoia, shown }, place } = settled;
        match place {
            Place::Hop { .. } => self.counts.hops += 1,
            Place::Edge { .. } => {
                self.counts.beyond_paranoia += beyond_paranoia;
                if let Some(shown) = shown {
                    self.conclude(&shown, findings);
                }
            }
        }
    }

    fn conclude(&mut self, shown: &Shown, findings: &mut Vec<Noticed>) {
        let Shown { call, inspection, rules, facts } = shown;
        // Numbers of correlations are those of one set: what another one counted is forgotten.
        if self.rules.as_ref().is_none_or(|known| !Arc::ptr_eq(known, rules)) {
            if self.rules.is_some() {
                self.correlator = Correlator::new(self.settings.groups);
            }
            self.rules = Some(Arc::clone(rules));
        }
        if let Some(first) = self.clients.see(call) {
            self.tell(call, Told::first_seen(first), findings);
        }
        let mut points = 0;
        for Hit { rule, places } in &inspection.hits {
            let Some(rule) = rules.rule(*rule) else { continue };
            points += rule.extension.points(rule.head.level);
            if let Some(told) = Told::of_rule(rule, places) {
                self.tell(call, told, findings);
            }
        }
        for occurrence in &inspection.occurrences {
            let Some(counted) = rules.counted(occurrence.correlation) else { continue };
            let Some(reached) = self.correlator.observe(counted, occurrence) else { continue };
            let Some(rule) = rules.correlation(reached.correlation) else { continue };
            if rule.extension.paranoia() > self.settings.paranoia {
                self.counts.beyond_paranoia += 1;
                continue;
            }
            points += rule.extension.points(rule.head.level);
            self.tell(call, Told::of_correlation(rule, reached.count), findings);
        }
        for bad in &inspection.known_bad {
            let told = Told::known_bad(bad, call.role);
            points += points_of(told.severity);
            self.tell(call, told, findings);
        }
        if let Some(facts) = facts {
            points += self.check(call, facts, findings);
        }
        let client = call.client.filter(|_| points > 0);
        if let Some(client) = client
            && let Some(sum) = self.points.add(client, points, call.start)
        {
            self.tell(call, Told::points(sum), findings);
        }
    }

    /// Holds a call against the profile; gives the points of what it breaks.
    fn check(&mut self, call: &SeenCall, facts: &Facts, findings: &mut Vec<Noticed>) -> u32 {
        let Some((checks, profile)) = &mut self.profile else { return 0 };
        let mut breaches = std::mem::take(&mut self.breaches);
        profile.observe(facts, &call.parties, &mut breaches);
        let checks = Arc::clone(checks);
        let mut points = 0;
        for breach in breaches.drain(..) {
            let Some(rule) = checks.rule(breach.check, facts.side) else { continue };
            if rule.paranoia > self.settings.paranoia {
                self.counts.beyond_paranoia += 1;
                continue;
            }
            points += points_of(rule.severity);
            let seen = profile::Seen { facts, parties: &call.parties };
            let marking = Marking::of_class(rule.owasp);
            let mut found = breach.finding(rule, seen);
            found.endpoint = call.endpoint.clone().or(found.endpoint);
            match Finding::new(found) {
                Ok(finding) => self.take(call, finding, marking, findings),
                Err(_) => self.counts.unspeakable += 1,
            }
        }
        self.breaches = breaches;
        points
    }

    fn tell(&mut self, call: &SeenCall, told: Told, findings: &mut Vec<Noticed>) {
        let marking = told.marking;
        match told.finding(call) {
            Ok(finding) => self.take(call, finding, marking, findings),
            Err(_) => self.counts.unspeakable += 1,
        }
    }

    fn take(
        &mut self,
        call: &SeenCall,
        finding: Finding,
        marking: Marking,
        findings: &mut Vec<Noticed>,
    ) {
        // What follows from many calls is not about the consent and token of the last of them.
        let is_of_one = finding.facts.exchange.is_some();
        let about = if is_of_one { call.about } else { About::default() };
        let noticed = Noticed { finding, marking, caller: call.caller.clone(), about };
        self.folds.take(noticed, call, self.now, findings);
    }
}

/// What a caller says that it is, as far as browsers say it.
#[must_use]
pub fn user_agent(exchange: &Exchange) -> Unprinted {
    let request = exchange.request.as_ref();
    let agent = request.and_then(|request| request.headers.first("user-agent"));
    let agent = agent.and_then(|agent| std::str::from_utf8(agent).ok()).unwrap_or_default();
    let ends = agent.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_AGENT_BYTES);
    let end = if agent.len() <= MAX_AGENT_BYTES { agent.len() } else { ends.last().unwrap_or(0) };
    agent.get(..end).unwrap_or_default().into()
}

fn points_of(severity: Severity) -> u32 {
    match severity {
        Severity::Informational => 0,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// Nothing of what it remembers.
impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("counts", &self.counts).finish_non_exhaustive()
    }
}

fn told_method(method: Method) -> Option<&'static str> {
    Some(match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
        Method::Other => return None,
    })
}

impl WatchSettings {
    /// Usual waits and limits.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self {
            key,
            paranoia: 1,
            settle: once::DEFAULT_SETTLE,
            told_singly: DEFAULT_TOLD_SINGLY,
            fold_window: SignedDuration::from_secs(60),
            points: DEFAULT_POINTS,
            points_window: SignedDuration::from_secs(5 * 60),
            groups: DEFAULT_GROUPS,
        }
    }
}

/// Whoever looks at findings needs some examples, not ten thousand of one scan.
pub const DEFAULT_TOLD_SINGLY: u64 = 20;

/// Five attempts of a high level: one is a mistake or a probe, five are somebody at work.
pub const DEFAULT_POINTS: u32 = 20;

/// Browsers have some 200.
const MAX_AGENT_BYTES: usize = 256;

/// Groups of calls: at most some 100 MB when each has its counts.
pub const DEFAULT_GROUPS: usize = 1 << 16;
