//! The thread that has the node's sockets looked at, and tells what part of their bytes is decoded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use mop_probe::sockets::Survey;

use super::{
    CoverageConfiguration, Decoded, Surveys,
    account::{Window, account},
    families::CoverageVitals,
    record::CoverageRecord,
};
use crate::{
    connections::LibraryNames, failure::Failure, observe::spawn, output::Outlet,
    workloads::Directory,
};

/// The running thread.
pub(crate) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// What it works with.
struct Keeper {
    surveys: Surveys,
    decoded: Arc<Decoded>,
    libraries: Arc<LibraryNames>,
    /// `None`: no cluster is asked.
    directory: Option<Arc<Directory>>,
    vitals: Arc<CoverageVitals>,
    /// `None`: only the metrics tell.
    outlet: Option<Outlet>,
    /// Begins the identifiers of records.
    run: String,
    stop: Receiver<()>,
    /// Why nothing was known the last time: it is said once.
    complaint: Option<String>,
}

/// It is to stop.
struct Stopped;

impl Running {
    /// Starts it. The first survey is made at once and only takes note of what is there.
    pub(crate) fn start(
        configuration: &CoverageConfiguration,
        surveys: Surveys,
        (decoded, libraries, directory): (Arc<Decoded>, Arc<LibraryNames>, Option<Arc<Directory>>),
        outlet: Option<Outlet>,
        run: &str,
        vitals: &Arc<CoverageVitals>,
    ) -> Result<Self, Failure> {
        let (stop, stopped) = bounded(0);
        let interval = configuration.interval();
        let run = run.to_owned();
        let keeper = Keeper {
            surveys,
            decoded,
            libraries,
            directory,
            vitals: Arc::clone(vitals),
            outlet,
            run,
            stop: stopped,
            complaint: None,
        };
        let thread = spawn("mop-coverage", move || keeper.work(interval))?;
        Ok(Self { stop, thread })
    }

    /// Ends it. What moved since the last window is not told.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic costs coverage, and has been told.
        let _ = self.thread.join();
    }
}

impl Keeper {
    fn work(mut self, interval: Duration) {
        let mut from = Timestamp::now();
        let mut number = 0u64;
        // What is there at the start moved before it.
        let Ok(first) = self.survey() else { return self.surveys.stop() };
        self.complain(first.err());
        while self.pause(interval).is_ok() {
            let Ok(survey) = self.survey() else { break };
            self.decoded.mark();
            // What workers have not read yet would count as not decoded.
            if self.pause(GRACE).is_err() {
                break;
            }
            let to = Timestamp::now();
            number += 1;
            let window = match survey {
                Ok(survey) if survey.is_first => {
                    Err("it has only now become possible to list the sockets".to_owned())
                }
                Ok(survey) => self.account(survey),
                Err(reason) => Err(reason),
            };
            self.tell(number, (from, to), window);
            from = to;
        }
        self.surveys.stop();
    }

    /// A survey, or why there is none.
    fn survey(&mut self) -> Result<Result<Survey, String>, Stopped> {
        if let Err(reason) = self.surveys.ask() {
            return Ok(Err(reason));
        }
        crossbeam_channel::select! {
            recv(self.surveys.answers()) -> answer => {
                Ok(answer.unwrap_or_else(|_gone| Err("the prober is gone".to_owned())))
            }
            recv(self.stop) -> _ => Err(Stopped),
            default(PATIENCE) => Ok(Err(format!(
                "the sockets of this node were not listed within {} s", PATIENCE.as_secs()
            ))),
        }
    }

    fn account(&self, survey: Survey) -> Result<Window, String> {
        let snapshot = self.decoded.account();
        // A panic costs the window, not all that come after it.
        catch_unwind(AssertUnwindSafe(|| {
            account(survey, &snapshot, |path| self.libraries.contains(path))
        }))
        .map_err(|_panic| "an internal error; please report it".to_owned())
    }

    fn tell(&mut self, number: u64, times: (Timestamp, Timestamp), window: Result<Window, String>) {
        self.vitals.store(window.as_ref().ok());
        if let Some(outlet) = &mut self.outlet {
            let id = format!("{}/coverage/{number}", self.run);
            let told = window.as_ref().map_err(String::as_str);
            outlet.push(&CoverageRecord::new(id, times, told, self.directory.as_deref()));
            outlet.flush();
        }
        self.complain(window.err());
    }

    /// Says that nothing is known, once for each reason.
    fn complain(&mut self, reason: Option<String>) {
        if let Some(reason) = reason.as_ref().filter(|_| reason != self.complaint) {
            eprintln!("mop: coverage is unknown: {reason}");
        }
        self.complaint = reason;
    }

    fn pause(&self, time: Duration) -> Result<(), Stopped> {
        match self.stop.recv_timeout(time) {
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }
}

/// What the kernel has told is with a worker by then, unless that is far behind.
const GRACE: Duration = Duration::from_millis(500);

/// A look at a node with very many sockets takes a second or two.
const PATIENCE: Duration = Duration::from_secs(20);
