//! What an alarm is about.

use mop_wire::Role;
use serde::{Deserialize, Serialize};

use crate::{
    anomaly,
    data::{analyst::Edge, funnel::Side},
};

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmSignal {
    /// The number of calls is unlike what is usual at such a time.
    Calls,
    /// The share of calls that fail is.
    Errors,
    /// The 95th percentile of their latencies is.
    Latency,
    /// The error budget of the availability that is demanded is spent too fast.
    AvailabilityBurn,
    /// That of the response times is, of one level of service.
    LatencyBurn,
    /// The rest of an error budget is gone soon.
    BudgetRunOut,
    /// The outbox is full soon.
    OutboxFull,
    /// A certificate that is in use ends soon.
    CertificateExpiry,
}

/// What it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All calls that an organisation answers.
    Organisation,
    /// The calls of one client to one endpoint of an organisation.
    Route,
    /// A client, whoever it calls.
    Client,
    /// This node.
    Node,
}

/// The subject of an alarm, and the key under which it is watched. It holds identifiers of the
/// directory, templates of paths and words of this program, nothing of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What it is of.
    pub scope: Scope,
    /// Organisation that answers; none when it is not known, or does not matter.
    pub organisation: Option<String>,
    /// Organisation that calls; none when it is not known, or does not matter.
    pub client_organisation: Option<String>,
    /// Template of the endpoint, or [`UNLISTED`]; none when it does not matter.
    pub endpoint: Option<String>,
    /// Part of the observed process.
    pub side: Option<Side>,
    /// What tells it from others of the same: a level of service, a key of the configuration, the end
    /// of a certificate.
    pub name: Option<String>,
}

impl AlarmSignal {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Calls,
        Self::Errors,
        Self::Latency,
        Self::AvailabilityBurn,
        Self::LatencyBurn,
        Self::BudgetRunOut,
        Self::OutboxFull,
        Self::CertificateExpiry,
    ];

    /// Its name in records, metrics and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::AvailabilityBurn => "availability_burn",
            Self::LatencyBurn => "latency_burn",
            Self::BudgetRunOut => "budget_run_out",
            Self::OutboxFull => "outbox_full",
            Self::CertificateExpiry => "certificate_expiry",
        }
    }

    /// What `expected` and `seen` are in.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Errors => "share",
            Self::Latency | Self::BudgetRunOut | Self::OutboxFull | Self::CertificateExpiry => {
                "seconds"
            }
            Self::AvailabilityBurn | Self::LatencyBurn => "burn_rate",
        }
    }
}

impl From<anomaly::Signal> for AlarmSignal {
    fn from(signal: anomaly::Signal) -> Self {
        match signal {
            anomaly::Signal::Calls => Self::Calls,
            anomaly::Signal::Errors => Self::Errors,
            anomaly::Signal::Latency => Self::Latency,
        }
    }
}

impl Subject {
    /// The route of a call.
    pub(super) fn route(edge: &Edge) -> Self {
        let endpoint = edge.operation().unwrap_or(UNLISTED);
        Self {
            scope: Scope::Route,
            organisation: edge.parties.server_organisation.clone(),
            client_organisation: edge.parties.client_organisation.clone(),
            endpoint: Some(endpoint.to_owned()),
            side: Some(match edge.role {
                Role::Client => Side::Client,
                Role::Server => Side::Server,
            }),
            name: None,
        }
    }

    /// The organisation that answers, over all of its clients and endpoints.
    pub(super) fn whole(&self) -> Self {
        Self {
            organisation: self.organisation.clone(),
            side: self.side,
            ..Self::plain(Scope::Organisation)
        }
    }

    /// A part of this node, by the name of its configuration.
    pub(super) fn node(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::plain(Scope::Node) }
    }

    /// The same, of one name.
    pub(super) fn named(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    pub(super) const fn plain(scope: Scope) -> Self {
        Self {
            scope,
            organisation: None,
            client_organisation: None,
            endpoint: None,
            side: None,
            name: None,
        }
    }

    /// Whether it is as short as subjects are: one that was written by somebody else may not be.
    pub(super) fn is_short(&self) -> bool {
        let parts = [&self.organisation, &self.client_organisation, &self.endpoint, &self.name];
        parts.into_iter().flatten().all(|part| part.len() <= MAX_PART_BYTES)
    }
}

/// In place of a template: no published document has the operation.
pub const UNLISTED: &str = "unlisted";
/// The longest template of the list has 138.
const MAX_PART_BYTES: usize = 512;
