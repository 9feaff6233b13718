//! One end of the pair of sockets between prober and core.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    send, sendmsg, socketpair, sockopt,
};

use super::message::MAX_MESSAGE_BYTES;

/// A socket that keeps the bounds of messages.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
}

/// A message, and the descriptors that came along.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// A channel and its other end, to be handed to another process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (socket, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket }, other))
    }

    /// The channel that this process was given as its standard input, which is empty from now on.
    ///
    /// An error when the standard input is no such socket.
    pub(super) fn from_stdin() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let is_channel = sockopt::socket_domain(stdin)? == AddressFamily::UNIX
            && sockopt::socket_type(stdin)? == SocketType::SEQPACKET;
        if !is_channel {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a channel"));
        }
        let socket = stdin.try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self { socket })
    }

    /// Gives up, from now on, when the other end does not take a message for so long.
    pub(super) fn limit_sending(&self, limit: Duration) -> io::Result<()> {
        Ok(sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Send, Some(limit))?)
    }

    /// Sends a message.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(&self.socket, bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Sends a message together with descriptors.
    pub(super) fn send_with<const COUNT: usize>(
        &self,
        bytes: &[u8],
        descriptors: [BorrowedFd<'_>; COUNT],
    ) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("too many descriptors"));
        }
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for a message; `None` when the other end is closed. Descriptors that come along are
    /// closed by the kernel: whoever calls this wants none.
    pub(super) fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; MAX_MESSAGE_BYTES + 1];
        let (length, _) = loop {
            match recv(&self.socket, &mut bytes[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        whole(bytes, length)
    }

    /// Whether a message, or the end, is there to be received.
    pub(super) fn has_message(&self) -> io::Result<bool> {
        let mut wait = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut wait, Some(&Timespec::default())) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a message and descriptors; `None` when the other end is closed.
    pub(super) fn receive_with_descriptors(&self) -> io::Result<Option<Received>> {
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; MAX_MESSAGE_BYTES + 1];
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("descriptors were lost on the way"));
        }
        Ok(whole(bytes, received.bytes)?.map(|bytes| Received { bytes, descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn whole(mut bytes: Vec<u8>, length: usize) -> io::Result<Option<Vec<u8>>> {
    if length > MAX_MESSAGE_BYTES {
        return Err(io::Error::other("a message is too long"));
    }
    bytes.truncate(length);
    Ok((!bytes.is_empty()).then_some(bytes))
}

/// Room for the descriptors of the rings, and no more.
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(mop_probe::RingSources::DESCRIPTORS));

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = Channel::pair().expect("a pair");
        (one, Channel { socket: other })
    }

    #[test]
    fn messages_keep_their_bounds_and_the_end_is_seen() {
        let (one, other) = pair();
        for bytes in [&b"first"[..], b"second", &[7; MAX_MESSAGE_BYTES]] {
            one.send(bytes).expect("sent");
        }
        assert_eq!(other.receive().expect("received").as_deref(), Some(&b"first"[..]));
        assert_eq!(other.receive().expect("received").as_deref(), Some(&b"second"[..]));
        assert_eq!(
            other.receive().expect("received").map(|all| all.len()),
            Some(MAX_MESSAGE_BYTES)
        );
        drop(one);
        assert_eq!(other.receive().expect("the end"), None);
        assert!(other.send(b"to nobody").is_err());
    }

    #[test]
    fn a_message_that_is_too_long_is_an_error() {
        let (one, other) = pair();
        one.send(&[7; MAX_MESSAGE_BYTES + 1]).expect("sent");
        assert!(other.receive().is_err());
        one.send(&[7; MAX_MESSAGE_BYTES * 2]).expect("sent");
        assert!(other.receive_with_descriptors().is_err());
    }

    #[test]
    fn descriptors_come_along_only_where_they_are_wanted() {
        let (one, other) = pair();
        let file = tempfile::tempfile().expect("a file");
        let three = [file.as_fd(); 3];
        one.send_with(b"three", three).expect("sent");
        let received = other.receive_with_descriptors().expect("received").expect("open");
        assert_eq!((received.bytes.as_slice(), received.descriptors.len()), (&b"three"[..], 3));
        one.send_with(b"three", three).expect("sent");
        assert_eq!(other.receive().expect("received").as_deref(), Some(&b"three"[..]));
        assert!(one.send_with(b"too many", [file.as_fd(); 16]).is_err());
    }
}
