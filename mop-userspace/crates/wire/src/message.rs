//! What is known of one message while it is under way.
//!
//! Invariants: `body.bytes.len() <= Options::retain_body_bytes`; `body.missing <= body.length`;
//! `seen.missing_bytes <= seen.framed_bytes`; once `retaining` is false no byte is kept any more.

use sha2::{Digest, Sha256};

use crate::{
    body::Body,
    exchange::{Hole, Seen},
    flow_table::Options,
    headers::Headers,
    limits,
    stamp::Stamp,
};

/// The growing content of a message and the proof of how much of it was seen.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) body: Body,
    pub(crate) seen: Seen,
    /// When the first byte of the head was seen.
    pub(crate) start: Stamp,
    /// When the last byte so far was seen.
    pub(crate) last: Stamp,
    /// It ended as its framing says.
    pub(crate) whole: bool,
    retaining: bool,
    /// Bytes of the content that are kept, at most; [`Options::retain_body_bytes`] holds as well.
    most: usize,
    digest: Option<Box<Sha256>>,
}

impl Message {
    pub(crate) fn new(start: Stamp) -> Self {
        Self {
            body: Body::default(),
            seen: Seen::default(),
            start,
            last: start,
            whole: false,
            retaining: true,
            most: usize::MAX,
            digest: None,
        }
    }

    /// Takes note of bytes that belong to the message but not to its content.
    pub(crate) fn frame(&mut self, bytes: usize, at: Stamp) {
        self.seen.framed_bytes = self.seen.framed_bytes.saturating_add(bytes as u64);
        self.last = at;
    }

    /// Keeps no more of the content than its beginning, of so many bytes.
    pub(crate) fn keep_beginning(&mut self, bytes: usize) {
        self.most = bytes;
    }

    /// Takes content bytes. `to_come` is how many follow by what the message says of itself, 0 when it
    /// does not say.
    pub(crate) fn content(&mut self, bytes: &[u8], to_come: u64, at: Stamp, options: &Options) {
        self.frame(bytes.len(), at);
        self.body.length = self.body.length.saturating_add(bytes.len() as u64);
        if self.retaining {
            let most = options.retain_body_bytes.min(self.most);
            let room = most.saturating_sub(self.body.bytes.len());
            let kept = bytes.get(..room).unwrap_or(bytes);
            self.make_room(kept.len(), room, to_come);
            self.body.bytes.extend_from_slice(kept);
            self.retaining = kept.len() == bytes.len();
        }
        if options.digest_bodies && self.body.missing == 0 {
            self.digest.get_or_insert_default().update(bytes);
        }
    }

    /// Makes room for bytes, and for those that are to come: each time that a body grows it is copied, and
    /// what it was is wiped.
    fn make_room(&mut self, bytes: usize, room: usize, to_come: u64) {
        let body = &mut self.body.bytes;
        if to_come == 0 || body.capacity() - body.len() >= bytes {
            return;
        }
        let promised = usize::try_from(to_come).unwrap_or(usize::MAX);
        let trusted = (body.len() + bytes).saturating_mul(ROOM_FOR_EACH_BYTE);
        body.reserve_exact(bytes.saturating_add(promised.min(trusted)).min(room));
    }

    /// Takes note of missing content.
    pub(crate) fn content_hole(&mut self, hole: Hole) {
        self.hole(hole);
        self.body.length = self.body.length.saturating_add(hole.bytes);
        self.body.missing = self.body.missing.saturating_add(hole.bytes);
        self.body.first_hole.get_or_insert(hole);
        self.retaining = false;
        self.digest = None;
    }

    /// Takes note of missing bytes, in whatever part of the message.
    pub(crate) fn hole(&mut self, hole: Hole) {
        self.seen.framed_bytes = self.seen.framed_bytes.saturating_add(hole.bytes);
        self.seen.missing_bytes = self.seen.missing_bytes.saturating_add(hole.bytes);
        if self.seen.holes.len() < limits::MAX_HOLES_LISTED {
            self.seen.holes.push(hole);
        }
    }

    /// Takes note that the message ended as its framing says.
    pub(crate) fn end(&mut self, trailers: Headers, options: &Options) {
        self.whole = true;
        self.body.trailers = trailers;
        if options.digest_bodies && self.body.missing == 0 {
            let digest = self.digest.take().unwrap_or_default();
            self.body.sha256 = Some(digest.finalize().into());
        }
    }

    /// Gives up the content that was kept, to make room.
    pub(crate) fn forget_content(&mut self) {
        self.body.bytes = Vec::new();
        self.retaining = false;
    }

    /// When the last byte was seen, or 0 when that is not known.
    pub(crate) fn end_ns(&self) -> u64 {
        if self.whole { self.last.ktime_ns } else { 0 }
    }

    /// Bytes of the message that reached user space.
    pub(crate) fn seen_bytes(&self) -> u64 {
        self.seen.framed_bytes.saturating_sub(self.seen.missing_bytes)
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        self.body.bytes.capacity() + self.body.trailers.bytes()
    }
}

/// Who announces more than it sends must not make much of it: this many bytes of room for each one that
/// came.
const ROOM_FOR_EACH_BYTE: usize = 15;
