//! Control events: what happens to connections and processes, apart from their bytes.

use crate::assert_no_padding;

/// One record of the control ring.
///
/// Control events travel in a ring of their own, so that a flood of data never loses the opening
/// or the end of a connection. An event that concerns a segment is always submitted before it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlEvent {
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub ktime_ns: u64,
    /// The connection; 0 for events of a process.
    pub connection: u64,
    /// `CLOCK_BOOTTIME` when the process started, in nanoseconds: with `tgid` it names a process
    /// for the whole uptime of the machine.
    pub process_start_ns: u64,
    /// Identifier of the cgroup v2 of the process.
    pub cgroup: u64,
    /// Per [`crate::Direction`]. `Open`: where observation of the stream begins. `Close`: the final
    /// position. `End`: the final position of the direction that ended.
    pub positions: [u64; 2],
    /// Cookie of the attachment that saw a TLS connection: names the library; 0 for sockets.
    pub library: u64,
    /// `Open` and `Bind` of a TLS connection: the connection of the socket underneath, whose segments
    /// hold its hello; 0 when it is not known.
    pub socket: u64,
    /// Process id as seen from the initial pid namespace.
    pub tgid: u32,
    /// Port of this side, host byte order.
    pub local_port: u16,
    /// Port of the peer, host byte order.
    pub remote_port: u16,
    /// [`ControlKind`] as a number.
    pub kind: u8,
    /// [`Layer`] as a number.
    pub layer: u8,
    /// 4, 6, or 0 when the socket is not known.
    pub family: u8,
    /// [`crate::Direction`] as a number, for `End`.
    pub direction: u8,
    /// [`Protocol`] as a number.
    pub protocol: u8,
    /// 1 when the connection was seen from its first byte.
    pub from_start: u8,
    /// Always zero.
    pub reserved: [u8; 2],
    /// Address of this side, network byte order; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Address of the peer, network byte order; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Name of the thread that was running, zero-padded.
    pub command: [u8; 16],
}

assert_no_padding!(ControlEvent, 6 * 8 + 2 * 8 + 4 + 2 * 2 + 6 + 2 + 3 * 16);

impl ControlEvent {
    /// An event with every field zero.
    pub const EMPTY: Self = Self {
        ktime_ns: 0,
        connection: 0,
        process_start_ns: 0,
        cgroup: 0,
        positions: [0; 2],
        library: 0,
        socket: 0,
        tgid: 0,
        local_port: 0,
        remote_port: 0,
        kind: 0,
        layer: 0,
        family: 0,
        direction: 0,
        protocol: 0,
        from_start: 0,
        reserved: [0; 2],
        local: [0; 16],
        remote: [0; 16],
        command: [0; 16],
    };
}

/// What happened.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// A connection turned out to carry a protocol that is observed.
    Open = 1,
    /// The socket under an already open TLS connection became known.
    Bind = 2,
    /// One direction of a connection carries no further byte.
    End = 3,
    /// The connection carries no further byte.
    Close = 4,
    /// A process replaced its program.
    Exec = 5,
    /// A process ended.
    Exit = 6,
    /// A process mapped a file as code that no process was seen to map before. `positions` holds
    /// the inode and the device of the file.
    Map = 7,
    /// A lane fills: its reader is to come at once.
    Wake = 8,
}

impl ControlKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Open),
            2 => Some(Self::Bind),
            3 => Some(Self::End),
            4 => Some(Self::Close),
            5 => Some(Self::Exec),
            6 => Some(Self::Exit),
            7 => Some(Self::Map),
            8 => Some(Self::Wake),
            _ => None,
        }
    }
}

/// Where the bytes of a connection were seen.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Plain bytes at the socket.
    Socket = 0,
    /// Plain bytes at the border of a TLS library.
    Tls = 1,
}

impl Layer {
    /// The layer with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Socket),
            1 => Some(Self::Tls),
            _ => None,
        }
    }
}

/// What the first bytes of a connection look like.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.x.
    Http1 = 1,
    /// HTTP/2 with its connection preface.
    Http2 = 2,
}

impl Protocol {
    /// The protocol with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Http1),
            2 => Some(Self::Http2),
            _ => None,
        }
    }
}
