//! What all rounds of a set share: one broker, a proxy before it, and a folder.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lapin::{Connection, ConnectionProperties, options::QueueBindOptions, types::FieldTable};
use mop_tests::{Amqp, Broker, Certificates, Database, Proxy};
use tempfile::TempDir;

use crate::hub::Hub;

/// A broker and the way to it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) certificates: Certificates,
    database: Option<Database>,
    /// The queues of the agent are there, and the broker has written down that they are.
    is_settled: bool,
    folder: TempDir,
}

impl Stage {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let certificates = Certificates::create(folder.path())?;
        let broker = Broker::builder(folder.path()).tls(&certificates).start()?;
        broker.add_user(USER, PASSWORD, [".*", ".*", ".*"])?;
        fs::write(folder.path().join(PASSWORD_FILE), PASSWORD)?;
        Ok(Self { broker, certificates, database: None, is_settled: false, folder })
    }

    /// Holds the password of the agent.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.folder.path().join(PASSWORD_FILE)
    }

    /// A new way to the broker, that can be disturbed.
    pub(crate) fn proxy(&self) -> Result<Proxy> {
        Proxy::start(SocketAddr::from(([127, 0, 0, 1], self.broker.port())))
    }

    /// Called when the agent has made its queues: a broker that is killed right after would not
    /// remember them, and that is not the agent's doing.
    pub(crate) fn settle_queues(&mut self) -> Result<()> {
        if !self.is_settled {
            self.broker.settle()?;
            self.is_settled = true;
        }
        Ok(())
    }

    /// The database of the hub: started when it is needed first.
    pub(crate) fn start_database(&mut self) -> Result<()> {
        if self.database.is_none() {
            self.database = Some(Database::start()?);
        }
        Ok(())
    }

    pub(crate) fn database(&mut self) -> Result<&mut Database> {
        self.database.as_mut().context("invariant: it was started with the hub")
    }

    /// Puts a hub between broker and database.
    pub(crate) fn hub(&self, folder: &Path) -> Result<Hub> {
        let database = self.database.as_ref().context("invariant: it was started with the hub")?;
        Hub::start(folder, &self.broker, database)
    }

    /// A folder for one round.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Deletes a queue with all that it holds.
    pub(crate) fn delete_queue(&mut self, queue: &str) -> Result<()> {
        self.is_settled = false;
        Amqp::connect(&self.broker.url())?.delete_queue(queue)
    }

    /// Takes the binding of a queue away, or puts it back.
    pub(crate) fn bind(&self, binding: Binding, is_bound: bool) -> Result<()> {
        let Binding { queue, routing_key } = binding;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let properties = ConnectionProperties::default();
            let connection = Connection::connect(&self.broker.url(), properties).await?;
            let channel = connection.create_channel().await?;
            let (queue, exchange, key) = (queue.into(), EXCHANGE.into(), routing_key.into());
            let arguments = FieldTable::default();
            if is_bound {
                let options = QueueBindOptions::default();
                channel.queue_bind(queue, exchange, key, options, arguments).await?;
            } else {
                channel.queue_unbind(queue, exchange, key, arguments).await?;
            }
            Ok(connection.close(200, "done".into()).await?)
        })
    }
}

/// How a queue gets its messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) queue: &'static str,
    pub(crate) routing_key: &'static str,
}

const PASSWORD_FILE: &str = "broker.password";
const EXCHANGE: &str = "mop";
/// Who the agent is at the broker.
pub(crate) const USER: &str = "mop-node";
pub(crate) const PASSWORD: &str = "first-password";
