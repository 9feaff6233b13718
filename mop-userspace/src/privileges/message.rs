//! What prober and core say to each other: a tag, then fields of fixed width.
//!
//! One message is one datagram; a socket of the kind `SOCK_SEQPACKET` keeps their bounds. Both ends
//! run on one machine from one file: numbers are in its byte order. What is not exactly such a
//! message is refused, and the end that gets it ends the session.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use mop_common::Counters;
use mop_probe::{
    ProgramLoad,
    process::Placement,
    sockets::{
        MAX_LISTENERS, MAX_PATH_BYTES, MAX_PROGRAM_BYTES, Owner, Runtime, Talker, Traffic, Unseen,
    },
};

use crate::{discovery::Find, protection::Loads};

/// What the core asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Load, attach and look around.
    Begin,
    /// Look into a process.
    Find(Find),
    /// Look at the node's sockets.
    Survey,
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
    /// What the kernel programs cost when they were measured.
    Loads(Loads),
    /// Nothing is attached any more, and this is what the kernel side counted.
    Stopped(Counters),
    /// Sockets of a survey, at most [`TRAFFIC_AT_ONCE`].
    Traffic(Vec<Traffic>),
    /// A process of a survey.
    Talker(Box<Talker>),
    /// A survey is complete.
    Surveyed {
        /// It took note only.
        is_first: bool,
        /// What it lacks.
        unseen: Unseen,
    },
    /// Sockets cannot be looked at.
    NotSurveyed(String),
    /// Nothing is attached, and what was is being taken off, because of the switch.
    SwitchedOff,
    /// The switch, of which the core was told, holds no more.
    SwitchedOn,
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
            Self::Survey => vec![SURVEY],
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
            SURVEY => Self::Survey,
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
            Self::Loads(loads) => put_loads(loads),
            Self::Stopped(counters) => counted(STOPPED, counters),
            Self::Traffic(rows) => {
                let mut message = vec![TRAFFIC];
                rows.iter().take(TRAFFIC_AT_ONCE).for_each(|row| put_traffic(&mut message, row));
                message
            }
            Self::Talker(talker) => put_talker(talker),
            Self::Surveyed { is_first, unseen } => {
                let Unseen { namespaces, processes, sockets, overruns, deaf_namespaces } = *unseen;
                let counts = [namespaces, processes, sockets, overruns, deaf_namespaces];
                let mut message = vec![SURVEYED, u8::from(*is_first)];
                message.extend(counts.into_iter().flat_map(u32::to_ne_bytes));
                message
            }
            Self::NotSurveyed(reason) => tagged(NOT_SURVEYED, &[bounded(reason).as_bytes()]),
            Self::SwitchedOff => vec![SWITCHED_OFF],
            Self::SwitchedOn => vec![SWITCHED_ON],
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
            LOADS => Self::Loads(loads(&mut rest)?),
            STOPPED => Self::Stopped(counters(&mut rest)?),
            TRAFFIC => {
                let mut rows = Vec::new();
                while !rest.is_empty() && rows.len() < TRAFFIC_AT_ONCE {
                    rows.push(traffic(&mut rest)?);
                }
                Self::Traffic(rows)
            }
            TALKER => Self::Talker(Box::new(talker(&mut rest)?)),
            SURVEYED => {
                let is_first = match take(&mut rest)? {
                    [0] => false,
                    [1] => true,
                    _ => return None,
                };
                let mut number = || Some(u32::from_ne_bytes(take(&mut rest)?));
                let unseen = Unseen {
                    namespaces: number()?,
                    processes: number()?,
                    sockets: number()?,
                    overruns: number()?,
                    deaf_namespaces: number()?,
                };
                Self::Surveyed { is_first, unseen }
            }
            NOT_SURVEYED => Self::NotSurveyed(text(&mut rest)),
            SWITCHED_OFF => Self::SwitchedOff,
            SWITCHED_ON => Self::SwitchedOn,
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

fn put_loads(loads: &Loads) -> Vec<u8> {
    let Loads { over, programs } = loads;
    let mut message = vec![LOADS];
    message.extend(nanoseconds(*over).to_ne_bytes());
    for load in programs.iter().take(PROGRAMS_AT_ONCE) {
        let name = cut(&load.program, MAX_PROGRAM_BYTES);
        message.push(name.len() as u8);
        message.extend(name.as_bytes());
        message.extend(load.runs.to_ne_bytes());
        message.extend(nanoseconds(load.time).to_ne_bytes());
    }
    message
}

fn loads(rest: &mut &[u8]) -> Option<Loads> {
    let over = Duration::from_nanos(u64::from_ne_bytes(take(rest)?));
    let mut programs = Vec::new();
    while !rest.is_empty() && programs.len() < PROGRAMS_AT_ONCE {
        let program = short(rest)?;
        let runs = u64::from_ne_bytes(take(rest)?);
        let time = Duration::from_nanos(u64::from_ne_bytes(take(rest)?));
        programs.push(ProgramLoad { program, runs, time });
    }
    Some(Loads { over, programs })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The id of a process, which is positive and fits 31 bits.
fn tgid(rest: &mut &[u8]) -> Option<u32> {
    let tgid = u32::from_ne_bytes(take(rest)?);
    (1..=MAX_TGID).contains(&tgid).then_some(tgid)
}

fn put_traffic(message: &mut Vec<u8>, row: &Traffic) {
    let Traffic { owner, local, remote, received_bytes, sent_bytes } = *row;
    let (kind, tgid) = match owner {
        Owner::Kernel => (OWNER_KERNEL, 0),
        Owner::Process(tgid) => (OWNER_PROCESS, tgid),
        Owner::Unknown => (OWNER_UNKNOWN, 0),
    };
    message.push(kind);
    message.extend(tgid.to_ne_bytes());
    for end in [local, remote] {
        let address = match end.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        message.extend(address.octets());
        message.extend(end.port().to_ne_bytes());
    }
    message.extend(received_bytes.to_ne_bytes());
    message.extend(sent_bytes.to_ne_bytes());
}

fn traffic(rest: &mut &[u8]) -> Option<Traffic> {
    let [kind] = take(rest)?;
    let number = u32::from_ne_bytes(take(rest)?);
    let owner = match kind {
        OWNER_KERNEL => Owner::Kernel,
        OWNER_PROCESS if (1..=MAX_TGID).contains(&number) => Owner::Process(number),
        OWNER_UNKNOWN => Owner::Unknown,
        _ => return None,
    };
    let mut end = || {
        let address = Ipv6Addr::from(take::<16>(rest)?).to_canonical();
        Some(SocketAddr::new(address, u16::from_ne_bytes(take(rest)?)))
    };
    let (local, remote) = (end()?, end()?);
    let received_bytes = u64::from_ne_bytes(take(rest)?);
    let sent_bytes = u64::from_ne_bytes(take(rest)?);
    Some(Traffic { owner, local, remote, received_bytes, sent_bytes })
}

fn put_talker(talker: &Talker) -> Vec<u8> {
    let Talker { tgid, command, placement, executable, program, runtime, listeners } = talker;
    let Placement { container, pod } = placement;
    let mut message = vec![TALKER];
    message.extend(tgid.to_ne_bytes());
    message.push(Runtime::ALL.iter().position(|one| one == runtime).unwrap_or_default() as u8);
    message.push(listeners.len().min(MAX_LISTENERS) as u8);
    for port in listeners.iter().take(MAX_LISTENERS) {
        message.extend(port.to_ne_bytes());
    }
    for text in [Some(command), container.as_ref(), pod.as_ref(), program.as_ref()] {
        let text = cut(text.map(String::as_str).unwrap_or_default(), MAX_PROGRAM_BYTES);
        message.push(text.len() as u8);
        message.extend(text.as_bytes());
    }
    message.extend(cut(executable, MAX_PATH_BYTES).as_bytes());
    message
}

fn talker(rest: &mut &[u8]) -> Option<Talker> {
    let tgid = tgid(rest)?;
    let [runtime, listeners] = take(rest)?;
    let runtime = *Runtime::ALL.get(usize::from(runtime))?;
    if usize::from(listeners) > MAX_LISTENERS {
        return None;
    }
    let listeners = (0..listeners)
        .map(|_| Some(u16::from_ne_bytes(take(rest)?)))
        .collect::<Option<Vec<u16>>>()?;
    let (command, container, pod, program) =
        (short(rest)?, short(rest)?, short(rest)?, short(rest)?);
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    let executable = text(rest);
    (executable.len() <= MAX_PATH_BYTES).then(|| Talker {
        tgid,
        command,
        placement: Placement { container: known(container), pod: known(pod) },
        executable,
        program: known(program),
        runtime,
        listeners,
    })
}

fn take<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (field, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*field)
}

/// A text behind its length.
fn short(rest: &mut &[u8]) -> Option<String> {
    let [length] = take(rest)?;
    let (mut part, behind) = rest.split_at_checked(usize::from(length))?;
    *rest = behind;
    Some(text(&mut part)).filter(|text| text.len() <= MAX_PROGRAM_BYTES)
}

/// The rest of a message as a text.
fn text(rest: &mut &[u8]) -> String {
    String::from_utf8_lossy(std::mem::take(rest)).into_owned()
}

fn bounded(text: &str) -> &str {
    cut(text, MAX_TEXT_BYTES)
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// As long as a path can be.
const MAX_TEXT_BYTES: usize = 4096;

/// The longest message: a tag, a number and a text.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 + 8 + MAX_TEXT_BYTES;

/// Sockets of one message: 57 bytes each.
pub(super) const TRAFFIC_AT_ONCE: usize = 64;

/// Programs of one message: at most 145 bytes each, and there are fewer.
const PROGRAMS_AT_ONCE: usize = 28;

/// `PID_MAX_LIMIT` of include/linux/threads.h.
const MAX_TGID: u32 = 4 << 20;

const BEGIN: u8 = 1;
const STOP: u8 = 2;
const EXECUTABLE: u8 = 3;
const MAPPING: u8 = 4;
const SURVEY: u8 = 5;

const RINGS: u8 = 16;
const LIBRARY: u8 = 17;
const STARTED: u8 = 18;
const COUNTERS: u8 = 19;
const STOPPED: u8 = 20;
const HANGUP: u8 = 21;
const REFUSED: u8 = 22;
const TRAFFIC: u8 = 23;
const TALKER: u8 = 24;
const SURVEYED: u8 = 25;
const NOT_SURVEYED: u8 = 26;
const LOADS: u8 = 27;
const SWITCHED_OFF: u8 = 28;
const SWITCHED_ON: u8 = 29;

const OWNER_KERNEL: u8 = 0;
const OWNER_PROCESS: u8 = 1;
const OWNER_UNKNOWN: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        vec![
            Request::Begin,
            Request::Survey,
            Request::Stop,
            Request::Find(Find::Executable(7)),
            Request::Find(Find::Mapping { tgid: MAX_TGID, inode: u64::MAX, device: 3 }),
        ]
    }

    fn row(owner: Owner) -> Traffic {
        Traffic {
            owner,
            local: "10.0.0.1:443".parse().expect("an address"),
            remote: "[2001:db8::1]:50000".parse().expect("an address"),
            received_bytes: 1,
            sent_bytes: u64::MAX,
        }
    }

    fn some_talker() -> Talker {
        Talker {
            tgid: 7,
            command: "java".to_owned(),
            placement: Placement { container: Some("c".to_owned()), pod: Some("p".to_owned()) },
            executable: "/usr/bin/java".to_owned(),
            program: Some("api.jar".to_owned()),
            runtime: Runtime::Java,
            listeners: vec![443; MAX_LISTENERS],
        }
    }

    fn a_load() -> ProgramLoad {
        ProgramLoad {
            program: "tls_enter".to_owned(),
            runs: u64::MAX,
            time: Duration::from_nanos(9),
        }
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
            Notice::Loads(Loads { over: Duration::from_secs(1), programs: vec![a_load(); 20] }),
            Notice::Loads(Loads::default()),
            Notice::Traffic(vec![row(Owner::Process(MAX_TGID)), row(Owner::Kernel)]),
            Notice::Traffic(vec![row(Owner::Unknown); TRAFFIC_AT_ONCE]),
            Notice::Talker(Box::new(some_talker())),
            Notice::Surveyed {
                is_first: true,
                unseen: Unseen { namespaces: 1, sockets: u32::MAX, ..Unseen::default() },
            },
            Notice::NotSurveyed("no".to_owned()),
            Notice::Hangup,
            Notice::SwitchedOff,
            Notice::SwitchedOn,
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
    fn no_bytes_of_a_survey_make_it_panic() {
        for notice in notices() {
            let good = notice.encode();
            assert!(good.len() <= MAX_MESSAGE_BYTES, "{notice:?}");
            for at in 0..good.len() {
                let _ = Notice::decode(&good[..at]);
                for value in [0, 1, 0x7f, 0xff] {
                    let mut bad = good.clone();
                    bad[at] = value;
                    let _ = Notice::decode(&bad);
                }
            }
        }
        let mut long = some_talker();
        long.command = "é".repeat(200);
        long.executable = "x".repeat(4 << 10);
        let told = Notice::decode(&Notice::Talker(Box::new(long)).encode());
        assert!(matches!(told, Some(Notice::Talker(one)) if one.command.len() == 128));
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
