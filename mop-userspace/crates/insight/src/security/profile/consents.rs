//! Consents: who created them, what they permit, and when they ended.

use jiff::Timestamp;

use super::{
    check::Check,
    facts::{ConsentAct, ConsentStatus, Facts, Verb},
    memory::Memory,
    operations::{Permission, Permissions},
    state::Judge,
    when::{LEEWAY_SECONDS, Moment},
};
use crate::{
    data::{digest::Digest, endpoint::Group, funnel::Side},
    security::finding::{Part, Place},
};

/// What is known of consents.
#[derive(Debug)]
pub(super) struct Consents(pub(super) Memory<Digest, Consent>);

/// What is known of a consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Consent {
    /// Organisation that created it.
    pub(super) creator: Option<String>,
    /// What it permits of what paths need; `None` when unknown.
    pub(super) permissions: Option<Vec<Permission>>,
    /// When it was seen to be deleted or rejected.
    pub(super) ended: Option<Moment>,
    /// Its end.
    pub(super) expires: Option<Timestamp>,
}

impl Consents {
    pub(super) fn new(limit: usize) -> Self {
        Self(Memory::new(limit))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted
    }

    /// Judges the consent of a call, the one that it names or that its token leads to, and learns
    /// of it.
    pub(super) fn judge(
        &mut self,
        judge: &mut Judge<'_>,
        linked: Option<Digest>,
        permissions: &Permissions,
    ) {
        let facts = judge.facts;
        if !facts.is_protected() || !facts.is_success() {
            return;
        }
        if let Some(consent) = facts.consent.or(linked)
            && let Some(known) = self.0.get(&consent)
        {
            known.judge(judge, permissions);
        }
        if let (Some(consent), Some(act)) = (facts.consent, &facts.act) {
            self.learn(judge, consent, act);
        }
    }

    fn learn(&mut self, judge: &Judge<'_>, digest: Digest, act: &ConsentAct) {
        let mut consent = self.0.get(&digest).cloned().unwrap_or_default();
        match act {
            ConsentAct::Created { permissions, expires } => {
                let is_shown = judge.facts.side == Side::Server && !judge.is_inner;
                let creator = judge.client.filter(|_| is_shown).map(str::to_owned);
                consent = Consent {
                    // Seen twice, it is told by the one that knows more.
                    creator: creator.or(consent.creator),
                    permissions: permissions.clone(),
                    ended: None,
                    expires: *expires,
                };
            }
            ConsentAct::Deleted => {
                consent.ended.get_or_insert(judge.end());
            }
            ConsentAct::Read { status, permissions, expires } => {
                if *status == ConsentStatus::Rejected {
                    consent.ended.get_or_insert(judge.end());
                }
                consent.permissions = permissions.clone().or(consent.permissions);
                consent.expires = expires.or(consent.expires);
            }
        }
        self.0.insert(digest, consent);
    }
}

impl Consent {
    fn judge(&self, judge: &mut Judge<'_>, permissions: &Permissions) {
        let facts = judge.facts;
        if let (Some(creator), Some(client)) = (self.creator.as_deref(), judge.client)
            && creator != client
            && !judge.is_inner
        {
            judge.tell(Check::ConsentOfOtherOrganisation, [Place::whole(Part::Certificate)]);
        }
        if facts.interface() == "consents" {
            return;
        }
        if self.has_ended(judge) {
            judge.tell(Check::ConsentEndedAccepted, [Place::whole(Part::Path)]);
        }
        let needed = facts.endpoint.as_deref().and_then(|it| permissions.needed(it));
        if let (Some(needed), Some(given), Verb::Get) = (needed, &self.permissions, facts.verb)
            && !given.contains(&needed)
        {
            judge.tell(Check::PermissionMissing, [Place::whole(Part::Path)]);
        }
    }

    /// Whether it was over when the call began. What a service was asked for may be looked at
    /// after its consent was over, so of services only what is asked for anew counts.
    fn has_ended(&self, judge: &Judge<'_>) -> bool {
        let facts = judge.facts;
        let leeway_s = judge.checks.seconds(Check::ConsentEndedAccepted, "leeway_s");
        let was_ended = self.ended.is_some_and(|at| judge.start().is_after(at, 0, leeway_s));
        if is_of_data(facts) {
            let late_s = leeway_s.max(LEEWAY_SECONDS);
            let is_over = self.expires.is_some_and(|expires| {
                facts.start.as_second().saturating_sub(expires.as_second()) > late_s
            });
            return was_ended || is_over;
        }
        was_ended && facts.verb == Verb::Post
    }
}

/// Whether it gives data of customers.
fn is_of_data(facts: &Facts) -> bool {
    let group = facts.endpoint.as_ref().map(|endpoint| endpoint.group);
    group == Some(Group::Phase2) || facts.interface() == "resources"
}
