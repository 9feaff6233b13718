//! One sighting of a call, and which other one it is a hop of.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use mop_contract::route::path_of;
use mop_wire::{Exchange, Role};

use super::outline::{Extent, Outline};
use crate::data::{
    analyst::Addresses,
    call::{
        Call, DEFAULT_SHORTEST_TIME_OUT_MS, Ends, INTERACTION, Method, Observed, Span,
        WEBHOOK_INTERACTION, answered, host_of, interaction_id,
    },
    digest::{Digest, Key, Subject},
    endpoint::regulated_path,
};

/// What tells sightings of one call from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The exchange, by which a hop names its call.
    pub exchange: Arc<str>,
    /// Digest of the interaction.
    pub interaction: Option<Digest>,
    /// Method.
    pub method: Method,
    /// Digest of the path.
    pub path: Digest,
    /// Status that is reported.
    pub status: Option<u16>,
    /// Part of the observed process.
    pub role: Role,
    /// Connection.
    pub connection: u64,
    /// Time.
    pub span: Span,
    /// Ends of the connection.
    pub ends: Ends,
    /// The observed process.
    pub process: Option<u32>,
    /// Organisation that was called.
    pub server: Option<String>,
}

/// Sightings of different groups are never of one call.
pub(super) type GroupKey = (Option<Digest>, Method, Digest);

impl Sighting {
    /// What tells a call.
    #[must_use]
    pub fn of(call: &Call, server: Option<String>) -> Self {
        Self {
            exchange: Arc::clone(&call.exchange),
            interaction: call.interaction.as_ref().map(|interaction| interaction.digest),
            method: call.method,
            path: call.path_digest,
            status: call.status(),
            role: call.role,
            connection: call.connection,
            span: call.span,
            ends: call.ends,
            process: call.process,
            server,
        }
    }

    /// What tells an exchange of which no [`Call`] is made; `None` where its request was not seen.
    /// `addresses` says whom it calls.
    #[must_use]
    pub fn read(
        exchange: &Exchange,
        observed: &Observed<'_>,
        addresses: &Addresses,
        key: &Key,
    ) -> Option<Self> {
        let request = exchange.request.as_ref()?;
        let Observed { exchange: id, ends, process, connection_end_ns, .. } = *observed;
        let (answer, span, _) =
            answered::read(exchange, connection_end_ns, DEFAULT_SHORTEST_TIME_OUT_MS);
        let path = path_of(&request.target);
        let regulated = regulated_path(path);
        let interaction = interaction_id(exchange, &INTERACTIONS);
        let prefix = regulated.and_then(|regulated| path.strip_suffix(regulated));
        let host = || host_of(&request.target, &request.headers);
        let (role, prefix) = (exchange.role, prefix.unwrap_or_default());
        Some(Self {
            exchange: Arc::clone(id),
            interaction: interaction.map(|id| key.digest(Subject::Interaction, id.as_bytes())),
            method: Method::parse(&request.method),
            path: key.digest(Subject::Path, regulated.unwrap_or(path).as_bytes()),
            status: answer.status(),
            role,
            connection: exchange.connection,
            span,
            ends,
            process,
            server: addresses.answerer(role, host, prefix, ends.local),
        })
    }

    /// Whether this is a hop of another sighting.
    #[must_use]
    pub fn is_hop_of(&self, outer: &Self) -> bool {
        if !self.outline().may_be_hop_of(&outer.outline())
            || self.group() != outer.group()
            || self.is_other_end_of(outer)
        {
            return false;
        }
        let remote = |sighting: &Self| sighting.ends.remote.map(|remote| remote.ip());
        let has_other_remote = match (remote(self), remote(outer)) {
            (Some(inner), Some(outer)) => inner.to_canonical() != outer.to_canonical(),
            // Where an address is unknown, time and interaction decide.
            _ => true,
        };
        match (outer.role, self.role) {
            (Role::Client, Role::Server) => false,
            // A proxy beside the application may keep the address that was called.
            (Role::Client, Role::Client) => {
                self.process.and(outer.process).is_some() || has_other_remote
            }
            (Role::Server, Role::Client) => {
                match (&outer.server, &self.server) {
                    (Some(own), Some(called)) => own == called,
                    (Some(_), None) => true,
                    (None, Some(_)) => false,
                    // Other organisations are not called at private addresses.
                    (None, None) => self.goes_inside(outer),
                }
            }
            (Role::Server, Role::Server) => {
                self.has_caller_on(outer) || (self.interaction.is_some() && has_other_remote)
            }
        }
    }

    /// Takes the time of the server into the time of the client, if these are the two ends of one
    /// connection at the same time: not of a second try on it.
    pub(super) fn cover(&mut self, other: &Self) {
        let is_client = (self.role, other.role) == (Role::Client, Role::Server);
        let overlaps =
            self.span.start_ns <= other.span.end_ns && other.span.start_ns <= self.span.end_ns;
        if is_client && overlaps && self.is_other_end_of(other) {
            self.span.start_ns = self.span.start_ns.min(other.span.start_ns);
            self.span.end_ns = self.span.end_ns.max(other.span.end_ns);
        }
    }

    /// Less for what is further outside; never the same for two.
    pub(super) fn extent(&self) -> Extent {
        self.outline().extent()
    }

    /// What is compared first.
    #[inline]
    pub(super) fn outline(&self) -> Outline {
        let Self { interaction, status, role, connection, span, process, .. } = *self;
        Outline { has_interaction: interaction.is_some(), status, role, connection, span, process }
    }

    /// Whether both were seen at the two ends of one connection.
    fn is_other_end_of(&self, other: &Self) -> bool {
        let Ends { local: Some(local), remote: Some(remote) } = self.ends else { return false };
        other.ends == Ends { local: Some(remote), remote: Some(local) }
    }

    /// Whether its caller is on the same node as the process that showed `outer`.
    fn has_caller_on(&self, outer: &Self) -> bool {
        let Some(caller) = self.ends.remote.map(|remote| remote.ip().to_canonical()) else {
            return false;
        };
        self.is_here(caller, outer)
    }

    /// Whether it calls this node, or an address that is none of the public network.
    fn goes_inside(&self, outer: &Self) -> bool {
        let Some(called) = self.ends.remote.map(|remote| remote.ip().to_canonical()) else {
            return false;
        };
        self.is_here(called, outer) || is_private(called)
    }

    /// Whether an address is one of the node that showed both.
    fn is_here(&self, address: IpAddr, outer: &Self) -> bool {
        let is_local =
            |ends: &Ends| ends.local.map(|local| local.ip().to_canonical()) == Some(address);
        address.is_loopback() || is_local(&self.ends) || is_local(&outer.ends)
    }

    pub(super) fn group(&self) -> GroupKey {
        (self.interaction, self.method, self.path)
    }
}

/// RFC 1918, RFC 6598, RFC 4193 and link-local addresses.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_shared = address & SHARED_MASK == SHARED;
            address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// 100.64.0.0/10, which clusters give to their pods.
const SHARED: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 0);
const SHARED_MASK: Ipv4Addr = Ipv4Addr::new(255, 192, 0, 0);

/// Where interactions are named; the second one in calls of webhooks.
const INTERACTIONS: [&str; 2] = [INTERACTION, WEBHOOK_INTERACTION];
