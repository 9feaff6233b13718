//! What a survey finds.

use std::net::SocketAddr;

use super::Talker;

/// What moved since the survey before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// There was none before it to count from: it takes note of what there is, and tells no traffic.
    pub is_first: bool,
    /// Sockets that moved bytes, open or closed by now. Those of this program are left out.
    pub traffic: Vec<Traffic>,
    /// The processes that [`Owner::Process`] names.
    pub talkers: Vec<Talker>,
    /// What could not be looked at.
    pub unseen: Unseen,
}

/// What one socket moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Whose it is.
    pub owner: Owner,
    /// This end; IPv4 in IPv6 is IPv4.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Bytes of the stream that arrived.
    pub received_bytes: u64,
    /// Bytes of the stream that the other end has acknowledged.
    pub sent_bytes: u64,
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The kernel's own: no process holds it.
    Kernel,
    /// The process with this id, or the one that listens where the connection came in.
    Process(u32),
    /// Nobody was found: it closed before anybody looked, or its process hides.
    Unknown,
}

/// What a survey could not look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Network namespaces that could not be entered.
    pub namespaces: u32,
    /// Processes whose descriptors could not be read.
    pub processes: u32,
    /// Sockets, and sockets that closed, beyond the bounds of a survey.
    pub sockets: u32,
    /// Times that sockets closed faster than they were heard of: some were not.
    pub overruns: u32,
    /// Network namespaces in which sockets that close are not heard of.
    pub deaf_namespaces: u32,
}
