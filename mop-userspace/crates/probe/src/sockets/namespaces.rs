//! Network namespaces: which there are, and a way into them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::link::Link;

/// The network namespace of a process, by the number of its file.
///
/// # Errors
///
/// When the process is gone or hides.
pub(super) fn of(tgid: u32) -> io::Result<u64> {
    number(&fs::read_link(format!("/proc/{tgid}/ns/net"))?.to_string_lossy())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The network namespace of this thread.
pub(super) fn own() -> io::Result<u64> {
    number(&fs::read_link("/proc/thread-self/ns/net")?.to_string_lossy())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The namespaces of processes, and one process of each.
pub(super) fn all(tgids: &[u32]) -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    for &tgid in tgids {
        if let Ok(namespace) = of(tgid) {
            found.entry(namespace).or_insert(tgid);
        }
    }
    found
}

/// Opens a link in the namespace of a process, from a thread that ends with it: this one stays where
/// it is.
pub(super) fn enter(namespace: u64, witness: u32) -> io::Result<Link> {
    let file = File::open(format!("/proc/{witness}/ns/net"))?;
    if file.metadata()?.ino() != namespace {
        // The process is another one by now.
        return Err(io::ErrorKind::NotFound.into());
    }
    std::thread::Builder::new()
        .name("mop-namespace".to_owned())
        .spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Link::open()
        })?
        .join()
        .map_err(|_panic| io::Error::other("the thread in the namespace panicked"))?
}

/// `net:[4026531840]`
fn number(link: &str) -> Option<u64> {
    link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let tgid = std::process::id();
        let own = own().expect("known");
        assert_eq!(of(tgid).expect("known"), own);
        assert_eq!(all(&[tgid, u32::MAX]), BTreeMap::from([(own, tgid)]));
        assert_eq!(number("net:[]"), None);
        assert_eq!(number("mnt:[7]"), None);
    }
}
