//! Surveys of the node's sockets: where they are made, and how they are asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use mop_probe::sockets::{Survey, Surveyor};

use crate::{failure::Failure, observe::spawn};

/// What came of asking: a survey, or why there is none.
pub(crate) type Answer = Result<Survey, String>;

/// Asks another process for a survey; says whether it could be asked.
pub(crate) type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

/// The thread that looks at sockets. It needs the rights of a prober.
pub(crate) struct SurveyThread {
    asks: Sender<()>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl SurveyThread {
    /// Starts it; processes of this program are left out. It ends by itself when an answer is not
    /// taken.
    pub(crate) fn start(
        own: Vec<u32>,
        deliver: impl FnMut(Answer) -> bool + Send + 'static,
    ) -> Result<Self, Failure> {
        let (asks, asked) = bounded(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn("mop-sockets", move || work(&own, &asked, &stopped, deliver))?;
        Ok(Self { asks, stop, thread })
    }

    /// Asks for a survey. Asking again before it is made changes nothing.
    pub(crate) fn ask(&self) {
        let _ = self.asks.try_send(());
    }

    /// Ends it, after a survey that is under way.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // A panic costs the surveys, and has been told.
        let _ = self.thread.join();
    }
}

fn work(
    own: &[u32],
    asked: &Receiver<()>,
    stop: &AtomicBool,
    mut deliver: impl FnMut(Answer) -> bool,
) {
    let mut surveyor = None;
    let mut made_at: Option<Instant> = None;
    while !stop.load(Ordering::Acquire) {
        let is_due = made_at.is_none_or(|at| at.elapsed() >= BETWEEN_SURVEYS);
        let is_asked = is_due
            && match (&surveyor, asked.try_recv()) {
                (_, Ok(())) => true,
                (_, Err(TryRecvError::Disconnected)) => return,
                (Some(_), Err(TryRecvError::Empty)) => false,
                // Without anything to listen to, it waits for the first question.
                (None, Err(TryRecvError::Empty)) => match asked.recv_timeout(STEP) {
                    Ok(()) => true,
                    Err(RecvTimeoutError::Timeout) => false,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
        if is_asked {
            let answer = survey(&mut surveyor, own);
            made_at = Some(Instant::now());
            if !deliver(answer) {
                return;
            }
        }
        match &mut surveyor {
            Some(surveyor) => surveyor.listen(STEP),
            None if !is_due => std::thread::sleep(STEP),
            None => {}
        }
    }
}

/// Makes a survey, with a new surveyor where there is none: the one before had failed.
fn survey(surveyor: &mut Option<Surveyor>, own: &[u32]) -> Answer {
    let told =
        |error: std::io::Error| format!("the sockets of this node cannot be listed: {error}");
    let mut ready = match surveyor.take() {
        Some(ready) => ready,
        None => Surveyor::open(own.to_vec()).map_err(told)?,
    };
    let survey = ready.survey().map_err(told)?;
    *surveyor = Some(ready);
    Ok(survey)
}

/// How surveys are asked for, and where they come in.
pub(crate) struct Surveys {
    way: Way,
    answers: Receiver<Answer>,
}

enum Way {
    /// This process has the rights. The thread begins with the first question.
    Here(Option<SurveyThread>, Sender<Answer>),
    /// Its prober has them.
    There(Ask),
}

impl Surveys {
    /// Made in this process.
    pub(crate) fn here() -> Self {
        let (told, answers) = bounded(1);
        Self { way: Way::Here(None, told), answers }
    }

    /// Made in another one.
    pub(crate) fn there(ask: Ask, answers: Receiver<Answer>) -> Self {
        Self { way: Way::There(ask), answers }
    }

    /// Asks for a survey.
    pub(super) fn ask(&mut self) -> Result<(), String> {
        // A late answer to an earlier question is none to this one.
        while self.answers.try_recv().is_ok() {}
        match &mut self.way {
            Way::There(ask) if ask() => Ok(()),
            Way::There(_) => Err("the prober cannot be reached".to_owned()),
            Way::Here(thread, told) => {
                if thread.is_none() {
                    let told = told.clone();
                    let own = vec![std::process::id()];
                    let started = SurveyThread::start(own, move |answer| {
                        // What nobody waits for any more is given up.
                        let _ = told.try_send(answer);
                        true
                    });
                    *thread = Some(started.map_err(|failure| failure.to_string())?);
                }
                if let Some(thread) = thread {
                    thread.ask();
                }
                Ok(())
            }
        }
    }

    /// Where the answer comes in.
    pub(super) fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }

    pub(super) fn stop(self) {
        if let Way::Here(Some(thread), _) = self.way {
            thread.stop();
        }
    }
}

/// How late it hears of questions and of its end.
const STEP: Duration = Duration::from_millis(100);

/// Whoever asks cannot have more of them.
const BETWEEN_SURVEYS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_is_made_here_when_it_is_asked_for() {
        let mut surveys = Surveys::here();
        surveys.ask().expect("started");
        let answer = surveys.answers().recv_timeout(Duration::from_secs(30)).expect("an answer");
        assert!(answer.expect("a survey").is_first);
        surveys.ask().expect("asked");
        let answer = surveys.answers().recv_timeout(Duration::from_secs(30)).expect("an answer");
        let own = std::process::id();
        assert!(answer.expect("a survey").talkers.iter().all(|talker| talker.tgid != own));
        surveys.stop();
    }

    #[test]
    fn a_prober_that_is_gone_is_told() {
        let (_told, answers) = bounded(1);
        let mut surveys = Surveys::there(Arc::new(|| false), answers);
        assert!(surveys.ask().is_err());
        surveys.stop();
    }
}
