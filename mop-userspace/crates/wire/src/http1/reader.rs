//! Where one direction of a connection stands between and inside messages.

use crate::{
    exchange::Ending,
    http1::{
        body_reader::BodyReader,
        framing::FramingFields,
        head::{self, Parsed},
    },
    limits,
    stamp::Stamp,
};

/// The reader of one direction.
///
/// Invariant: `partial` is empty unless the state is [`State::Head`].
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) state: State,
    /// The bytes of a head that is not whole yet; `<= MAX_HEAD_BYTES`.
    pub(crate) partial: Vec<u8>,
    /// What follows the message that is being read.
    pub(crate) then: Then,
    /// A hole lies right before the next byte.
    pub(crate) after_hole: bool,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Between two messages.
    Boundary,
    /// After a request that may change the protocol: what follows is HTTP only if the response
    /// says so.
    Gate,
    Head {
        start: Stamp,
        /// The message was found by searching.
        after_search: bool,
    },
    Body(BodyReader),
    /// The stream was joined while it was under way; its first byte may begin a message.
    Joining,
    /// No message boundary is known; one is searched for where calls start.
    Search,
    /// The stream ended, or is not HTTP/1 any more.
    Opaque,
}

/// What follows a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Message,
    /// Another message, or another protocol.
    Gate,
    /// Nothing that can be trusted.
    Nothing,
}

/// What reading a head did.
#[derive(Debug)]
pub(crate) enum HeadStep<T> {
    /// All bytes were taken and more are needed.
    More(usize),
    /// `used` bytes were taken; the head has `bytes` bytes in all.
    Whole { used: usize, bytes: usize, head: T, fields: FramingFields },
    /// No byte was taken, and those before are still in `partial`.
    Failed(Ending),
    /// Likewise: this is the preface of HTTP/2 (RFC 9113 section 3.4).
    Http2,
}

impl Reader {
    pub(crate) fn new(state: State) -> Self {
        Self { state, partial: Vec::new(), then: Then::Message, after_hole: false }
    }

    /// Reads the next bytes of a head. A head that lies in one piece is not copied.
    pub(crate) fn read_head<T>(
        &mut self,
        bytes: &[u8],
        parse: impl Fn(&[u8]) -> Parsed<T>,
    ) -> HeadStep<T> {
        let before = self.partial.len();
        let take = bytes.len().min(limits::MAX_HEAD_BYTES.saturating_sub(before));
        let taken = bytes.get(..take).unwrap_or_default();
        let is_full = before + take >= limits::MAX_HEAD_BYTES;
        let parsed = if before == 0 {
            parse(taken)
        } else {
            self.partial.extend_from_slice(taken);
            // Parsing each time would cost the square of the head's length. The end may begin in
            // the last three bytes that were there before.
            if !is_full && !head::has_end(&self.partial, before.saturating_sub(3)) {
                return HeadStep::More(take);
            }
            parse(&self.partial)
        };
        match parsed {
            Parsed::Whole { bytes, head, fields } => {
                self.partial = Vec::new();
                HeadStep::Whole { used: bytes.saturating_sub(before), bytes, head, fields }
            }
            Parsed::Partial if is_full => self.head_failed(before, Ending::LimitReached),
            Parsed::Partial => {
                if before == 0 {
                    self.partial.extend_from_slice(taken);
                }
                HeadStep::More(take)
            }
            Parsed::TooManyLines => self.head_failed(before, Ending::LimitReached),
            Parsed::Malformed => {
                let all = if before == 0 { taken } else { &self.partial };
                if all.starts_with(HTTP2_PREFACE) {
                    self.partial.truncate(before);
                    return HeadStep::Http2;
                }
                self.head_failed(before, Ending::Malformed)
            }
        }
    }

    /// Goes on after a message that ended.
    pub(crate) fn message_over(&mut self) {
        self.state = match self.then {
            Then::Message => State::Boundary,
            Then::Gate => State::Gate,
            Then::Nothing => State::Opaque,
        };
        self.then = Then::Message;
    }

    /// Goes on where no message boundary is known; returns how many bytes of a head were given up.
    pub(crate) fn search(&mut self) -> usize {
        self.go_to(State::Search)
    }

    /// Reads nothing any more; returns how many bytes of a head were given up.
    pub(crate) fn stop(&mut self) -> usize {
        self.go_to(State::Opaque)
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let body = match &self.state {
            State::Body(body) => body.buffered(),
            State::Boundary
            | State::Gate
            | State::Head { .. }
            | State::Joining
            | State::Search
            | State::Opaque => 0,
        };
        self.partial.capacity() + body
    }

    fn head_failed<T>(&mut self, before: usize, ending: Ending) -> HeadStep<T> {
        self.partial.truncate(before);
        HeadStep::Failed(ending)
    }

    fn go_to(&mut self, state: State) -> usize {
        self.state = state;
        self.then = Then::Message;
        std::mem::take(&mut self.partial).len()
    }
}

/// The first line of the connection preface of HTTP/2, as far as it tells it from a request.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";
