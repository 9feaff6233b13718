//! Exchanges that came by sooner than the handshake of their connection.
//!
//! The certificate of a handshake is read from the lane of the CPU that the handshake ran on, and the
//! calls after it from the lanes of theirs. Lanes are read one after the other, so a whole call may
//! come by before the certificate that says who made it. What happened before a connection's first
//! bytes has all been read once the watermark has passed these. Until then, or until the certificate
//! comes by, its exchanges wait here, in their order.
//!
//! Limits: [`MAX_WAITING`] exchanges, [`MAX_WAITING_BYTES`] of them, and [`MAX_OF_CONNECTION`] of one
//! connection. What is beyond goes on without waiting, and its caller may be unknown, never a wrong
//! one.

use std::collections::{HashMap, VecDeque};

use mop_wire::{Exchange, Headers};

/// Exchanges that wait for what was before their connection's first bytes.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: VecDeque<Waiting>,
    /// How many are of each connection.
    counts: HashMap<u64, usize>,
    bytes: usize,
    /// Everything stamped before this time was read.
    watermark_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    /// First bytes of the connection.
    opened_ns: u64,
    bytes: usize,
    exchange: Exchange,
}

impl Handshakes {
    /// Whether something that came before this time can be missing; never when it is 0.
    pub(crate) fn is_to_wait(&self, opened_ns: u64) -> bool {
        opened_ns != 0 && opened_ns >= self.watermark_ns
    }

    /// Keeps an exchange that is to wait.
    pub(crate) fn hold(&mut self, opened_ns: u64, exchange: Exchange) {
        let bytes = bytes_of(&exchange);
        self.bytes += bytes;
        *self.counts.entry(exchange.connection).or_default() += 1;
        self.waiting.push_back(Waiting { opened_ns, bytes, exchange });
    }

    /// The oldest of too many.
    pub(crate) fn take_excess(&mut self) -> Option<Exchange> {
        let is_full = self.waiting.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES;
        if is_full { self.take_first() } else { None }
    }

    /// Whether so many of a connection wait that its certificate would have come by.
    pub(crate) fn is_enough_of(&self, connection: u64) -> bool {
        self.counts.get(&connection).is_some_and(|count| *count >= MAX_OF_CONNECTION)
    }

    /// Those of one connection, in their order.
    pub(crate) fn take_of(&mut self, connection: u64) -> Vec<Exchange> {
        if self.counts.remove(&connection).is_none() {
            return Vec::new();
        }
        let (of_it, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.exchange.connection == connection);
        self.waiting = others;
        let of_it: VecDeque<Waiting> = of_it;
        self.bytes -= of_it.iter().map(|waiting| waiting.bytes).sum::<usize>();
        of_it.into_iter().map(|waiting| waiting.exchange).collect()
    }

    /// Everything stamped before this time was read.
    pub(crate) fn advance(&mut self, ktime_ns: u64) {
        self.watermark_ns = self.watermark_ns.max(ktime_ns);
    }

    /// One that waits no longer; call it until there is none.
    pub(crate) fn take_due(&mut self) -> Option<Exchange> {
        // Those behind one of a later connection wait with it, which keeps each connection's order.
        self.waiting.front().filter(|first| first.opened_ns < self.watermark_ns)?;
        self.take_first()
    }

    fn take_first(&mut self) -> Option<Exchange> {
        let first = self.waiting.pop_front()?;
        self.bytes -= first.bytes;
        let connection = first.exchange.connection;
        if let Some(count) = self.counts.get_mut(&connection) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&connection);
            }
        }
        Some(first.exchange)
    }
}

/// Memory that an exchange occupies, about.
fn bytes_of(exchange: &Exchange) -> usize {
    let message = |headers: &Headers, body: &[u8]| headers.bytes() + body.len();
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    size_of::<Exchange>()
        + request.map_or(0, |it| it.target.len() + message(&it.headers, &it.body.bytes))
        + response.map_or(0, |it| message(&it.headers, &it.body.bytes))
}

/// A watermark comes a tenth of a second late, so this is forty thousand new connections a second.
const MAX_WAITING: usize = 4096;

/// Calls of a connection in the tenth of a second before its certificate. More would come by too late
/// behind those of the processes that it passed them on to, to be known as the same.
const MAX_OF_CONNECTION: usize = 8;

/// Of every worker: a small part of what its flows may hold.
const MAX_WAITING_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use mop_wire::{Completeness, Ending, Role, Seen, Timing};

    use super::*;

    fn exchange(connection: u64, sequence: u64) -> Exchange {
        Exchange {
            connection,
            sequence,
            role: Role::Server,
            request: None,
            response: None,
            interim: Vec::new(),
            timing: Timing::default(),
            completeness: Completeness {
                request: Seen::default(),
                response: Seen::default(),
                ending: Ending::Complete,
                resynchronised: false,
            },
        }
    }

    fn due(handshakes: &mut Handshakes) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| handshakes.take_due())
            .map(|exchange| (exchange.connection, exchange.sequence))
            .collect()
    }

    #[test]
    fn an_exchange_waits_until_all_before_its_connection_was_read() {
        let mut handshakes = Handshakes::default();
        assert!(!handshakes.is_to_wait(0));
        for (opened_ns, connection, sequence) in [(10, 1, 0), (20, 2, 0), (10, 1, 1)] {
            assert!(handshakes.is_to_wait(opened_ns));
            handshakes.hold(opened_ns, exchange(connection, sequence));
        }
        handshakes.advance(10);
        assert_eq!(due(&mut handshakes), []);
        handshakes.advance(11);
        assert_eq!(due(&mut handshakes), [(1, 0)]);
        handshakes.advance(21);
        assert_eq!(due(&mut handshakes), [(2, 0), (1, 1)]);
        assert!(!handshakes.is_to_wait(20));
        assert_eq!(handshakes.bytes, 0);
    }

    #[test]
    fn of_too_many_the_oldest_goes_on() {
        let mut handshakes = Handshakes::default();
        for connection in 0..=MAX_WAITING as u64 {
            assert_eq!(handshakes.take_excess(), None);
            handshakes.hold(10, exchange(connection, 0));
        }
        assert_eq!(handshakes.take_excess(), Some(exchange(0, 0)));
        assert_eq!(handshakes.take_excess(), None);
    }

    #[test]
    fn those_of_one_connection_go_on_when_its_certificate_comes() {
        let mut handshakes = Handshakes::default();
        for (connection, sequence) in [(1, 0), (2, 0), (1, 1)] {
            handshakes.hold(10, exchange(connection, sequence));
        }
        assert_eq!(handshakes.take_of(1), [exchange(1, 0), exchange(1, 1)]);
        assert_eq!(handshakes.take_of(1), []);
        assert!(!handshakes.is_enough_of(2));
        for sequence in 1..MAX_OF_CONNECTION as u64 {
            handshakes.hold(10, exchange(2, sequence));
        }
        assert!(handshakes.is_enough_of(2));
        assert_eq!(handshakes.take_of(2).len(), MAX_OF_CONNECTION);
        assert_eq!((handshakes.bytes, handshakes.counts.len()), (0, 0));
    }
}
