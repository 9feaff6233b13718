//! A session: from the attaching of probes until they are taken off again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    batch::Batch,
    capture::{self, CaptureCounters, Destinations, QUEUE_BATCHES},
    connections::LibraryNames,
    coverage::Surveys,
    discovery::{self, FIND_QUEUE},
    failure::Failure,
    hellos::Hellos,
    observe::spawn,
    privileges::{Attachment, Probing, Running},
    worker::EMPTY_BATCHES,
};

/// The threads that every live command has: capture and discovery.
pub(crate) struct Session {
    /// One queue per worker, to be taken by the workers.
    pub(crate) batches: Vec<Receiver<Batch>>,
    /// Where workers put emptied batches.
    pub(crate) empties: Sender<Batch>,
    pub(crate) libraries: Arc<LibraryNames>,
    pub(crate) counters: Arc<CaptureCounters>,
    stop: Arc<AtomicBool>,
    finds: Sender<discovery::Find>,
    probing: Running,
    capture: JoinHandle<()>,
}

/// What came of starting one.
pub(crate) enum Start {
    Session(Box<Session>),
    /// Nothing is to be attached now.
    SwitchedOff(Probing),
}

/// What is known of the kernel side, whatever the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) libraries: Arc<LibraryNames>,
    pub(crate) counters: Arc<CaptureCounters>,
}

/// What is known when a session is over.
pub(crate) struct Stopped {
    /// The prober is gone without a last word: the kernel's counters are as old as its last ones.
    pub(crate) is_prober_lost: bool,
    /// The prober took everything off because of the switch.
    pub(crate) is_switched_off: bool,
    /// What can be attached again, in another session.
    pub(crate) probing: Probing,
}

impl Session {
    /// Loads, attaches and starts the threads. When it returns, everything is being observed. Hellos of
    /// TLS go where they are asked for, and otherwise to the workers.
    pub(crate) fn start(
        probing: Probing,
        workers: usize,
        hellos: Option<Arc<Hellos>>,
        known: &Known,
    ) -> Result<Start, Failure> {
        let Known { libraries, counters } = known.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let (queues, batches): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| bounded(QUEUE_BATCHES)).unzip();
        let (empties, emptied) = bounded(EMPTY_BATCHES);
        let (finds, to_find) = bounded(FIND_QUEUE);
        let (attached, rings) = match probing.attach()? {
            Attachment::Made(attached, rings) => (attached, rings),
            Attachment::SwitchedOff(probing) => return Ok(Start::SwitchedOff(probing)),
        };
        let destinations =
            Destinations { workers: queues, empties: emptied, finds: finds.clone(), hellos };
        let capture = {
            let (counters, stop) = (Arc::clone(&counters), Arc::clone(&stop));
            spawn("mop-capture", move || capture::run(rings, destinations, &counters, &stop))?
        };
        let probing = attached.look_around(to_find, &libraries, &counters)?;
        let session = Self { batches, empties, libraries, counters, stop, finds, probing, capture };
        Ok(Start::Session(Box::new(session)))
    }

    /// How the sockets of the node are looked at.
    pub(crate) fn surveys(&self) -> Surveys {
        self.probing.surveys()
    }

    /// True when observation has ended although nobody here asked for it.
    pub(crate) fn is_over(&self) -> bool {
        self.probing.is_over()
    }

    /// Detaches, reads what is left in the lanes and ends the threads.
    pub(crate) fn stop(self) -> Result<Stopped, Failure> {
        let Self { batches: _, empties: _, libraries: _, counters, stop, finds, probing, capture } =
            self;
        let is_switched_off = probing.is_switched_off();
        let _ = finds.send(discovery::Find::Nothing);
        drop(finds);
        let (last, probing) = probing.detached()?;
        // No probe runs any more: what the lanes hold is all there is.
        stop.store(true, Ordering::Release);
        capture.join().map_err(|_panic| Failure::runtime("the capture thread panicked"))?;
        counters.end_session(last);
        Ok(Stopped { is_prober_lost: last.is_none(), is_switched_off, probing })
    }
}
