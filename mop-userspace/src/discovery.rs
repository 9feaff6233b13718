//! The discovery thread: finds TLS libraries as processes begin to use them.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use mop_probe::{Discovery, LibraryId, Observer};

use crate::{capture::CaptureCounters, connections::LibraryNames};

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
    loop {
        // Those who watch the losses of the kernel side cannot ask it themselves.
        if let Ok(kernel) = observer.cpu_counters() {
            counters.set_kernel(kernel);
        }
        let first = match finds.recv_timeout(COUNTERS_EVERY) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return observer,
        };
        // A process that starts maps many files; they are one look.
        let batch: BTreeSet<Find> = std::iter::once(first).chain(finds.try_iter()).collect();
        let mut looked_into = None;
        for find in batch {
            match find {
                Find::Nothing => return observer,
                Find::Executable(tgid) => learn(names, observer.discover_executable(tgid)),
                Find::Mapping { tgid, inode, device } => {
                    if looked_into != Some(tgid) {
                        learn(names, observer.discover_process(tgid));
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
}

/// Notes the names of new libraries, and says what could not be observed.
pub(crate) fn learn(names: &LibraryNames, discovery: Discovery) {
    let Discovery { attached, failed } = discovery;
    for library in attached {
        let LibraryId(id) = library.id;
        names.insert(id, &library.path);
    }
    for error in failed {
        eprintln!("mop: {error}; calls through it are not seen");
    }
}

/// More often than anybody scrapes; it costs one system call.
const COUNTERS_EVERY: Duration = Duration::from_secs(5);

/// Finds that wait. When more come, some are lost, and counted: the kernel reports a file once, so
/// its library is then found by the next process that maps another new file.
pub(crate) const FIND_QUEUE: usize = 8192;
