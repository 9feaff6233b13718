//! What the kernel side counts: one set per CPU, read by user space.

/// One counter of the kernel side.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Segments that found their lane full.
    RingFullSegments = 0,
    /// Bytes of segments that found their lane full.
    RingFullBytes = 1,
    /// Bytes whose page could not be read.
    FaultBytes = 2,
    /// Bytes that went by `sendfile` or `splice`, or were discarded by `MSG_TRUNC`.
    UnseenBytes = 3,
    /// Bytes beyond the segment limit of one call.
    CallTooLargeBytes = 4,
    /// Control events that found their ring full.
    ControlLost = 5,
    /// Calls that were not observed because too many threads were inside a call.
    ThreadsFull = 6,
    /// Connections that were not observed because a map was full.
    ConnectionsFull = 7,
    /// Connections that turned out not to carry an observed protocol.
    Ignored = 8,
    /// Calls of a kind that is not decoded (`recvmmsg`, `sendmmsg`) on an observed connection.
    UndecodedCalls = 9,
    /// TLS calls that passed an entry site.
    TlsEntries = 10,
    /// TLS calls that passed an exit site, or returned.
    TlsExits = 11,
    /// TLS calls in which the thread touched more than one socket: no socket is bound by them.
    AmbiguousSockets = 12,
    /// Connections that were given an identity; its source, too.
    Connections = 13,
    /// Runs of programs that the kernel left out, since another run of the same program was preempted
    /// on the CPU; nothing is known of what they would have seen. Counted by the kernel itself.
    SkippedRuns = 14,
}

/// Names of the counters for metrics and reports, in the order of their numbers.
pub const COUNTER_NAMES: [&str; Counters::LEN] = [
    "ring_full_segments",
    "ring_full_bytes",
    "fault_bytes",
    "unseen_bytes",
    "call_too_large_bytes",
    "control_lost",
    "threads_full",
    "connections_full",
    "ignored_connections",
    "undecoded_calls",
    "tls_entries",
    "tls_exits",
    "ambiguous_sockets",
    "connections",
    "skipped_runs",
];

/// The counters of one CPU, or their sum.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Values in the order of [`Counter`].
    pub values: [u64; Self::LEN],
}

impl Counters {
    /// How many counters there are.
    pub const LEN: usize = 15;

    /// The value of one counter.
    #[must_use]
    pub const fn value(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Adds the counters of another CPU.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.values.iter_mut().zip(other.values) {
            *sum = sum.wrapping_add(value);
        }
    }
}
