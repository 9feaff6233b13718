//! Scope: what of the node is observed, by workload, process, port and path.
//!
//! `[[scope.allow]]` and `[[scope.deny]]` are lists of rules. A rule holds for a call when all that it
//! names holds; a call is reported when no rule of `deny` holds for it and, where there is any rule of
//! `allow`, at least one of those does. Without rules everything is.
//!
//! A rule may name what is not known yet: the namespace of a pod of which the API server has not told,
//! the port of a connection whose socket is not known. Then it neither holds nor fails, and a call whose
//! fate hangs on it is **not** reported: it is counted as `undecided`. Calls that are not reported are
//! looked at by no module, and every one is counted with its reason.

mod answer;
mod configuration;
mod pattern;
mod rule;
mod selector;

use mop_contract::route::path_of;
use mop_wire::{Exchange, Role};

pub(crate) use self::configuration::ScopeConfiguration;
use self::{
    answer::Answer,
    rule::{Place, Rule, Subject},
};
use crate::{connections::Facts, failure::Failure};

/// Rules, ready to be applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

/// Why a call is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// A rule of `deny` holds for it.
    Denied,
    /// There are rules of `allow`, and none holds for it.
    NotAllowed,
    /// What decides is not known.
    Undecided,
    /// The CPU budget: it is of no regulated interface.
    OverBudgetOther,
    /// The CPU budget: it is of open data.
    OverBudgetOpenData,
    /// Another observer reports it: that which this one follows, or which follows it.
    OfAnother,
}

impl Scope {
    /// The rules of a configuration.
    ///
    /// # Errors
    ///
    /// A rule that [`ScopeConfiguration::check`] finds fault with.
    pub(crate) fn new(configuration: &ScopeConfiguration) -> Result<Self, Failure> {
        let ScopeConfiguration { allow, deny } = configuration;
        let rules = |rules: &[configuration::RuleConfiguration]| {
            rules.iter().map(Rule::new).collect::<Result<_, _>>().map_err(Failure::configuration)
        };
        Ok(Self { allow: rules(allow)?, deny: rules(deny)? })
    }

    /// Whether a call may be reported.
    pub(crate) fn admits(
        &self,
        exchange: &Exchange,
        facts: Option<&Facts>,
    ) -> Result<(), Withheld> {
        let Self { allow, deny } = self;
        if allow.is_empty() && deny.is_empty() {
            return Ok(());
        }
        let subject = subject(exchange, facts);
        let any = |rules: &[Rule]| Answer::any(rules.iter().map(|rule| rule.holds_for(&subject)));
        match any(deny) {
            Answer::No => {}
            Answer::Unknown => return Err(Withheld::Undecided),
            Answer::Yes => return Err(Withheld::Denied),
        }
        match any(allow) {
            Answer::No if allow.is_empty() => Ok(()),
            Answer::No => Err(Withheld::NotAllowed),
            Answer::Unknown => Err(Withheld::Undecided),
            Answer::Yes => Ok(()),
        }
    }
}

/// What rules look at.
fn subject<'a>(exchange: &'a Exchange, facts: Option<&'a Facts>) -> Subject<'a> {
    let ends = facts.and_then(|facts| facts.ends);
    let target = exchange.request.as_ref().map(|request| request.target.as_str());
    Subject {
        place: Place::of(facts),
        process: facts.map(|facts| &*facts.process.command),
        port: ends.map(|(local, remote)| match exchange.role {
            Role::Client => remote.port(),
            Role::Server => local.port(),
        }),
        // Of a call on a connection that was joined late the target may be missing.
        path: target.filter(|target| !target.is_empty()).map(path_of),
    }
}

impl Withheld {
    /// All, in order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Denied,
        Self::NotAllowed,
        Self::Undecided,
        Self::OverBudgetOther,
        Self::OverBudgetOpenData,
        Self::OfAnother,
    ];

    /// Its name in the summary and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NotAllowed => "not_allowed",
            Self::Undecided => "undecided",
            Self::OverBudgetOther => "over_budget_other",
            Self::OverBudgetOpenData => "over_budget_open_data",
            Self::OfAnother => "of_another",
        }
    }
}

#[cfg(test)]
mod tests;
