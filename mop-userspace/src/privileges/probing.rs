//! Where the probing is done: in this process, or in the prober of which it is the core.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use mop_common::Counters;
use mop_probe::{LoadOptions, Observer, RingSources, Rings, environment};

use super::{
    channel::{Channel, Received},
    message::{Notice, Request},
};
use crate::{
    capture::CaptureCounters,
    cli::{KernelArguments, ProbeSites},
    connections::LibraryNames,
    coverage::{Answer, Ask, Gathering, Surveys},
    discovery::{self, Find},
    failure::Failure,
    observe::spawn,
    protection::Switch,
};

/// What is not attached yet.
pub(crate) enum Probing {
    /// This process has the rights.
    Here(Here),
    /// The prober has them.
    There(There),
}

/// Probing in this process.
#[derive(Clone)]
pub(crate) struct Here {
    options: LoadOptions,
    switch: Switch,
}

/// Probing in the prober.
#[derive(Clone)]
pub(crate) struct There {
    channel: Arc<Channel>,
}

/// What came of attaching.
pub(crate) enum Attachment {
    Made(Attached, Rings),
    /// The switch says that nothing is to be attached.
    SwitchedOff(Probing),
}

/// What can be done while nothing is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    Attach,
    /// The switch is off.
    Wait,
    /// Nothing any more: the prober was told to end, or is gone.
    Over,
}

/// What is attached to the node, and has not looked around yet.
pub(crate) enum Attached {
    Here(Here, Box<Observer>),
    There(There),
}

/// What finds libraries as processes begin to use them.
pub(crate) enum Running {
    Here {
        here: Here,
        finder: JoinHandle<Observer>,
    },
    There {
        there: There,
        /// Passes on what is to be looked into.
        asker: JoinHandle<()>,
        /// Hears what the prober tells, to its last word: the final counters.
        listener: JoinHandle<Option<Counters>>,
        is_over: Arc<AtomicBool>,
        is_switched_off: Arc<AtomicBool>,
        /// Asks for a survey.
        ask: Ask,
        /// Where surveys come in.
        surveys: Receiver<Answer>,
    },
}

impl Probing {
    pub(crate) fn here(arguments: &KernelArguments) -> Self {
        Self::Here(Here {
            options: load_options(arguments, std::process::id()),
            switch: Switch::at(&arguments.switch),
        })
    }

    pub(super) fn there(channel: Channel) -> Self {
        Self::There(There { channel: Arc::new(channel) })
    }

    /// Loads the kernel programs and attaches them to sockets and to the life of processes; not while the
    /// switch says that nothing is to be attached.
    pub(crate) fn attach(self) -> Result<Attachment, Failure> {
        match self {
            Self::Here(here) => {
                if here.switch.is_off() {
                    return Ok(Attachment::SwitchedOff(Self::Here(here)));
                }
                let (observer, sources) = load_and_attach(here.options.clone())?;
                Ok(Attachment::Made(Attached::Here(here, Box::new(observer)), sources.open()?))
            }
            Self::There(there) => {
                there.channel.send(&Request::Begin.encode()).map_err(gone)?;
                match there.receive_rings()? {
                    Some(sources) => Ok(Attachment::Made(Attached::There(there), sources.open()?)),
                    None => Ok(Attachment::SwitchedOff(Self::There(there))),
                }
            }
        }
    }

    /// Whether something could be attached again. Asked while nothing is attached, and nobody listens to
    /// the prober.
    pub(crate) fn outlook(&self, was_switched_off: bool) -> Outlook {
        let channel = match self {
            Self::Here(here) if here.switch.is_off() => return Outlook::Wait,
            Self::Here(_) => return Outlook::Attach,
            Self::There(There { channel }) => channel,
        };
        while let Ok(has_message) = channel.has_message() {
            if !has_message {
                return if was_switched_off { Outlook::Wait } else { Outlook::Attach };
            }
            match next(channel) {
                Ok(Some(Notice::Hangup)) => hang_up(),
                Ok(Some(Notice::SwitchedOn)) => return Outlook::Attach,
                // What was on its way when the probes were taken off.
                Ok(Some(
                    Notice::Counters(_)
                    | Notice::Library { .. }
                    | Notice::Loads(_)
                    | Notice::NotSurveyed(_)
                    | Notice::Surveyed { .. }
                    | Notice::SwitchedOff
                    | Notice::Talker(_)
                    | Notice::Traffic(_),
                )) => {}
                Ok(Some(_) | None) | Err(_) => return Outlook::Over,
            }
        }
        Outlook::Over
    }
}

impl Attached {
    /// Attaches to every TLS library that is there, and goes on finding them.
    pub(crate) fn look_around(
        self,
        finds: Receiver<Find>,
        names: &Arc<LibraryNames>,
        counters: &Arc<CaptureCounters>,
    ) -> Result<Running, Failure> {
        let (names, counters) = (Arc::clone(names), Arc::clone(counters));
        match self {
            Self::Here(here, mut observer) => {
                discovery::learn(&names, observer.discover_all());
                let finder = spawn("mop-discovery", move || {
                    discovery::run(*observer, &finds, &names, &counters)
                })?;
                Ok(Running::Here { here, finder })
            }
            Self::There(There { channel }) => {
                while let Some(notice) = next(&channel).map_err(gone)? {
                    match notice {
                        Notice::Started => {
                            return Running::there(channel, finds, names, counters);
                        }
                        Notice::Library { id, path } => names.insert(id, &path),
                        Notice::Hangup => hang_up(),
                        Notice::Refused { code, reason } => {
                            return Err(Failure::from_parts(code, reason));
                        }
                        Notice::Counters(_)
                        | Notice::Loads(_)
                        | Notice::NotSurveyed(_)
                        | Notice::Rings(_)
                        | Notice::Stopped(_)
                        | Notice::SwitchedOff
                        | Notice::SwitchedOn
                        | Notice::Surveyed { .. }
                        | Notice::Talker(_)
                        | Notice::Traffic(_) => {
                            return Err(gone(disorder()));
                        }
                    }
                }
                Err(gone(io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }
}

impl Running {
    fn there(
        channel: Arc<Channel>,
        finds: Receiver<Find>,
        names: Arc<LibraryNames>,
        counters: Arc<CaptureCounters>,
    ) -> Result<Self, Failure> {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_switched_off = Arc::new(AtomicBool::new(false));
        let asker = {
            let channel = Arc::clone(&channel);
            spawn("mop-asker", move || ask(&channel, &finds))?
        };
        // One that nobody has taken when the next one comes was given up.
        let (told, surveys) = bounded(1);
        let listener = {
            let (channel, is_over) = (Arc::clone(&channel), Arc::clone(&is_over));
            let is_switched_off = Arc::clone(&is_switched_off);
            spawn("mop-listener", move || {
                let last = listen(&channel, &names, &counters, &told, &is_switched_off);
                is_over.store(true, Ordering::Release);
                last
            })?
        };
        let there = There { channel: Arc::clone(&channel) };
        let ask = Arc::new(move || channel.send(&Request::Survey.encode()).is_ok());
        Ok(Self::There { there, asker, listener, is_over, is_switched_off, ask, surveys })
    }

    /// How the sockets of the node are looked at.
    pub(crate) fn surveys(&self) -> Surveys {
        match self {
            Self::Here { .. } => Surveys::here(),
            Self::There { ask, surveys, .. } => Surveys::there(Arc::clone(ask), surveys.clone()),
        }
    }

    /// True when nothing is attached any more although nobody here asked for that.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Here { here, .. } => here.switch.is_off(),
            Self::There { is_over, .. } => is_over.load(Ordering::Acquire),
        }
    }

    /// True when everything was taken off because of the switch.
    pub(crate) fn is_switched_off(&self) -> bool {
        match self {
            Self::Here { here, .. } => here.switch.is_off(),
            Self::There { is_switched_off, .. } => is_switched_off.load(Ordering::Acquire),
        }
    }

    /// Waits until everything is detached, which [`Find::Nothing`] has asked for. Gives the final
    /// counters, or nothing when the prober is gone without them; and what can be attached again.
    pub(crate) fn detached(self) -> Result<(Option<Counters>, Probing), Failure> {
        let panicked = |name: &str| Failure::runtime(format!("the {name} thread panicked"));
        match self {
            Self::Here { here, finder } => {
                let mut observer = finder.join().map_err(|_panic| panicked("discovery"))?;
                observer.detach();
                // No probe runs any more: the counters are final.
                Ok((Some(observer.counters()?), Probing::Here(here)))
            }
            Self::There { there, asker, listener, .. } => {
                asker.join().map_err(|_panic| panicked("asker"))?;
                let last = listener.join().map_err(|_panic| panicked("listener"))?;
                Ok((last, Probing::There(there)))
            }
        }
    }
}

impl There {
    /// `None`: the switch is off.
    fn receive_rings(&self) -> Result<Option<RingSources>, Failure> {
        loop {
            let Some(Received { bytes, descriptors }) =
                self.channel.receive_with_descriptors().map_err(gone)?
            else {
                return Err(gone(io::ErrorKind::UnexpectedEof.into()));
            };
            match Notice::decode(&bytes) {
                Some(Notice::Rings(sizes)) => {
                    return descriptors
                        .try_into()
                        .ok()
                        .and_then(|descriptors| RingSources::new(descriptors, sizes))
                        .map(Some)
                        .ok_or_else(|| gone(disorder()));
                }
                Some(Notice::SwitchedOff) => return Ok(None),
                Some(Notice::Hangup) => hang_up(),
                Some(Notice::Refused { code, reason }) => {
                    return Err(Failure::from_parts(code, reason));
                }
                _ => return Err(gone(disorder())),
            }
        }
    }
}

/// Loads and attaches for whoever reads the rings.
pub(super) fn attach(
    arguments: &KernelArguments,
    reader: u32,
) -> Result<(Observer, RingSources), Failure> {
    load_and_attach(load_options(arguments, reader))
}

fn load_and_attach(options: LoadOptions) -> Result<(Observer, RingSources), Failure> {
    environment::ensure_tracefs().map_err(|error| {
        Failure::runtime(format!("tracefs is not mounted and cannot be: {error}"))
    })?;
    let (mut observer, sources) = Observer::load(options)?;
    eprintln!("Probes: {}.", observer.attach_plan());
    // Attach to the life of processes before looking at those that live: none is missed.
    observer.attach_node()?;
    Ok((observer, sources))
}

fn load_options(arguments: &KernelArguments, reader: u32) -> LoadOptions {
    LoadOptions {
        ring_bytes: arguments.ring_mib << 20,
        sites: match arguments.probe_sites {
            ProbeSites::Auto => mop_probe::ProbeSites::Auto,
            ProbeSites::Entry => mop_probe::ProbeSites::Entry,
        },
        attach: arguments.attach.into(),
        probes_only: arguments.probes_only,
        certificates: arguments.certificates,
        never_attach: arguments.never_attach.clone(),
        reader,
        ..LoadOptions::default()
    }
}

/// Passes on what is to be looked into, and at last that nothing is.
fn ask(channel: &Channel, finds: &Receiver<Find>) {
    while let Ok(first) = finds.recv() {
        let batch: BTreeSet<Find> = std::iter::once(first).chain(finds.try_iter()).collect();
        // In this order: the end is the last of the kinds.
        for find in batch {
            if channel.send(&Request::Find(find).encode()).is_err() || find == Find::Nothing {
                // A prober that is gone is seen by whoever listens.
                return;
            }
        }
    }
}

/// Hears the prober until it has detached, or is gone.
fn listen(
    channel: &Channel,
    names: &LibraryNames,
    counters: &CaptureCounters,
    surveys: &Sender<Answer>,
    is_switched_off: &AtomicBool,
) -> Option<Counters> {
    let mut gathering = Gathering::default();
    loop {
        match next(channel) {
            Ok(Some(Notice::Library { id, path })) => names.insert(id, &path),
            Ok(Some(Notice::Counters(now))) => counters.set_kernel(now),
            Ok(Some(Notice::Loads(loads))) => counters.set_loads(loads),
            Ok(Some(Notice::Stopped(last))) => return Some(last),
            Ok(Some(Notice::SwitchedOff)) => is_switched_off.store(true, Ordering::Release),
            Ok(Some(Notice::Hangup)) => hang_up(),
            Ok(Some(Notice::Traffic(rows))) => gathering.add_traffic(rows),
            Ok(Some(Notice::Talker(talker))) => gathering.add_talker(*talker),
            Ok(Some(Notice::Surveyed { is_first, unseen })) => {
                let survey = std::mem::take(&mut gathering).finish(is_first, unseen);
                let _ = surveys.try_send(Ok(survey));
            }
            Ok(Some(Notice::NotSurveyed(reason))) => {
                let _ = surveys.try_send(Err(reason));
            }
            // A switch that is turned on again is heard by whoever waits for that.
            Ok(
                Some(
                    Notice::Rings(_)
                    | Notice::Started
                    | Notice::Refused { .. }
                    | Notice::SwitchedOn,
                )
                | None,
            )
            | Err(_) => return None,
        }
    }
}

fn next(channel: &Channel) -> io::Result<Option<Notice>> {
    match channel.receive()? {
        None => Ok(None),
        Some(bytes) => Notice::decode(&bytes).map(Some).ok_or_else(disorder),
    }
}

/// As if the operator had sent the signal to this process.
fn hang_up() {
    // Without anybody who listens for it, it ends the process, here as there.
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGHUP);
}

fn disorder() -> io::Error {
    io::Error::other("it does not keep to the protocol")
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn gone(error: io::Error) -> Failure {
    Failure::runtime(format!("the prober cannot be reached: {error}"))
}
