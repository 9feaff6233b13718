//! What moved, held against what is decoded.

use std::collections::{BTreeMap, HashMap};

use mop_probe::sockets::{Owner, Runtime, Survey, Talker, Unseen};

use super::decoded::Snapshot;

/// Why bytes are not decoded, as far as it can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    /// A Go program whose TLS is not probed.
    GoTls,
    /// A Java program: its TLS is code of its own, which has no functions to probe.
    Jvm,
    /// The kernel's own sockets.
    Kernel,
    /// No TLS that would be missed was found: it is another protocol than HTTP.
    NotHttp,
    /// A program with rustls inside.
    Rustls,
    /// A program with TLS inside that has no names of functions.
    TlsStatic,
    /// A TLS library that is not probed, such as NSS.
    TlsUnknown,
    /// Nobody was found whose socket it was.
    Unattributed,
}

/// What moved between two surveys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    /// Bytes in both directions, by the sockets that carried them.
    pub(super) decoded_bytes: u64,
    /// Those that are not, by process, the largest first.
    pub(super) undecoded: Vec<Undecoded>,
    /// What could not be looked at.
    pub(super) unseen: Unseen,
    /// Decoded connections that were not kept, and count as not decoded.
    pub(super) beyond_connections: u64,
}

/// Bytes of one process that are not decoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Undecoded {
    pub(super) owner: Owner,
    /// `None` when the process was gone before it could be looked at, or there is none.
    pub(super) talker: Option<Talker>,
    pub(super) reason: Reason,
    pub(super) volume: Volume,
}

/// Bytes of sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) sockets: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
}

/// Holds a survey against what is decoded. `is_probed` says whether TLS in an executable is.
pub(super) fn account(
    survey: Survey,
    decoded: &Snapshot,
    is_probed: impl Fn(&str) -> bool,
) -> Window {
    let Survey { is_first: _, traffic, talkers, unseen } = survey;
    let mut talkers: HashMap<u32, Talker> =
        talkers.into_iter().map(|talker| (talker.tgid, talker)).collect();
    let mut decoded_bytes = 0u64;
    let mut rest: BTreeMap<Owner, Volume> = BTreeMap::new();
    for one in traffic {
        let bytes = one.received_bytes.saturating_add(one.sent_bytes);
        if decoded.sockets.contains(&(one.local, one.remote)) {
            decoded_bytes = decoded_bytes.saturating_add(bytes);
        } else {
            rest.entry(one.owner).or_default().add(one.received_bytes, one.sent_bytes);
        }
    }
    let mut undecoded = Vec::new();
    for (owner, mut volume) in rest {
        let (talker, loose) = match owner {
            Owner::Process(tgid) => (talkers.remove(&tgid), decoded.loose_bytes.get(&tgid)),
            Owner::Kernel | Owner::Unknown => (None, None),
        };
        if let Some(loose) = loose {
            decoded_bytes = decoded_bytes.saturating_add(volume.take(*loose));
        }
        if volume.bytes() > 0 {
            let reason = reason(owner, talker.as_ref(), &is_probed);
            undecoded.push(Undecoded { owner, talker, reason, volume });
        }
    }
    undecoded.sort_by_key(|one| std::cmp::Reverse(one.volume.bytes()));
    Window { decoded_bytes, undecoded, unseen, beyond_connections: decoded.beyond }
}

fn reason(owner: Owner, talker: Option<&Talker>, is_probed: impl Fn(&str) -> bool) -> Reason {
    let talker = match (owner, talker) {
        (Owner::Kernel, _) => return Reason::Kernel,
        (Owner::Unknown, _) | (Owner::Process(_), None) => return Reason::Unattributed,
        (Owner::Process(_), Some(talker)) => talker,
    };
    // What is probed there and still not decoded is no HTTP.
    let unless_probed =
        |reason| if is_probed(&talker.executable) { Reason::NotHttp } else { reason };
    match talker.runtime {
        Runtime::Go => unless_probed(Reason::GoTls),
        Runtime::Java => Reason::Jvm,
        Runtime::OtherLibrary => Reason::TlsUnknown,
        Runtime::Plain => Reason::NotHttp,
        Runtime::Rustls => unless_probed(Reason::Rustls),
        Runtime::Static => unless_probed(Reason::TlsStatic),
    }
}

impl Window {
    pub(super) fn undecoded_bytes(&self) -> u64 {
        self.undecoded.iter().fold(0, |sum, one| sum.saturating_add(one.volume.bytes()))
    }

    /// The part that is decoded, from 0 to 1; `None` when nothing moved.
    #[expect(clippy::cast_precision_loss, reason = "a share needs four digits")]
    pub(super) fn decoded_share(&self) -> Option<f64> {
        let all = self.decoded_bytes.saturating_add(self.undecoded_bytes());
        let share = self.decoded_bytes as f64 / all as f64;
        (all > 0).then(|| (share * 10_000.0).round() / 10_000.0)
    }

    /// Processes and bytes by reason, for those that occur.
    pub(super) fn by_reason(&self) -> BTreeMap<Reason, (u64, u64)> {
        let mut sums: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
        for one in &self.undecoded {
            let (processes, bytes) = sums.entry(one.reason).or_default();
            *processes += 1;
            *bytes = bytes.saturating_add(one.volume.bytes());
        }
        sums
    }
}

impl Volume {
    pub(super) fn bytes(&self) -> u64 {
        self.received_bytes.saturating_add(self.sent_bytes)
    }

    pub(super) fn add(&mut self, received_bytes: u64, sent_bytes: u64) {
        self.sockets += 1;
        self.received_bytes = self.received_bytes.saturating_add(received_bytes);
        self.sent_bytes = self.sent_bytes.saturating_add(sent_bytes);
    }

    /// Takes away what so many bytes of plain text may have been on the way: they say how much, but
    /// not on which socket. Gives what was taken.
    fn take(&mut self, plain_bytes: u64) -> u64 {
        let records = plain_bytes / RECORDS_PART;
        let handshakes = self.sockets.saturating_mul(HANDSHAKE_BYTES);
        let most = plain_bytes.saturating_add(records).saturating_add(handshakes);
        let taken = most.min(self.bytes());
        if taken == self.bytes() {
            *self = Self::default();
            return taken;
        }
        let of_received = taken.min(self.received_bytes);
        self.received_bytes -= of_received;
        self.sent_bytes = self.sent_bytes.saturating_sub(taken - of_received);
        taken
    }
}

impl Reason {
    /// All, in order.
    pub(crate) const ALL: [Self; 8] = [
        Self::GoTls,
        Self::Jvm,
        Self::Kernel,
        Self::NotHttp,
        Self::Rustls,
        Self::TlsStatic,
        Self::TlsUnknown,
        Self::Unattributed,
    ];

    /// Its name in records and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GoTls => "go_tls",
            Self::Jvm => "jvm",
            Self::Kernel => "kernel",
            Self::NotHttp => "not_http",
            Self::Rustls => "rustls",
            Self::TlsStatic => "tls_static",
            Self::TlsUnknown => "tls_unknown",
            Self::Unattributed => "unattributed",
        }
    }
}

/// Records of TLS cost 22 to 29 bytes each, and hold a hundred and more: at most a quarter.
const RECORDS_PART: u64 = 4;

/// A full handshake of both sides with chains of certificates.
const HANDSHAKE_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use mop_probe::{process::Placement, sockets::Traffic};

    use super::*;

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn row(owner: Owner, local: u16, remote: u16, received_bytes: u64) -> Traffic {
        Traffic { owner, local: end(local), remote: end(remote), received_bytes, sent_bytes: 10 }
    }

    fn talker(tgid: u32, runtime: Runtime) -> Talker {
        Talker {
            tgid,
            command: format!("p{tgid}"),
            placement: Placement::default(),
            executable: format!("/bin/{tgid}"),
            program: None,
            runtime,
            listeners: Vec::new(),
        }
    }

    fn window(traffic: Vec<Traffic>, talkers: Vec<Talker>, decoded: &Snapshot) -> Window {
        let survey = Survey { traffic, talkers, ..Survey::default() };
        account(survey, decoded, |path| path == "/bin/7")
    }

    #[test]
    fn sockets_are_decoded_or_told_with_a_reason_the_largest_first() {
        let decoded = Snapshot { sockets: [(end(443), end(9))].into(), ..Snapshot::default() };
        let traffic = vec![
            row(Owner::Process(1), 443, 9, 990),
            row(Owner::Process(1), 443, 10, 90),
            row(Owner::Process(2), 80, 11, 490),
            row(Owner::Process(2), 80, 12, 490),
            row(Owner::Kernel, 2049, 1, 30),
            row(Owner::Unknown, 50, 51, 20),
            row(Owner::Process(3), 1, 2, 10),
        ];
        let talkers = vec![talker(1, Runtime::Plain), talker(2, Runtime::Java)];
        let window = window(traffic, talkers, &decoded);
        assert_eq!(window.decoded_bytes, 1_000);
        let told: Vec<_> =
            window.undecoded.iter().map(|one| (one.reason, one.volume.bytes())).collect();
        assert_eq!(
            told,
            [
                (Reason::Jvm, 1_000),
                (Reason::NotHttp, 100),
                (Reason::Kernel, 40),
                (Reason::Unattributed, 30),
                (Reason::Unattributed, 20),
            ]
        );
        assert_eq!(window.undecoded_bytes(), 1_190);
        assert_eq!(window.decoded_share(), Some(0.4566));
        assert_eq!(window.by_reason()[&Reason::Unattributed], (2, 50));
        assert_eq!(Window::default().decoded_share(), None);
    }

    #[test]
    fn tls_inside_an_executable_that_is_probed_is_no_reason() {
        let owner = Owner::Process(7);
        for (runtime, tgid, expected) in [
            (Runtime::Go, 7, Reason::NotHttp),
            (Runtime::Go, 8, Reason::GoTls),
            (Runtime::Rustls, 8, Reason::Rustls),
            (Runtime::Static, 8, Reason::TlsStatic),
            (Runtime::OtherLibrary, 7, Reason::TlsUnknown),
        ] {
            let talker = talker(tgid, runtime);
            assert_eq!(reason(owner, Some(&talker), |path| path == "/bin/7"), expected);
        }
    }

    #[test]
    fn plain_text_without_a_socket_covers_as_much_as_it_can_have_been() {
        let owner = Owner::Process(1);
        let decoded =
            |bytes| Snapshot { loose_bytes: HashMap::from([(1, bytes)]), ..Snapshot::default() };
        let talkers = || vec![talker(1, Runtime::Plain)];
        // A small call over TLS: most of it is the handshake.
        let small = window(vec![row(owner, 1, 2, 5_000)], talkers(), &decoded(300));
        assert_eq!((small.decoded_bytes, small.undecoded.len()), (5_010, 0));
        // A small call beside a large transfer that is not seen.
        let large = window(vec![row(owner, 1, 2, 10_000_000)], talkers(), &decoded(300));
        assert_eq!(large.decoded_bytes, 300 + 75 + HANDSHAKE_BYTES);
        assert_eq!(large.undecoded_bytes(), 10_000_010 - large.decoded_bytes);
        assert_eq!(large.undecoded[0].volume.sent_bytes, 10);
    }
}
