//! Who is at the other end of the TLS connections that are open, for the run that follows.
//!
//! A certificate shows in the handshake only, and a connection may live for hours. When MOP is
//! restarted, its calls would have no caller from then on. So each run leaves behind what it knows,
//! and the next one takes it up for connections that were there before it.
//!
//! A connection is known by its process, when that started, and both addresses. The only way to
//! mistake one for another is that it ends, and the very same two ports are used again by somebody
//! else, unseen. A port waits for a minute before that ([`MAX_AGE`]). So what is older is not taken up; nor
//! is it once the ports were seen to be used anew, or when a connection was silent for too long after
//! the start ([`TAKEN_UP_WITHIN`]): its caller is then unknown, never a wrong one.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::identity::certificate::{CertificateFacts, Subject};
use serde::{Deserialize, Serialize};

/// What is known of open connections; workers share it.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<Place, Arc<CertificateFacts>>,
    /// Of the run before, until they are taken up.
    earlier: HashMap<Place, Arc<CertificateFacts>>,
    /// When this run began.
    began: Option<Instant>,
    is_changed: bool,
}

/// A connection, as two runs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) process: u32,
    /// When the process started, by `CLOCK_BOOTTIME`.
    pub(crate) started_ns: u64,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    at: Timestamp,
    peers: Vec<Peer>,
}

/// One connection in it: identifiers of the directory, and no name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    place: Place,
    organisation: Option<String>,
    software_statement: Option<String>,
    not_after: Option<Timestamp>,
}

impl Peers {
    /// With what an earlier run left behind, unless that is too old or none of this program's.
    pub(super) fn read(bytes: Option<&[u8]>, now: Timestamp) -> Self {
        let kept = bytes.and_then(|bytes| serde_json::from_slice::<Kept>(bytes).ok());
        let is_fresh = |kept: &Kept| {
            let age = now.duration_since(kept.at);
            kept.version == VERSION && (SignedDuration::ZERO..=MAX_AGE).contains(&age)
        };
        let kept = kept.filter(is_fresh).map(|kept| kept.peers).unwrap_or_default();
        let earlier = kept.into_iter().take(MAX_PEERS).map(|peer| (peer.place, peer.facts()));
        let began = Some(Instant::now());
        let inner = Inner { earlier: earlier.collect(), began, ..Inner::default() };
        Self { inner: Mutex::new(inner) }
    }

    /// What is to be kept, if that changed since it was last asked for.
    pub(super) fn write(&self, now: Timestamp) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.is_changed) {
            return None;
        }
        let peers = inner.open.iter().map(|(place, facts)| Peer::of(*place, facts)).collect();
        drop(inner);
        serde_json::to_vec(&Kept { version: VERSION, at: now, peers }).ok()
    }

    /// A connection showed its peer. Beyond [`MAX_PEERS`] it is not kept for the next run.
    pub(crate) fn note(&self, place: Place, facts: &Arc<CertificateFacts>) {
        let mut inner = self.lock();
        inner.earlier.remove(&place);
        if inner.open.len() < MAX_PEERS {
            inner.open.insert(place, Arc::clone(facts));
            inner.is_changed = true;
        }
    }

    /// The peer of a connection that was there before this run.
    pub(crate) fn take_up(&self, place: Place) -> Option<Arc<CertificateFacts>> {
        self.take_up_at(place, Instant::now())
    }

    /// Another connection is where one of the earlier run was.
    pub(crate) fn supersede(&self, place: Place) {
        self.lock().earlier.remove(&place);
    }

    /// A connection has ended.
    pub(crate) fn forget(&self, place: Place) {
        let mut inner = self.lock();
        let was_known = inner.open.remove(&place).is_some();
        inner.is_changed |= was_known;
    }

    fn take_up_at(&self, place: Place, now: Instant) -> Option<Arc<CertificateFacts>> {
        let mut inner = self.lock();
        let is_late = inner.began.is_none_or(|began| now.duration_since(began) > TAKEN_UP_WITHIN);
        if is_late {
            inner.earlier = HashMap::new();
        }
        let facts = inner.earlier.remove(&place)?;
        drop(inner);
        self.note(place, &facts);
        Some(facts)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn of(place: Place, facts: &CertificateFacts) -> Self {
        let Subject { organisation, software_statement, .. } = &facts.subject;
        Self {
            place,
            organisation: organisation.clone(),
            software_statement: software_statement.clone(),
            not_after: facts.not_after,
        }
    }

    fn facts(self) -> Arc<CertificateFacts> {
        let Self { place: _, organisation, software_statement, not_after } = self;
        let subject = Subject { organisation, software_statement, ..Subject::default() };
        Arc::new(CertificateFacts { subject, not_after, fingerprint: None })
    }
}

const VERSION: u32 = 1;
/// `TCP_TIMEWAIT_LEN` of the kernel: for so long no two ports are used again.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(60);
/// Longer than servers keep a silent connection by default (nginx: 75 s).
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(120);
/// Connections whose peer is kept: some 4 MB.
const MAX_PEERS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: u16) -> Place {
        Place {
            process: 7,
            started_ns: 9,
            local: SocketAddr::from(([10, 0, 0, 1], 443)),
            remote: SocketAddr::from(([10, 0, 0, 7], port)),
        }
    }

    fn facts(organisation: &str) -> Arc<CertificateFacts> {
        let subject = Subject {
            organisation: Some(organisation.to_owned()),
            common_name: Some("a name".to_owned()),
            ..Subject::default()
        };
        Arc::new(CertificateFacts { subject, not_after: None, fingerprint: Some([1; 32]) })
    }

    #[test]
    fn the_next_run_takes_up_what_is_still_open_and_nothing_older_than_a_minute() {
        let at = Timestamp::UNIX_EPOCH;
        let later = |seconds| at + SignedDuration::from_secs(seconds);
        let first = Peers::default();
        first.note(place(1), &facts("a"));
        first.note(place(2), &facts("b"));
        first.forget(place(2));
        let kept = first.write(at).expect("changed");
        assert_eq!(first.write(at), None);
        assert!(!String::from_utf8_lossy(&kept).contains("a name"));

        let second = Peers::read(Some(&kept), later(59));
        let organisation = |place| Some(second.take_up(place)?.subject.organisation.clone());
        assert_eq!(organisation(place(1)), Some(Some("a".to_owned())));
        assert_eq!(organisation(place(1)), None, "it is taken up once");
        assert_eq!(organisation(place(2)), None);
        assert!(second.write(at).is_some(), "the run after that is to know it too");
        for bytes in [Some(&kept[..]), Some(b"{}"), None] {
            assert!(Peers::read(bytes, later(61)).take_up(place(1)).is_none());
            assert!(Peers::read(bytes, later(-1)).take_up(place(1)).is_none());
        }
    }

    #[test]
    fn what_was_used_anew_or_silent_for_too_long_is_not_taken_up() {
        let at = Timestamp::UNIX_EPOCH;
        let first = Peers::default();
        first.note(place(1), &facts("a"));
        first.note(place(2), &facts("b"));
        let kept = first.write(at).expect("changed");
        let second = Peers::read(Some(&kept), at);
        second.supersede(place(1));
        assert!(second.take_up(place(1)).is_none());
        let late = Instant::now() + TAKEN_UP_WITHIN + Duration::from_secs(1);
        assert!(second.take_up_at(place(2), late).is_none());
        assert!(second.take_up(place(2)).is_none(), "it is given up for good");
    }
}
