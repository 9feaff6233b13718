//! What prober and core say to each other: a tag, then fields of fixed width.
//!
//! One message is one datagram; a socket of the kind `SOCK_SEQPACKET` keeps their bounds. Both ends
//! run on one machine from one file: numbers are in its byte order. What is not exactly such a
//! message is refused, and the end that gets it ends the session.

use mop_common::Counters;

use crate::discovery::Find;

/// What the core asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Load, attach and look around.
    Begin,
    /// Look into a process.
    Find(Find),
    /// Detach.
    Stop,
}

/// What the prober tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The sizes of the rings; their descriptors come along.
    Rings([u32; 3]),
    /// A library is observed from now on.
    Library {
        /// The number that its probes carry.
        id: u64,
        /// Its path.
        path: String,
    },
    /// All that was there at the start is observed.
    Started,
    /// What the kernel side counted so far.
    Counters(Counters),
    /// Nothing is attached any more, and this is what the kernel side counted.
    Stopped(Counters),
    /// The operator sent SIGHUP.
    Hangup,
    /// Observing is not possible.
    Refused {
        /// What the command is to exit with.
        code: u8,
        /// Why, in one sentence.
        reason: String,
    },
}

impl Request {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Begin => vec![BEGIN],
            Self::Stop | Self::Find(Find::Nothing) => vec![STOP],
            Self::Find(Find::Executable(tgid)) => tagged(EXECUTABLE, &[&tgid.to_ne_bytes()]),
            Self::Find(Find::Mapping { tgid, inode, device }) => {
                tagged(MAPPING, &[&tgid.to_ne_bytes(), &inode.to_ne_bytes(), &device.to_ne_bytes()])
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        let request = match tag {
            BEGIN => Self::Begin,
            STOP => Self::Stop,
            EXECUTABLE => Self::Find(Find::Executable(tgid(&mut rest)?)),
            MAPPING => Self::Find(Find::Mapping {
                tgid: tgid(&mut rest)?,
                inode: u64::from_ne_bytes(take(&mut rest)?),
                device: u64::from_ne_bytes(take(&mut rest)?),
            }),
            _ => return None,
        };
        rest.is_empty().then_some(request)
    }
}

impl Notice {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Rings(sizes) => {
                let sizes = sizes.map(u32::to_ne_bytes);
                tagged(RINGS, &sizes.each_ref().map(<[u8; 4]>::as_slice))
            }
            Self::Library { id, path } => {
                tagged(LIBRARY, &[&id.to_ne_bytes(), bounded(path).as_bytes()])
            }
            Self::Started => vec![STARTED],
            Self::Counters(counters) => counted(COUNTERS, counters),
            Self::Stopped(counters) => counted(STOPPED, counters),
            Self::Hangup => vec![HANGUP],
            Self::Refused { code, reason } => {
                tagged(REFUSED, &[&[*code], bounded(reason).as_bytes()])
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        let notice = match tag {
            RINGS => Self::Rings([
                u32::from_ne_bytes(take(&mut rest)?),
                u32::from_ne_bytes(take(&mut rest)?),
                u32::from_ne_bytes(take(&mut rest)?),
            ]),
            LIBRARY => {
                let id = u64::from_ne_bytes(take(&mut rest)?);
                Self::Library { id, path: text(&mut rest) }
            }
            STARTED => Self::Started,
            COUNTERS => Self::Counters(counters(&mut rest)?),
            STOPPED => Self::Stopped(counters(&mut rest)?),
            HANGUP => Self::Hangup,
            REFUSED => {
                let [code] = take(&mut rest)?;
                Self::Refused { code, reason: text(&mut rest) }
            }
            _ => return None,
        };
        rest.is_empty().then_some(notice)
    }
}

fn tagged(tag: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![tag];
    for field in fields {
        message.extend_from_slice(field);
    }
    message
}

fn counted(tag: u8, counters: &Counters) -> Vec<u8> {
    let values = counters.values.map(u64::to_ne_bytes);
    tagged(tag, &values.each_ref().map(<[u8; 8]>::as_slice))
}

fn counters(rest: &mut &[u8]) -> Option<Counters> {
    let mut counters = Counters::default();
    for value in &mut counters.values {
        *value = u64::from_ne_bytes(take(rest)?);
    }
    Some(counters)
}

/// The id of a process, which is positive and fits 31 bits.
fn tgid(rest: &mut &[u8]) -> Option<u32> {
    let tgid = u32::from_ne_bytes(take(rest)?);
    (1..=MAX_TGID).contains(&tgid).then_some(tgid)
}

fn take<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (field, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*field)
}

/// The rest of a message as a text.
fn text(rest: &mut &[u8]) -> String {
    String::from_utf8_lossy(std::mem::take(rest)).into_owned()
}

fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default()
}

/// As long as a path can be.
const MAX_TEXT_BYTES: usize = 4096;

/// The longest message: a tag, a number and a text.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 + 8 + MAX_TEXT_BYTES;

/// `PID_MAX_LIMIT` of include/linux/threads.h.
const MAX_TGID: u32 = 4 << 20;

const BEGIN: u8 = 1;
const STOP: u8 = 2;
const EXECUTABLE: u8 = 3;
const MAPPING: u8 = 4;

const RINGS: u8 = 16;
const LIBRARY: u8 = 17;
const STARTED: u8 = 18;
const COUNTERS: u8 = 19;
const STOPPED: u8 = 20;
const HANGUP: u8 = 21;
const REFUSED: u8 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        vec![
            Request::Begin,
            Request::Stop,
            Request::Find(Find::Executable(7)),
            Request::Find(Find::Mapping { tgid: MAX_TGID, inode: u64::MAX, device: 3 }),
        ]
    }

    fn notices() -> Vec<Notice> {
        let mut counters = Counters::default();
        counters.values[3] = u64::MAX;
        vec![
            Notice::Rings([1, 2, u32::MAX]),
            Notice::Library { id: 9, path: "/usr/lib/libssl.so.3".to_owned() },
            Notice::Library { id: 0, path: String::new() },
            Notice::Started,
            Notice::Counters(counters),
            Notice::Stopped(counters),
            Notice::Hangup,
            Notice::Refused { code: 78, reason: "no".to_owned() },
        ]
    }

    #[test]
    fn what_is_said_is_understood() {
        for request in requests() {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        for notice in notices() {
            assert_eq!(Notice::decode(&notice.encode()), Some(notice));
        }
    }

    #[test]
    fn nothing_else_is() {
        assert_eq!(Request::decode(&[]), None);
        assert_eq!(Notice::decode(&[]), None);
        for request in requests() {
            let whole = request.encode();
            for length in 0..whole.len() {
                assert_eq!(Request::decode(&whole[..length]), None, "{request:?} {length}");
            }
            assert_eq!(Request::decode(&[whole, vec![0]].concat()), None, "{request:?} and more");
        }
        for tgid in [0, MAX_TGID + 1, u32::MAX] {
            let message = tagged(EXECUTABLE, &[&tgid.to_ne_bytes()]);
            assert_eq!(Request::decode(&message), None, "{tgid}");
        }
        // Neither end understands what the other one is told.
        for tag in 0..=u8::MAX {
            assert!(Request::decode(&[tag]).is_none() || Notice::decode(&[tag]).is_none());
        }
    }

    #[test]
    fn texts_are_bounded_at_a_character() {
        let path = "é".repeat(MAX_TEXT_BYTES);
        let message = Notice::Library { id: 1, path: format!("x{path}") }.encode();
        assert!(message.len() <= MAX_MESSAGE_BYTES);
        assert!(matches!(Notice::decode(&message), Some(Notice::Library { path, .. })
            if path.len() == MAX_TEXT_BYTES - 1 && !path.contains('\u{fffd}')));
    }
}
