//! Watches what this observer takes of the node, and says what is to be left out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use mop_wire::Exchange;

use super::{
    Class, ProtectionConfiguration, Switch,
    budget::{Budget, Decision, Step},
};
use crate::{
    capture::CaptureCounters,
    failure::Failure,
    observe::spawn,
    scope::Withheld,
    vitals::{Family, OwnProcess, Vitals},
};

/// What is to be left out at the moment: read by workers at every call.
#[derive(Debug)]
pub(crate) struct Guard {
    switch: Switch,
    /// Processors that may be used; `None`: as many as are needed.
    allowed: Option<f64>,
    is_switched_off: AtomicBool,
    /// Before the first session, while it is off and while it rests, nothing is attached.
    is_attached: AtomicBool,
    step: AtomicU8,
    /// Milliseconds to take everything off for; 0: nobody wants a rest.
    rest_ms: AtomicU64,
    rests: AtomicU64,
    /// Millionths of a processor, as of the last look.
    used: AtomicU64,
}

/// The thread that looks.
pub(crate) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Guard {
    /// A guard of a node with so many processors.
    pub(crate) fn new(configuration: &ProtectionConfiguration, processors: usize) -> Arc<Self> {
        let share = configuration.cpu_share;
        #[expect(clippy::cast_precision_loss, reason = "no machine has so many processors")]
        let allowed = (share > 0.0).then_some(share * processors as f64);
        Arc::new(Self {
            switch: Switch::at(&configuration.switch),
            allowed,
            is_switched_off: AtomicBool::new(false),
            is_attached: AtomicBool::new(false),
            step: AtomicU8::new(Step::Everything as u8),
            rest_ms: AtomicU64::new(0),
            rests: AtomicU64::new(0),
            used: AtomicU64::new(0),
        })
    }

    /// Nothing is attached for a while; the operator is told, and the reason returned.
    pub(crate) fn wait_reason(
        &self,
        is_switched_off: bool,
        rest: Option<Duration>,
    ) -> &'static str {
        self.is_switched_off.store(is_switched_off, Ordering::Relaxed);
        self.is_attached.store(false, Ordering::Relaxed);
        if is_switched_off {
            let path = self.switch.path().display();
            eprintln!("mop: nothing is observed while {path} is there");
            return "the switch is off";
        }
        let seconds = rest.unwrap_or_default().as_secs();
        eprintln!("mop: the CPU budget does not suffice; nothing is observed for {seconds} s");
        "the CPU budget does not suffice: everything is taken off for a while"
    }

    /// Something is attached.
    pub(crate) fn is_on(&self) {
        self.is_switched_off.store(false, Ordering::Relaxed);
        self.is_attached.store(true, Ordering::Relaxed);
    }

    /// Whether a call is looked at.
    ///
    /// # Errors
    ///
    /// When it is of a class that is left out now.
    pub(crate) fn admits(&self, exchange: &Exchange) -> Result<(), Withheld> {
        let step = self.step();
        if step == Step::Everything {
            return Ok(());
        }
        let class = Class::of(exchange);
        match class {
            _ if step.admits(class) => Ok(()),
            Class::OpenData => Err(Withheld::OverBudgetOpenData),
            Class::Other | Class::Regulated => Err(Withheld::OverBudgetOther),
        }
    }

    /// How long everything is to be taken off for, told once.
    pub(crate) fn take_rest(&self) -> Option<Duration> {
        match self.rest_ms.swap(0, Ordering::Relaxed) {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        }
    }

    /// Whether everything is to be taken off.
    pub(crate) fn wants_rest(&self) -> bool {
        self.rest_ms.load(Ordering::Relaxed) > 0
    }

    fn step(&self) -> Step {
        match self.step.load(Ordering::Relaxed) {
            0 => Step::Everything,
            1 => Step::WithoutOther,
            _ => Step::RegulatedOnly,
        }
    }

    /// Looks at what was used over a stretch of time.
    fn look(&self, budget: &mut Option<Budget>, used: f64, over: Duration) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "processors are few and positive"
        )]
        self.used.store((used.max(0.0) * 1e6) as u64, Ordering::Relaxed);
        let Some(budget) = budget else { return };
        // Taking everything off takes seconds, which are no further reason to do so.
        if self.wants_rest() || !self.is_attached.load(Ordering::Relaxed) {
            return;
        }
        match budget.take(used, over) {
            Decision::Stay => {}
            Decision::Go(step) => {
                self.step.store(step as u8, Ordering::Relaxed);
                eprintln!("mop: {used:.2} processors are used; {}", said(step));
            }
            Decision::Rest(rest) => {
                self.rests.fetch_add(1, Ordering::Relaxed);
                let milliseconds = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
                self.rest_ms.store(milliseconds, Ordering::Relaxed);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn families(&self, counters: &CaptureCounters) -> Vec<Family> {
        let step = self.step();
        let loads = counters.loads();
        let of_programs = loads
            .programs
            .iter()
            .map(|load| (load.program.clone(), loads.processors_of(load)))
            .collect::<Vec<_>>();
        let runs = loads
            .programs
            .iter()
            .map(|load| {
                (load.program.clone(), load.runs as f64 / loads.over.as_secs_f64().max(1e-3))
            })
            .collect::<Vec<_>>();
        vec![
            Family::gauge("mop_switched_off", "1 while the switch says that nothing is observed")
                .is(self.is_switched_off.load(Ordering::Relaxed)),
            Family::gauge("mop_cpu_budget_processors", "Processors that may be used; 0: no budget")
                .is(self.allowed.unwrap_or(0.0)),
            Family::gauge(
                "mop_cpu_used_processors",
                "Processors that this process and its kernel programs use",
            )
            .is(self.used.load(Ordering::Relaxed) as f64 / 1e6),
            Family::gauge(
                "mop_cpu_budget_step",
                "0: every call is looked at; 1: none of other interfaces; 2: none of open data either",
            )
            .is(step as u64),
            Family::counter("mop_cpu_budget_rests", "Times that everything was taken off")
                .is(self.rests.load(Ordering::Relaxed)),
            Family::gauge(
                "mop_kernel_program_processors",
                "Processors that a kernel program takes, measured one second in thirty",
            )
            .by("program", of_programs),
            Family::gauge(
                "mop_kernel_program_runs_per_second",
                "Runs of a kernel program a second, measured with the same",
            )
            .by("program", runs),
        ]
    }
}

impl Running {
    /// Starts to look, once a second.
    pub(crate) fn start(
        guard: &Arc<Guard>,
        counters: &Arc<CaptureCounters>,
        vitals: &Vitals,
    ) -> Result<Self, Failure> {
        let told = (Arc::clone(guard), Arc::clone(counters));
        vitals.add_families(move || told.0.families(&told.1));
        let (guard, counters) = (Arc::clone(guard), Arc::clone(counters));
        let (stop, stopped) = bounded::<()>(0);
        let process = OwnProcess::open();
        let thread = spawn("mop-guard", move || {
            let mut budget = guard.allowed.map(Budget::new);
            let mut before = (Instant::now(), process.cpu_seconds());
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
                let now = (Instant::now(), process.cpu_seconds());
                let over = now.0.saturating_duration_since(before.0);
                if let (Some(after), Some(before)) = (now.1, before.1) {
                    let own = (after - before) / over.as_secs_f64().max(1e-3);
                    guard.look(&mut budget, own + counters.loads().processors(), over);
                }
                before = now;
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic costs protection, and has been told.
        let _ = self.thread.join();
    }
}

fn said(step: Step) -> &'static str {
    match step {
        Step::Everything => "every call is looked at again",
        Step::WithoutOther => {
            "calls of interfaces that are not regulated are left out, and counted"
        }
        Step::RegulatedOnly => "calls of open data are left out as well, and counted",
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
