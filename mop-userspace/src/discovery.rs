//! Discovery: finds TLS libraries as processes begin to use them.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use mop_probe::{Discovery, LibraryId, Observer, TlsLibrary};

use crate::{
    capture::CaptureCounters,
    connections::LibraryNames,
    protection::{Chores, Told},
};

/// Something to look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Find {
    /// A process began to run this executable.
    Executable(u32),
    /// A process mapped a file as code that none had mapped before.
    Mapping {
        /// The process.
        tgid: u32,
        /// The file.
        inode: u64,
        /// The file.
        device: u64,
    },
    /// Nothing more: the session ends.
    Nothing,
}

/// Looks into what comes in until the session ends, and gives the observer back.
pub(crate) fn run(
    mut observer: Observer,
    finds: &Receiver<Find>,
    names: &Arc<LibraryNames>,
    counters: &CaptureCounters,
) -> Observer {
    let mut chores = Chores::new(Instant::now());
    loop {
        match finds.recv_deadline(chores.due()) {
            Ok(first) => {
                // A process that starts maps many files; they are one look.
                let batch: BTreeSet<Find> =
                    std::iter::once(first).chain(finds.try_iter()).collect();
                let is_last = batch.contains(&Find::Nothing);
                look_into(&mut observer, &batch, |discovery| learn(names, discovery));
                if is_last {
                    return observer;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return observer,
        }
        // Those who watch the losses of the kernel side cannot ask it themselves.
        for told in chores.run(Instant::now(), Some(&observer)) {
            match told {
                Told::Counters(now) => counters.set_kernel(now),
                Told::Loads(loads) => counters.set_loads(loads),
            }
        }
    }
}

/// Looks into a batch, each process once.
pub(crate) fn look_into(
    observer: &mut Observer,
    batch: &BTreeSet<Find>,
    mut learn: impl FnMut(Discovery),
) {
    let mut looked_into = None;
    for find in batch {
        match *find {
            Find::Nothing => {}
            Find::Executable(tgid) => learn(observer.discover_executable(tgid)),
            Find::Mapping { tgid, inode, device } => {
                if looked_into != Some(tgid) {
                    learn(observer.discover_process(tgid));
                    looked_into = Some(tgid);
                }
                if !Path::new("/proc").join(tgid.to_string()).exists() {
                    // It may have ended before it was looked into: ask to be told again.
                    observer.forget_code_file(inode, device);
                }
            }
        }
    }
}

/// Notes the names of new libraries, and says what could not be observed.
pub(crate) fn learn(names: &LibraryNames, discovery: Discovery) {
    for library in tell_failures(discovery) {
        let LibraryId(id) = library.id;
        names.insert(id, &library.path);
    }
}

/// Says what could not be observed, and gives the libraries that can.
pub(crate) fn tell_failures(discovery: Discovery) -> Vec<TlsLibrary> {
    let Discovery { attached, failed, without_certificates } = discovery;
    for error in failed {
        eprintln!("mop: {error}; calls through it are not seen");
    }
    for error in without_certificates {
        eprintln!("mop: {error}; who calls through it is known by forwarded certificates only");
    }
    attached
}

/// Finds that wait. When more come, some are lost, and counted: the kernel reports a file once, so
/// its library is then found by the next process that maps another new file.
pub(crate) const FIND_QUEUE: usize = 8192;
