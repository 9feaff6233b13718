//! Which processes hold which sockets, from their descriptors.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

/// Holders of sockets.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// By the inode of the socket; the process with the lowest id first.
    by_inode: HashMap<u32, Vec<u32>>,
    /// Processes whose descriptors could not be read.
    pub(super) hidden: u32,
}

impl Owners {
    /// Looks through the descriptors of processes, which are in the order of their ids, for the
    /// wanted sockets.
    pub(super) fn find(tgids: &[u32], wanted: &HashSet<u32>) -> Self {
        let mut owners = Self::default();
        let mut left = MAX_DESCRIPTORS;
        for &tgid in tgids {
            if let Err(error) = owners.look_into(tgid, wanted, &mut left)
                && error.kind() == io::ErrorKind::PermissionDenied
            {
                owners.hidden = owners.hidden.saturating_add(1);
            }
            if left == 0 {
                owners.hidden = owners.hidden.saturating_add(1);
                break;
            }
        }
        owners
    }

    /// The processes that hold a socket.
    pub(super) fn of(&self, inode: u32) -> &[u32] {
        self.by_inode.get(&inode).map(Vec::as_slice).unwrap_or_default()
    }

    fn look_into(&mut self, tgid: u32, wanted: &HashSet<u32>, left: &mut usize) -> io::Result<()> {
        for entry in fs::read_dir(format!("/proc/{tgid}/fd"))? {
            *left = left.saturating_sub(1);
            if *left == 0 {
                break;
            }
            // The process may end, and close what it likes, meanwhile.
            let Ok(entry) = entry else { break };
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            let inode = link.to_str().and_then(inode);
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
                let holders = self.by_inode.entry(inode).or_default();
                if holders.len() < MAX_HOLDERS && holders.last() != Some(&tgid) {
                    holders.push(tgid);
                }
            }
        }
        Ok(())
    }
}

/// `socket:[12345]`
fn inode(link: &str) -> Option<u32> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A look at each costs about a microsecond.
const MAX_DESCRIPTORS: usize = 1 << 20;

/// Servers that fork share a socket with all of their processes.
const MAX_HOLDERS: usize = 64;

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn a_socket_of_this_process_is_found_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let again = listener.try_clone().expect("a clone");
        let own = std::process::id();
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd()));
        let inode = inode(link.expect("a link").to_str().expect("text")).expect("a socket");
        let owners = Owners::find(&[own], &HashSet::from([inode]));
        assert_eq!(owners.of(inode), [own]);
        assert!(Owners::find(&[own], &HashSet::new()).of(inode).is_empty());
        drop(again);
    }
}
