//! Messages of `sock_diag(7)`: what is asked, and what comes back.
//!
//! They come from the kernel, and are read as if they came from an enemy: no length is believed.
//!
//! ```text
//!   nlmsghdr      length u32 | type u16 | flags u16 | sequence u32 | port u32        16 bytes
//!   inet_diag_msg family u8 | state u8 | timer u8 | retransmits u8
//!                 | ports 2 × u16be | addresses 2 × 16 | interface u32 | cookie 2 × u32
//!                 | expires, rqueue, wqueue, uid, inode: u32 each                    72 bytes
//!   attributes    length u16 | type u16 | value, up to a multiple of four
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The answer is complete.
    Done,
    /// The kernel refuses, with this number of `errno(3)`; 0 for a mere acknowledgement.
    Refused(i32),
    /// A socket.
    Socket(Socket),
}

/// A TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// Names it for the uptime of the machine, in all namespaces.
    pub(super) cookie: u64,
    /// Of its file; 0 when it has none: it waits to be accepted, was closed, or is the kernel's.
    pub(super) inode: u32,
    /// Of include/net/tcp_states.h.
    pub(super) state: u8,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
}

impl Socket {
    pub(super) fn is_listening(&self) -> bool {
        self.state == LISTEN
    }

    pub(super) fn is_established(&self) -> bool {
        self.state == ESTABLISHED
    }
}

/// Asks for all TCP sockets of a family that have bytes to tell of, and those that listen.
pub(super) fn dump(family: u8, sequence: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(DUMP_BYTES as usize);
    message.extend(DUMP_BYTES.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    message.extend(WANTED_STATES.to_ne_bytes());
    // No socket in particular.
    message.resize(DUMP_BYTES as usize, 0);
    message
}

/// Asks for nothing: the kernel gives the socket that sends it an address, and does not answer.
pub(super) fn nothing() -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES);
    message.extend((HEADER_BYTES as u32).to_ne_bytes());
    message.extend(NLMSG_NOOP.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message
}

/// The parts in what was received at once. What cannot be read ends them; parts of other kinds are
/// passed over.
pub(super) fn parts(bytes: &[u8]) -> impl Iterator<Item = Part> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let length = u32_at(rest, 0)? as usize;
            let kind = u16_at(rest, 4)?;
            let content = rest.get(HEADER_BYTES..length)?;
            rest = rest.get(aligned(length)..).unwrap_or_default();
            match kind {
                NLMSG_DONE => return Some(Part::Done),
                NLMSG_ERROR => {
                    let number = u32_at(content, 0)?.cast_signed();
                    return Some(Part::Refused(number.saturating_neg()));
                }
                SOCK_DIAG_BY_FAMILY => {
                    if let Some(socket) = socket(content) {
                        return Some(Part::Socket(socket));
                    }
                }
                _ => {}
            }
        }
    })
}

fn socket(message: &[u8]) -> Option<Socket> {
    let [family, state] = *message.get(..2)? else { return None };
    let port = |at| Some(u16::from_be(u16_at(message, at)?));
    let address = |at: usize| {
        let bytes: [u8; 16] = message.get(at..)?.first_chunk().copied()?;
        match family {
            AF_INET => {
                let [a, b, c, d, ..] = bytes;
                Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            // An IPv6 socket with an IPv4 peer is an IPv4 connection.
            AF_INET6 => Some(Ipv6Addr::from(bytes).to_canonical()),
            _ => None,
        }
    };
    let local = SocketAddr::new(address(8)?, port(4)?);
    let remote = SocketAddr::new(address(24)?, port(6)?);
    let cookie = u64::from(u32_at(message, 44)?) | u64::from(u32_at(message, 48)?) << 32;
    let inode = u32_at(message, 68)?;
    let (sent_bytes, received_bytes) =
        attribute(message.get(DIAG_BYTES..)?, INET_DIAG_INFO).and_then(counts).unwrap_or_default();
    Some(Socket { cookie, inode, state, local, remote, received_bytes, sent_bytes })
}

/// The value of the first attribute of a type.
fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)?;
        let value = rest.get(ATTRIBUTE_HEADER_BYTES..length)?;
        if kind & NLA_TYPE_MASK == wanted {
            return Some(value);
        }
        rest = rest.get(aligned(length)..)?;
    }
}

/// Bytes acknowledged and received, of `struct tcp_info`. It only ever grew at its end; these fields
/// are there since Linux 4.1.
fn counts(info: &[u8]) -> Option<(u64, u64)> {
    Some((u64_at(info, BYTES_ACKED_AT)?, u64_at(info, BYTES_RECEIVED_AT)?))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// Families, as netlink names them.
pub(super) const FAMILIES: [u8; 2] = [AF_INET, AF_INET6];

const AF_INET: u8 = libc::AF_INET as u8;
const AF_INET6: u8 = libc::AF_INET6 as u8;
const IPPROTO_TCP: u8 = libc::IPPROTO_TCP as u8;

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// `struct inet_diag_msg`.
const DIAG_BYTES: usize = 72;
/// A header and `struct inet_diag_req_v2`.
const DUMP_BYTES: u32 = HEADER_BYTES as u32 + 56;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_INFO: u16 = 2;
/// Without the flags for nesting and byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Of `struct tcp_info`, include/uapi/linux/tcp.h.
const BYTES_ACKED_AT: usize = 120;
const BYTES_RECEIVED_AT: usize = 128;

/// Of include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// All but those that hold no counts: SYN_RECV (3), TIME_WAIT (6), CLOSE (7), NEW_SYN_RECV (12).
const WANTED_STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What Linux 6.18 told of a server's socket that closed after it had received 100000 bytes.
    const CLOSED: &str = "\
        7c01000014000000000000000000000002070000afdfeb887f0000010000000000000000000000007f00000100\
        000000000000000000000000000000320000000000000000000000010000000000000000000000000000000500\
        0a00060000001c010200070000000007aa01e01c0300409c000000800000d68600000000000000000000000000\
        00000000000000000008000000000000000800000008000000ffff0000717201001a0000000e000000ffffff7f\
        0b000000cbff00000c0000001e000000cbff0000000000002b907ac907000000ffffffffffffffff0100000000\
        000000a1860100000000000400000006000000000000000e00000003000000000000002449828b000000000000\
        000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000\
        000000000000000000000000000000010000740100000000000000000000000000000000000000000000000000\
        0000000000000000000000000000000000000000";

    pub(in super::super) fn closed() -> Vec<u8> {
        let text = CLOSED;
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("a byte");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn done() -> Vec<u8> {
        [&20u32.to_ne_bytes()[..], &NLMSG_DONE.to_ne_bytes(), &[2, 0], &[0; 12]].concat()
    }

    #[test]
    fn a_socket_of_the_kernel_is_read() {
        let bytes = [closed(), done()].concat();
        let expected = Socket {
            cookie: 50,
            inode: 0,
            state: 7,
            local: "127.0.0.1:45023".parse().expect("an address"),
            remote: "127.0.0.1:60296".parse().expect("an address"),
            received_bytes: 100_001,
            sent_bytes: 1,
        };
        let found: Vec<Part> = parts(&bytes).collect();
        assert_eq!(found, [Part::Socket(expected), Part::Done]);
    }

    #[test]
    fn a_refusal_is_told_by_its_number() {
        let error = (-libc::EPERM).to_ne_bytes();
        let bytes =
            [&36u32.to_ne_bytes()[..], &NLMSG_ERROR.to_ne_bytes(), &[0; 10], &error, &[0; 16]];
        assert_eq!(parts(&bytes.concat()).collect::<Vec<_>>(), [Part::Refused(libc::EPERM)]);
    }

    #[test]
    fn a_socket_without_counts_has_moved_nothing() {
        let mut bytes = closed();
        bytes.truncate(HEADER_BYTES + DIAG_BYTES);
        bytes[..4].copy_from_slice(&88u32.to_ne_bytes());
        let found: Vec<Part> = parts(&bytes).collect();
        assert!(matches!(found[..], [Part::Socket(Socket { received_bytes: 0, .. })]), "{found:?}");
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_for_ever() {
        let good = [closed(), closed(), done()].concat();
        for cut in 0..good.len() {
            assert!(parts(&good[..cut]).count() <= 3);
            assert!(parts(&good[cut..]).count() <= good.len());
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                assert!(parts(&bad).count() <= 8, "{at} {value}");
            }
        }
    }

    #[test]
    fn what_is_asked_has_the_length_that_it_says() {
        for message in [dump(AF_INET, 7), nothing()] {
            assert_eq!(u32_at(&message, 0), Some(message.len() as u32));
        }
    }
}
