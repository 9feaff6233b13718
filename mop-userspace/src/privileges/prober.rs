//! The prober: attaches, finds libraries and tells the core of them, until either is told to end.
//!
//! One thread, and one place where it waits: for the core, for a signal, for the time to read
//! counters. Where the node's sockets are to be looked at, a second one does that, so that libraries
//! are found meanwhile. What the core asks is bounded in kind, size and rate; anything else ends the session.

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    os::{
        fd::AsFd as _,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    process::{Child, ExitCode},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use mop_common::Counters;
use mop_probe::{Discovery, LibraryId, Observer, sockets::Survey};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    channel::Channel,
    message::{Notice, Request, TRAFFIC_AT_ONCE},
    probing,
    split::SpawnedCore,
};
use crate::{
    cli::KernelArguments,
    coverage::SurveyThread,
    discovery::{self, FIND_QUEUE, Find},
    failure::Failure,
    protection::{Chores, Switch, Told},
};

/// Works for a core until it ends, and gives its exit code.
pub(super) fn run(arguments: &KernelArguments, core: SpawnedCore) -> Result<ExitCode, Failure> {
    let SpawnedCore { mut child, channel } = core;
    let unusable = |error: io::Error| Failure::runtime(format!("the prober cannot work: {error}"));
    channel.limit_sending(PATIENCE).map_err(unusable)?;
    let signals = Signals::listen().map_err(unusable)?;
    let mut prober = Prober {
        channel: Arc::new(channel),
        signals,
        core: child.id(),
        observer: None,
        surveys: None,
        is_told_to_stop: false,
        is_switched_off: false,
        allowance: Allowance::full(Instant::now()),
    };
    let worked = match prober.work(arguments) {
        // It closed its end while it was being told something.
        Err(error) if is_closed(&error) => Ok(()),
        other => other,
    };
    let Prober { channel, signals: _, observer, surveys, .. } = prober;
    // Whatever happened: first nothing is attached, then the core learns that it is alone.
    drop(observer);
    if let Some(surveys) = surveys {
        surveys.stop();
    }
    drop(channel);
    match worked {
        Ok(()) => end_of(child),
        Err(error) => {
            // It does not keep to what was agreed, so it is not waited for either.
            let _ = child.kill();
            let _ = child.wait();
            Err(Failure::runtime(format!("the core does not work with the prober: {error}")))
        }
    }
}

struct Prober {
    channel: Arc<Channel>,
    signals: Signals,
    /// Process id of the core.
    core: u32,
    /// `None` before it is attached and after it is detached.
    observer: Option<Observer>,
    /// `None` until the core asks for the first survey.
    surveys: Option<SurveyThread>,
    /// The operator asked for the end.
    is_told_to_stop: bool,
    /// The core was told of the switch, and not yet that it holds no more.
    is_switched_off: bool,
    allowance: Allowance,
}

/// What there is to do.
struct Woken {
    core: bool,
    stop: bool,
    hangup: bool,
}

impl Prober {
    /// Until the core has closed its end.
    fn work(&mut self, arguments: &KernelArguments) -> io::Result<()> {
        let mut chores = Chores::new(Instant::now());
        let switch = Switch::at(&arguments.switch);
        loop {
            let now = Instant::now();
            let wait = self.allowance.wait(now);
            let until = chores.due().saturating_duration_since(now).min(LOOK_AT_SWITCH_EVERY);
            let Woken { core, stop, hangup } =
                if wait.is_zero() { self.wait(true, until)? } else { self.wait(false, wait)? };
            if hangup {
                self.tell(&Notice::Hangup)?;
            }
            if stop {
                self.is_told_to_stop = true;
                if self.observer.is_none() {
                    // Of a core that waits for the switch, or has not begun.
                    self.tell(&Notice::Stopped(Counters::default()))?;
                }
                self.detach()?;
            }
            self.obey(&switch)?;
            for told in chores.run(Instant::now(), self.observer.as_ref()) {
                self.tell(&match told {
                    Told::Counters(counters) => Notice::Counters(counters),
                    Told::Loads(loads) => Notice::Loads(loads),
                })?;
            }
            if core && !self.serve(arguments, &switch)? {
                return Ok(());
            }
        }
    }

    /// Takes everything off while the switch says so, whatever the core does.
    fn obey(&mut self, switch: &Switch) -> io::Result<()> {
        let is_off = switch.is_off();
        if is_off && self.observer.is_some() {
            self.is_switched_off = true;
            self.tell(&Notice::SwitchedOff)?;
            return self.detach();
        }
        if !is_off && std::mem::take(&mut self.is_switched_off) {
            return self.tell(&Notice::SwitchedOn);
        }
        Ok(())
    }

    /// Does what the core asks for. False when it has closed its end.
    fn serve(&mut self, arguments: &KernelArguments, switch: &Switch) -> io::Result<bool> {
        let mut finds = BTreeSet::new();
        // A process that starts maps many files; they are one look.
        loop {
            let Some(bytes) = self.channel.receive()? else { return Ok(false) };
            match Request::decode(&bytes) {
                None => return Err(io::Error::other("it does not keep to the protocol")),
                Some(Request::Begin) if switch.is_off() => {
                    self.is_switched_off = true;
                    self.tell(&Notice::SwitchedOff)?;
                }
                Some(Request::Begin) => self.begin(arguments)?,
                Some(Request::Stop) => self.detach()?,
                Some(Request::Survey) => {
                    self.survey()?;
                    self.allowance.take();
                }
                Some(Request::Find(find)) => {
                    finds.insert(find);
                    self.allowance.take();
                }
            }
            if finds.len() >= MAX_BATCH || !self.channel.has_message()? {
                break;
            }
        }
        self.look_into(&finds)?;
        Ok(true)
    }

    /// Loads, attaches and looks around, once.
    fn begin(&mut self, arguments: &KernelArguments) -> io::Result<()> {
        if self.observer.is_some() {
            return Err(io::Error::other("it asks for a second beginning"));
        }
        match probing::attach(arguments, self.core) {
            Err(failure) => {
                let (code, reason) = failure.into_parts();
                return self.tell(&Notice::Refused { code, reason });
            }
            Ok((mut observer, sources)) => {
                let notice = Notice::Rings(sources.sizes()).encode();
                self.channel.send_with(&notice, sources.descriptors())?;
                drop(sources);
                let discovery = observer.discover_all();
                self.observer = Some(observer);
                self.learn(discovery)?;
                self.tell(&Notice::Started)?;
            }
        }
        if self.is_told_to_stop {
            self.detach()?;
        }
        Ok(())
    }

    /// Takes everything off and tells the last counters, once.
    fn detach(&mut self) -> io::Result<()> {
        let Some(mut observer) = self.observer.take() else { return Ok(()) };
        observer.detach();
        // No probe runs any more: these are final.
        let counters = observer.counters().unwrap_or_else(|error| {
            eprintln!("mop: the counters of the kernel side are not known: {error}");
            Counters::default()
        });
        self.tell(&Notice::Stopped(counters))
    }

    fn look_into(&mut self, finds: &BTreeSet<Find>) -> io::Result<()> {
        let Some(observer) = &mut self.observer else { return Ok(()) };
        let mut found = Vec::new();
        discovery::look_into(observer, finds, |discovery| found.push(discovery));
        found.into_iter().try_for_each(|discovery| self.learn(discovery))
    }

    /// Has the sockets of the node looked at, unless that is under way.
    fn survey(&mut self) -> io::Result<()> {
        if self.surveys.is_none() {
            let channel = Arc::clone(&self.channel);
            let own = vec![std::process::id(), self.core];
            let thread = SurveyThread::start(own, move |survey| tell_of(&channel, survey));
            self.surveys = Some(thread.map_err(|failure| io::Error::other(failure.to_string()))?);
        }
        if let Some(surveys) = &self.surveys {
            surveys.ask();
        }
        Ok(())
    }

    /// Tells the core of new libraries, and the operator of what could not be observed.
    fn learn(&self, discovery: Discovery) -> io::Result<()> {
        discovery::tell_failures(discovery).into_iter().try_for_each(|library| {
            let LibraryId(id) = library.id;
            self.tell(&Notice::Library { id, path: library.path })
        })
    }

    fn tell(&self, notice: &Notice) -> io::Result<()> {
        match self.channel.send(&notice.encode()) {
            // Its end is seen, and told, where the channel is read.
            Err(error) if is_closed(&error) => Ok(()),
            other => other,
        }
    }

    /// Waits at most so long; for the core only when it is to be heard.
    fn wait(&mut self, hears_core: bool, limit: Duration) -> io::Result<Woken> {
        let Self { channel, signals, .. } = self;
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let core = if hears_core { PollFlags::IN } else { PollFlags::empty() };
        let mut waits = [
            PollFd::from_borrowed_fd(channel.as_fd(), core),
            PollFd::from_borrowed_fd(signals.stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.hangup.as_fd(), PollFlags::IN),
        ];
        match poll(&mut waits, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [core, stop, hangup] = waits.map(|wait| !wait.revents().is_empty());
        Ok(Woken {
            core,
            stop: stop && took(&mut signals.stop),
            hangup: hangup && took(&mut signals.hangup),
        })
    }
}

/// Tells the core what a survey found. False when it listens no more.
fn tell_of(channel: &Channel, survey: Result<Survey, String>) -> bool {
    let tell = |notice: Notice| channel.send(&notice.encode()).is_ok();
    match survey {
        Err(reason) => tell(Notice::NotSurveyed(reason)),
        Ok(Survey { is_first, traffic, talkers, unseen }) => {
            traffic.chunks(TRAFFIC_AT_ONCE).all(|rows| tell(Notice::Traffic(rows.to_vec())))
                && talkers.into_iter().all(|one| tell(Notice::Talker(Box::new(one))))
                && tell(Notice::Surveyed { is_first, unseen })
        }
    }
}

/// The other end of the channel is closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Signals as something to wait for.
struct Signals {
    stop: UnixStream,
    hangup: UnixStream,
}

impl Signals {
    /// Listens from now on. A second request to stop ends the process at once.
    fn listen() -> io::Result<Self> {
        let (stop, stop_end) = UnixStream::pair()?;
        let (hangup, hangup_end) = UnixStream::pair()?;
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset and does nothing here.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
            signal_hook::low_level::pipe::register(signal, stop_end.try_clone()?)?;
        }
        signal_hook::low_level::pipe::register(SIGHUP, hangup_end)?;
        for end in [&stop, &hangup] {
            end.set_nonblocking(true)?;
        }
        Ok(Self { stop, hangup })
    }
}

/// Empties a pipe of signals. True when there was one.
fn took(pipe: &mut UnixStream) -> bool {
    let mut bytes = [0; 64];
    pipe.read(&mut bytes).is_ok_and(|length| length > 0)
}

/// How often the core may still ask: a bucket that fills by time.
#[derive(Debug)]
struct Allowance {
    /// `left <= ASKS_AT_ONCE`
    left: u32,
    filled_at: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self { left: ASKS_AT_ONCE, filled_at: now }
    }

    fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// How long until it may ask again: nothing when it may now.
    fn wait(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.filled_at);
        let more = since.as_millis() / u128::from(MILLISECONDS_PER_ASK);
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(more).min(ASKS_AT_ONCE);
            self.filled_at = now;
        }
        if self.left == 0 { REFILL } else { Duration::ZERO }
    }
}

/// How the core ended, as the exit code of the command.
fn end_of(mut core: Child) -> Result<ExitCode, Failure> {
    let status = core
        .wait()
        .map_err(|error| Failure::runtime(format!("the end of the core is not known: {error}")))?;
    match (status.code().map(u8::try_from), status.signal()) {
        (Some(Ok(code)), _) => Ok(ExitCode::from(code)),
        (_, Some(signal)) => Err(Failure::runtime(format!(
            "the core was ended by the signal {signal}; nothing is observed any more"
        ))),
        (_, None) => Err(Failure::runtime(format!("the core ended with {status}"))),
    }
}

/// A core that is stopped for a debugger's or a test's time goes on; one that takes nothing for so
/// long, while hundreds of messages wait, does not work any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// Soon enough for somebody in need, and one system call.
const LOOK_AT_SWITCH_EVERY: Duration = Duration::from_secs(1);

/// As many as the core itself lets wait.
const ASKS_AT_ONCE: u32 = FIND_QUEUE as u32;

/// A thousand a second: more processes than a node starts for long. Beyond it the core's own queue
/// fills, and what it drops there it counts.
const MILLISECONDS_PER_ASK: u32 = 1;

/// Ten of them.
const REFILL: Duration = Duration::from_millis(10);

/// Looks that are taken before signals and counters are seen to again.
const MAX_BATCH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_may_ask_at_a_bounded_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        for _ in 0..ASKS_AT_ONCE {
            assert_eq!(allowance.wait(start), Duration::ZERO);
            allowance.take();
        }
        assert_eq!(allowance.wait(start), REFILL);
        assert_eq!(allowance.wait(start + REFILL), Duration::ZERO);
        for _ in 0..10 {
            allowance.take();
        }
        assert_eq!(allowance.wait(start + REFILL), REFILL);
        // It never holds more than it began with.
        let later = start + Duration::from_secs(3600);
        assert_eq!(allowance.wait(later), Duration::ZERO);
        assert_eq!(allowance.left, ASKS_AT_ONCE);
    }
}
