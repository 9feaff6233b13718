//! How each fault is done, and undone.

use std::{fs, process::Stdio, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{Certificates, Direction, Process, Toxic, mop_command, until};
use rustix::process::Signal;

use crate::{
    agent::Agent,
    fault::Fault,
    inbox::{Consumer, QUEUES},
    journal,
    round::Round,
    stage::{Binding, PASSWORD, USER},
};

impl Round<'_> {
    /// Does one fault at a random moment. An agent runs before and after it.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<()> {
        self.go_on(30, 700);
        match fault {
            Fault::AgentFrozen => self.freeze_agent(),
            Fault::AgentKilled => self.kill_agent(),
            Fault::AgentTerminated => self.terminate_agent(),
            Fault::BitFlipped => self.damage(journal::flip_bit),
            Fault::BrokerKilled => self.kill_broker(),
            Fault::BrokerStopped => {
                self.stage.broker.stop()?;
                self.go_on(500, 2_500);
                self.stage.broker.restart()
            }
            Fault::CertificateRotated => self.rotate_certificate(),
            Fault::ClockJumped => self.set_clock(),
            Fault::ConnectionReset => {
                let after = self.random.ms(0, 50);
                self.disturb(Direction::Downstream, Toxic::ResetPeer { after }, 50, 400)
            }
            Fault::DatabaseRestarted => self.stage.database()?.restart(),
            Fault::DiskFull => self.fill_disk(),
            Fault::FolderReadOnly => self.refuse_writes(),
            Fault::HubKilled => {
                let hub = self.hub.as_mut().context("invariant: the scenario has a hub")?;
                hub.kill9_and_restart()
            }
            Fault::MemoryAlarm => self.raise_memory_alarm(),
            Fault::NetworkDown => {
                self.proxy.take_down();
                self.go_on(200, 1_500);
                self.proxy.heal();
                Ok(())
            }
            Fault::NetworkHalfOpen => {
                let direction = self.direction();
                self.disturb(direction, Toxic::Timeout { after: None }, 500, 3_000)?;
                // Half of what was said is gone: the connection is of no use any more, and as a
                // network does that comes back, the proxy says so when somebody speaks.
                self.disturb(direction, Toxic::ResetPeer { after: Duration::ZERO }, 20, 50)
            }
            Fault::NetworkLimited => {
                let bytes = 1_000 + self.random.below(200_000);
                let direction = self.direction();
                self.disturb(direction, Toxic::LimitData { bytes }, 300, 1_200)
            }
            Fault::NetworkSlow => {
                let toxic = match self.random.below(3) {
                    0 => Toxic::Latency { delay: self.random.ms(20, 300) },
                    1 => Toxic::Bandwidth { bytes_per_second: 60_000 },
                    _ => Toxic::Slicer { bytes: 700, delay: Duration::from_millis(1) },
                };
                let direction = self.direction();
                self.disturb(direction, toxic, 500, 2_000)
            }
            Fault::NetworkSlowClose => {
                let delay = self.random.ms(200, 1_000);
                self.proxy.add(Direction::Upstream, Toxic::SlowClose { delay });
                self.kill_agent()?;
                self.proxy.heal();
                Ok(())
            }
            Fault::PasswordChanged => self.change_password(),
            Fault::QueueDeleted => self.delete_queue(),
            Fault::QueueFull => self.fill_queue(),
            Fault::SecondAgent => self.start_second_agent(),
            Fault::TailCut => self.damage(journal::cut_tail),
            Fault::Unroutable => self.unbind_queue(),
        }
    }

    fn kill_broker(&mut self) -> Result<()> {
        if self.consumer.is_some() {
            // What has arrived went through queues that are there.
            until("a first arrival", SETTLE_LIMIT, || !self.inbox.lock().arrivals.is_empty())?;
            self.stage.settle_queues()?;
        }
        self.stage.broker.kill9()?;
        self.stage.broker.restart()
    }

    fn kill_agent(&mut self) -> Result<()> {
        self.take_agent()?.kill9()?;
        if self.random.once_in(3) {
            self.go_on(0, 300);
        }
        self.start_agent()
    }

    fn terminate_agent(&mut self) -> Result<()> {
        self.take_agent()?.terminate()?;
        self.start_agent()
    }

    fn freeze_agent(&mut self) -> Result<()> {
        self.agent()?.signal(Signal::STOP);
        self.go_on(100, 2_000);
        self.agent()?.signal(Signal::CONT);
        Ok(())
    }

    /// The first one keeps the folder; the second one says why it cannot have it.
    fn start_second_agent(&mut self) -> Result<()> {
        let mut command = mop_command();
        command.args(["forward", "--config"]).arg(&self.setup.configuration);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut second = Process::start("a second mop forward", &mut command)?;
        let status = second.wait(Duration::from_secs(20))?;
        let mut said = String::new();
        std::io::Read::read_to_string(&mut second.stderr().context("no stderr")?, &mut said)?;
        ensure!(
            status.code() == Some(EXIT_CONFIGURATION) && said.contains("another process"),
            "a second agent on one folder ended with {status} and said: {said}"
        );
        Ok(())
    }

    fn raise_memory_alarm(&mut self) -> Result<()> {
        self.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.0001"])?;
        self.go_on(300, 1_500);
        self.stage.broker.ctl(&["set_vm_memory_high_watermark", "0.6"]).map(drop)
    }

    /// An empty queue is deleted: what is in one goes with it, and nobody could save that.
    fn delete_queue(&mut self) -> Result<()> {
        self.settle(SETTLE_LIMIT)?;
        let queue = QUEUES[self.random.below(3)];
        self.stage.delete_queue(queue)?;
        self.refusals += 1;
        self.agent()?.pause(false);
        self.go_on(500, 1_000);
        Ok(())
    }

    /// The broker refuses what is more than a few records, as nobody takes them away.
    fn fill_queue(&mut self) -> Result<()> {
        self.consumer = None;
        let definition = r#"{"max-length":50,"overflow":"reject-publish"}"#;
        let broker = &self.stage.broker;
        broker.ctl(&["set_policy", "full", "^mop\\.", definition, "--priority", "9"])?;
        self.refusals += 1;
        self.go_on(500, 1_500);
        self.stage.broker.ctl(&["clear_policy", "full"])?;
        let url = self.stage.broker.url();
        self.consumer = Some(Consumer::start(&url, &self.series, &self.inbox)?);
        Ok(())
    }

    /// A queue is no longer bound: what is published for it goes where the broker puts the unrouted.
    fn unbind_queue(&mut self) -> Result<()> {
        let binding = BINDINGS[self.random.below(BINDINGS.len())];
        self.stage.bind(binding, false)?;
        self.refusals += 1;
        self.go_on(300, 1_000);
        self.stage.bind(binding, true)
    }

    fn change_password(&mut self) -> Result<()> {
        let broker = &self.stage.broker;
        broker.ctl(&["change_password", USER, "another-password"])?;
        broker.ctl(&["close_all_user_connections", USER, "changed"])?;
        self.go_on(300, 1_000);
        self.stage.broker.ctl(&["change_password", USER, PASSWORD]).map(drop)
    }

    /// The authority is made anew, with the broker's certificate; both lie where the old ones lay.
    fn rotate_certificate(&mut self) -> Result<()> {
        self.stage.certificates = Certificates::create(self.stage.folder())?;
        let broker = &self.stage.broker;
        broker.ctl(&["eval", "ssl:clear_pem_cache()."])?;
        broker.ctl(&["close_all_user_connections", USER, "renewed"]).map(drop)
    }

    /// The clock of the agent's machine jumps, by up to an hour and a bit, forwards or backwards.
    fn set_clock(&mut self) -> Result<()> {
        let clock = self.setup.clock.as_ref().context("invariant: the scenario has a clock")?;
        let seconds = self.random.below(4_000);
        let sign = if self.random.once_in(2) { '+' } else { '-' };
        // Replaced as a whole: the agent reads it at any moment.
        let new = clock.with_extension("new");
        fs::write(&new, format!("{sign}{seconds}"))?;
        fs::rename(&new, clock)?;
        // The agent looks at it once a second.
        self.go_on(800, 1_600);
        Ok(())
    }

    fn fill_disk(&mut self) -> Result<()> {
        self.disk.as_ref().context(NO_DISK)?.fill(true)?;
        self.go_on(500, 1_500);
        // Some stay full while an agent is killed and started.
        if self.random.once_in(2) {
            self.kill_agent()?;
            self.go_on(200, 600);
        }
        self.disk.as_ref().context(NO_DISK)?.fill(false)
    }

    fn refuse_writes(&mut self) -> Result<()> {
        self.take_agent()?.terminate()?;
        self.disk.as_ref().context(NO_DISK)?.set_read_only(true)?;
        self.start_agent()?;
        self.go_on(500, 1_200);
        self.check_alive()?;
        self.disk.as_ref().context(NO_DISK)?.set_read_only(false)
    }

    /// Changes bytes of the outbox while no agent runs, when it holds nothing that was delivered: so
    /// the agent must miss exactly what the other end misses.
    fn damage(
        &mut self,
        change: impl FnOnce(&std::path::Path, &mut crate::random::Random) -> Result<()>,
    ) -> Result<()> {
        self.settle(SETTLE_LIMIT)?;
        self.take_agent()?.terminate()?;
        self.proxy.take_down();
        let agent = Agent::start(&self.setup, &self.promises)?;
        thread::sleep(self.random.ms(300, 1_000));
        agent.terminate()?;
        change(&self.outbox(), &mut self.random)?;
        self.proxy.heal();
        self.start_agent()
    }

    fn disturb(
        &mut self,
        direction: Direction,
        toxic: Toxic,
        from_ms: u64,
        to_ms: u64,
    ) -> Result<()> {
        self.proxy.add(direction, toxic);
        self.go_on(from_ms, to_ms);
        self.proxy.heal();
        Ok(())
    }

    fn direction(&mut self) -> Direction {
        if self.random.once_in(2) { Direction::Downstream } else { Direction::Upstream }
    }
}

const BINDINGS: [Binding; 3] = [
    Binding { queue: "mop.quality", routing_key: "mop.quality.#" },
    Binding { queue: "mop.data", routing_key: "mop.data.#" },
    Binding { queue: "mop.security", routing_key: "mop.security.#" },
];

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIGURATION: i32 = 78;
/// What waits may have to wait for a connection that backs off.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const NO_DISK: &str = "invariant: the scenario has a disk";
