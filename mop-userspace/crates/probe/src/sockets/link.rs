//! A socket to the kernel's `sock_diag`, in one network namespace.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
    netlink::{self, SocketAddrNetlink},
    recvfrom, send, socket_with, sockopt,
};

use super::message::{self, FAMILIES, Part, Socket};

/// What is asked for sockets, and what hears of those that close.
pub(super) struct Link {
    asks: OwnedFd,
    /// `None` where the kernel does not tell of sockets that close.
    hears: Option<OwnedFd>,
    sequence: u32,
}

/// How hearing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// All there was.
    All,
    /// More than there was room for: some is lost.
    Overrun,
}

impl Link {
    /// Opens both in the network namespace of this thread, in which they stay.
    pub(super) fn open() -> io::Result<Self> {
        let asks = socket()?;
        sockopt::set_socket_timeout(&asks, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { asks, hears: hear_closings().ok(), sequence: 0 })
    }

    /// Where sockets that close are heard of.
    pub(super) fn hears(&self) -> Option<BorrowedFd<'_>> {
        self.hears.as_ref().map(AsFd::as_fd)
    }

    /// All TCP sockets of the namespace, at most so many. The number is that of those beyond.
    pub(super) fn sockets(&mut self, most: usize) -> io::Result<(Vec<Socket>, u32)> {
        let (mut found, mut beyond) = (Vec::new(), 0u32);
        let mut buffer = vec![0; BUFFER_BYTES];
        for family in FAMILIES {
            self.sequence = self.sequence.wrapping_add(1);
            send(&self.asks, &message::dump(family, self.sequence), SendFlags::empty())?;
            let mut is_done = false;
            while !is_done {
                for part in message::parts(receive(&self.asks, &mut buffer, RecvFlags::empty())?) {
                    match part {
                        Part::Done => is_done = true,
                        // A kernel without IPv6 does not know the family.
                        Part::Refused(libc::ENOENT) => is_done = true,
                        Part::Refused(number) => return Err(io::Error::from_raw_os_error(number)),
                        Part::Socket(socket) if found.len() < most => found.push(socket),
                        Part::Socket(_) => beyond = beyond.saturating_add(1),
                    }
                }
            }
        }
        Ok((found, beyond))
    }

    /// Hands over the sockets that closed since the last time, without waiting.
    pub(super) fn closed(&self, mut each: impl FnMut(Socket)) -> Heard {
        let Some(hears) = &self.hears else { return Heard::All };
        let mut heard = Heard::All;
        let mut buffer = vec![0; BUFFER_BYTES];
        for _ in 0..MAX_HEARD_AT_ONCE {
            match receive(hears, &mut buffer, RecvFlags::DONTWAIT) {
                Ok(bytes) => message::parts(bytes).for_each(|part| {
                    if let Part::Socket(socket) = part {
                        each(socket);
                    }
                }),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    heard = Heard::Overrun;
                }
                // Nothing more, or nothing that could be read: the next survey sees the rest.
                Err(_) => break,
            }
        }
        heard
    }
}

fn socket() -> io::Result<OwnedFd> {
    let kind = SocketType::DGRAM;
    Ok(socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?)
}

/// A socket that is told of TCP sockets that close.
fn hear_closings() -> io::Result<OwnedFd> {
    let socket = socket()?;
    // As large as the machine allows without further rights.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, HEAR_BYTES);
    for group in [SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY] {
        // SAFETY: the value is a number of the size that is told, and outlives the call.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                (&raw const group).cast(),
                size_of_val(&group) as libc::socklen_t,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // The kernel takes a socket without an address for the sender itself, and tells it nothing.
    // Sending gives it one; `bind` would, too, but is more than some callers may do.
    send(&socket, &message::nothing(), SendFlags::empty())?;
    Ok(socket)
}

/// What the kernel sends next; what others send is passed over.
fn receive<'buffer>(
    socket: &OwnedFd,
    buffer: &'buffer mut [u8],
    flags: RecvFlags,
) -> io::Result<&'buffer [u8]> {
    for _ in 0..MAX_STRANGERS {
        match recvfrom(socket, &mut *buffer, flags) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok((length, _, from)) => {
                let is_kernel = from
                    .and_then(|from| SocketAddrNetlink::try_from(from).ok())
                    .is_some_and(|from| from.pid() == 0);
                if is_kernel {
                    return Ok(buffer.get(..length).unwrap_or_default());
                }
            }
        }
    }
    Err(io::Error::other("others than the kernel answer"))
}

/// Of include/uapi/linux/sock_diag.h.
const SKNLGRP_INET_TCP_DESTROY: libc::c_int = 1;
const SKNLGRP_INET6_TCP_DESTROY: libc::c_int = 3;

/// The kernel fills at most 32 KiB at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Some thousand sockets that close between two looks. Most machines allow far less.
const HEAR_BYTES: usize = 4 << 20;

/// The kernel answers at once, or never.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks are taken again soon; one does not go on for ever.
const MAX_HEARD_AT_ONCE: usize = 65_536;

/// Only root can send there.
const MAX_STRANGERS: usize = 16;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn a_connection_is_found_with_its_bytes_and_heard_when_it_closes() {
        let mut link = Link::open().expect("the kernel has sock_diag");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        client.write_all(&[7; 5_000]).expect("sent");
        server.read_exact(&mut [0; 5_000]).expect("received");
        let end = server.peer_addr().expect("an address");

        let (all, beyond) = link.sockets(usize::MAX).expect("told");
        assert_eq!(beyond, 0);
        assert!(all.iter().any(|one| one.is_listening() && one.local == address));
        let found = all.iter().find(|one| one.local == address && one.remote == end);
        assert_eq!(found.map(|one| one.received_bytes), Some(5_000));
        let (few, beyond) = link.sockets(1).expect("told");
        assert!(few.len() == 1 && beyond > 0);

        assert!(link.hears().is_some(), "this kernel tells of sockets that close");
        drop(client);
        server.read_to_end(&mut Vec::new()).expect("the end");
        drop(server);
        let mut closed = Vec::new();
        for _ in 0..200 {
            assert_eq!(link.closed(|socket| closed.push(socket)), Heard::All);
            if closed.iter().any(|one| one.local == address && one.remote == end) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("not heard of: {closed:?}");
    }
}
