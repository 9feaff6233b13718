//! A real RabbitMQ in a folder of its own.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{
    BrokerNode, BrokerPorts, Certificates, Process, bound, free_port, listening, run, until,
};

/// A running broker; it ends when this is dropped, also when the test panics.
#[derive(Debug)]
pub struct Broker {
    // The node before its port mapper: fields are dropped in this order.
    server: Option<Process>,
    _mapper: Process,
    node: BrokerNode,
    tls: bool,
}

/// What kind of broker is wanted.
#[derive(Debug)]
pub struct BrokerBuilder<'a> {
    folder: &'a Path,
    certificates: Option<&'a Certificates>,
    plugins: Vec<&'a str>,
    configuration: String,
}

impl Broker {
    /// Starts a plain broker in a folder and waits until it accepts connections.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::builder(folder).start()
    }

    /// Begins with a plain broker.
    #[must_use]
    pub fn builder(folder: &Path) -> BrokerBuilder<'_> {
        BrokerBuilder {
            folder,
            certificates: None,
            plugins: Vec::new(),
            configuration: String::new(),
        }
    }

    /// Makes it write down which quorum queues there are. It does so by itself every half second, and
    /// one that is younger when the broker is killed does not come back (RabbitMQ 3.10, Ra 2.2): a
    /// test that declares queues and is not about that calls this before it kills.
    pub fn settle(&self) -> Result<()> {
        self.ctl(&["eval", "[dets:sync(Table) || Table <- dets:all()], ok."]).map(drop)
    }

    /// Kills it without a word, as a crash does. The data stay; see [`Broker::settle`].
    pub fn kill9(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.signal(Signal::KILL);
        server.wait(STOP_LIMIT).map(drop)
    }

    /// Stops it in good order. The data stay.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.signal(Signal::TERM);
        server.wait(STOP_LIMIT).map(drop)
    }

    /// Starts it again with the same data, after stopping it if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.begin_restart()?;
        self.await_listening()
    }

    /// As [`Broker::restart`], without waiting until it accepts connections.
    pub fn begin_restart(&mut self) -> Result<()> {
        self.stop()?;
        self.server = Some(launch(&self.node)?);
        Ok(())
    }

    /// Waits until it accepts connections.
    pub fn await_listening(&mut self) -> Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port()));
        let node = &self.node;
        let Some(server) = &mut self.server else { bail!("the broker was not started") };
        until("an answer of the broker", START_LIMIT, || {
            !server.running() || std::net::TcpStream::connect(address).is_ok()
        })?;
        if !server.running() {
            bail!("the broker ended while it started; its log: {}", tail(&node.log()));
        }
        if self.tls {
            listening(SocketAddr::from(([127, 0, 0, 1], self.tls_port())))?;
        }
        Ok(())
    }

    /// Sends its process a signal: `STOP` makes it silent without closing anything, `CONT` ends that.
    pub fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    /// Runs `rabbitmqctl` on it, which takes about a second, and gives what it prints.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let output = run(&mut self.node.control(arguments)?, CONTROL_LIMIT)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Makes a user with a password and the three permissions, as regular expressions of names, on
    /// the virtual host `/`.
    pub fn add_user(&self, name: &str, password: &str, permissions: [&str; 3]) -> Result<()> {
        let [configure, write, read] = permissions;
        self.ctl(&["add_user", name, password])?;
        self.ctl(&["set_permissions", name, configure, write, read]).map(drop)
    }

    /// Imports a file of definitions.
    pub fn import(&self, definitions: &Path) -> Result<()> {
        let path = definitions.to_str().context("the path is no text")?;
        self.ctl(&["import_definitions", path]).map(drop)
    }

    /// AMQP on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.node.ports().amqp
    }

    /// AMQP over TLS on 127.0.0.1.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.node.ports().amqps
    }

    /// Process id of the node while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Process::pid)
    }

    /// The address for its administrator.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("guest", "guest")
    }

    /// The address for a user.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.port())
    }

    /// What it wrote into its log.
    #[must_use]
    pub fn logged(&self) -> String {
        fs::read_to_string(self.node.log()).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its data go with the folder: nothing is worth an orderly stop, which takes seconds.
        let _killed = self.kill9();
    }
}

impl<'a> BrokerBuilder<'a> {
    /// Also listens with TLS, and takes client certificates of the same authority: their common
    /// name is the user of the mechanism EXTERNAL.
    #[must_use]
    pub fn tls(mut self, certificates: &'a Certificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Enables a plugin.
    #[must_use]
    pub fn plugin(mut self, name: &'a str) -> Self {
        self.plugins.push(name);
        self
    }

    /// Adds lines to `rabbitmq.conf`.
    #[must_use]
    pub fn configuration(mut self, lines: &str) -> Self {
        self.configuration.push_str(lines);
        self.configuration.push('\n');
        self
    }

    /// Starts it and waits until it accepts connections.
    pub fn start(self) -> Result<Broker> {
        let Self { folder, certificates, plugins, configuration } = self;
        let ports = BrokerPorts {
            amqp: free_port(),
            amqps: free_port(),
            mapper: free_port(),
            distribution: free_port(),
        };
        let node = BrokerNode::new(&folder.join(format!("broker-{}", ports.amqp)), ports)?;
        node.configure(certificates, &plugins, &configuration)?;
        let mut mapper = bound("epmd");
        mapper.args(node.mapper_arguments()).stdin(Stdio::null());
        mapper.stderr(fs::File::create(node.folder().join("mapper.log"))?);
        let mapper = Process::start("epmd", &mut mapper)?;
        listening(SocketAddr::from(([127, 0, 0, 1], ports.mapper)))?;
        let server = Some(launch(&node)?);
        let mut broker = Broker { server, _mapper: mapper, node, tls: certificates.is_some() };
        broker.await_listening()?;
        Ok(broker)
    }
}

fn launch(node: &BrokerNode) -> Result<Process> {
    let mut command: Command = bound(BrokerNode::server_program()?);
    node.environment(&mut command);
    command.stdout(fs::File::create(node.folder().join("stdout.log"))?);
    command.stderr(fs::File::create(node.folder().join("stderr.log"))?);
    Process::start("rabbitmq-server", &mut command)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// It takes four seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// An orderly stop takes some seconds.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// A tool is an Erlang node of its own.
const CONTROL_LIMIT: Duration = Duration::from_secs(90);
