//! How one RabbitMQ node is laid out: its folder, its ports and the commands that start it.
//!
//! Nothing of it touches the machine's own RabbitMQ. The node has its own data, log, cookie, plugin
//! list and port mapper, all on loopback, and runs as whoever starts it. The distribution's wrapper
//! scripts, which change to another user and to a fixed folder, are passed by.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::Certificates;

/// A node that can be started.
#[derive(Clone, Debug)]
pub struct BrokerNode {
    folder: PathBuf,
    ports: BrokerPorts,
}

/// Where a node listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct BrokerPorts {
    /// AMQP.
    pub amqp: u16,
    /// AMQP over TLS, when it has certificates.
    pub amqps: u16,
    /// Its port mapper.
    pub mapper: u16,
    /// Between nodes and tools.
    pub distribution: u16,
}

impl BrokerNode {
    /// A node in a folder, which is made when it is missing.
    pub fn new(folder: &Path, ports: BrokerPorts) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.canonicalize()?, ports })
    }

    /// Writes its configuration; `extra` are further lines of `rabbitmq.conf`.
    pub fn configure(
        &self,
        certificates: Option<&Certificates>,
        plugins: &[&str],
        extra: &str,
    ) -> Result<()> {
        let BrokerPorts { amqp, amqps, mapper: _, distribution: _ } = self.ports;
        // The permission to connect is what tests are about, not where from.
        let mut lines = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             loopback_users = none\n\
             log.console = false\n\
             log.file.level = info\n"
        );
        if let Some(certificates) = certificates {
            write!(
                lines,
                "listeners.ssl.1 = 127.0.0.1:{amqps}\n\
                 ssl_options.cacertfile = {}\n\
                 ssl_options.certfile = {}\n\
                 ssl_options.keyfile = {}\n\
                 ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = false\n\
                 ssl_cert_login_from = common_name\n\
                 auth_mechanisms.1 = PLAIN\n\
                 auth_mechanisms.2 = EXTERNAL\n",
                certificates.authority().display(),
                certificates.server().display(),
                certificates.key().display(),
            )?;
        }
        lines.push_str(extra);
        fs::write(self.folder.join("rabbitmq.conf"), lines)?;
        let mut enabled = plugins.to_vec();
        if certificates.is_some() {
            enabled.push("rabbitmq_auth_mechanism_ssl");
        }
        fs::write(self.folder.join("enabled_plugins"), format!("[{}].\n", enabled.join(",")))?;
        self.write_cookie()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it listens.
    #[must_use]
    pub fn ports(&self) -> BrokerPorts {
        self.ports
    }

    /// The file that it logs into.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log").join(format!("{}.log", self.name()))
    }

    /// The arguments of the port mapper, which must run before the node starts and as long as it.
    #[must_use]
    pub fn mapper_arguments(&self) -> Vec<String> {
        ["-port", &self.ports.mapper.to_string(), "-address", "127.0.0.1"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The program that becomes the node, in the same process.
    pub fn server_program() -> Result<PathBuf> {
        program("rabbitmq-server")
    }

    /// Sets what the node and its tools go by.
    pub fn environment(&self, command: &mut Command) {
        let BrokerPorts { amqp, amqps: _, mapper, distribution } = self.ports;
        let folder = |name: &str| self.folder.join(name);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RABBITMQ_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            // Where the cookie lies.
            .env("HOME", &self.folder)
            // Tools complain otherwise.
            .env("LC_ALL", "C.UTF-8")
            // The script is replaced by the node, so that its process id is the node's.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", self.name())
            .env("RABBITMQ_NODE_PORT", amqp.to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_CONFIG_FILE", folder("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", folder("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", folder("data"))
            .env("RABBITMQ_LOG_BASE", folder("log"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", LOOPBACK_ONLY)
            .env("RABBITMQ_CTL_ERL_ARGS", LOOPBACK_ONLY);
    }

    /// `rabbitmqctl` of this node.
    pub fn control(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("rabbitmqctl")?);
        self.environment(&mut command);
        command.arg("--quiet").args(arguments);
        Ok(command)
    }

    fn name(&self) -> String {
        format!("mop{}@localhost", self.ports.amqp)
    }

    fn write_cookie(&self) -> Result<()> {
        let path = self.folder.join(".erlang.cookie");
        if !path.exists() {
            // It only keeps nodes of other tests out; the port is on loopback.
            fs::write(&path, format!("MOP{}", std::process::id()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
        }
        Ok(())
    }
}

/// A script of the package itself, not the distribution's wrapper around it.
fn program(name: &str) -> Result<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not installed (package rabbitmq-server)"))
}

/// Debian's, and those of the project's own packages.
const FOLDERS: [&str; 2] = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"];
const LOOPBACK_ONLY: &str = "-kernel inet_dist_use_interface {127,0,0,1}";
