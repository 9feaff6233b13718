//! Puts many messages on a broker, as quickly as it confirms them.

use anyhow::{Result, ensure};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::runtime::Runtime;

use crate::records::Record;

/// A connection that publishes.
pub(crate) struct Publisher {
    channel: Channel,
    _connection: Connection,
    runtime: Runtime,
}

impl Publisher {
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            anyhow::Ok((connection, channel))
        })?;
        Ok(Self { channel, _connection: connection, runtime })
    }

    /// Declares a durable queue.
    pub(crate) fn declare(&self, queue: &str, arguments: &[(&str, AMQPValue)]) -> Result<()> {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, table);
        self.runtime.block_on(declared)?;
        Ok(())
    }

    /// Publishes records, in this order, and waits until the broker has all of them.
    pub(crate) fn send(&self, queue: &str, records: &[&Record]) -> Result<()> {
        let messages = records
            .iter()
            .map(|record| (record.properties(), record.body.as_bytes()))
            .collect::<Vec<_>>();
        self.send_raw(queue, &messages)
    }

    /// Publishes whatever it is told.
    pub(crate) fn send_raw(
        &self,
        queue: &str,
        messages: &[(BasicProperties, &[u8])],
    ) -> Result<()> {
        self.runtime.block_on(async {
            for window in messages.chunks(256) {
                let mut confirms = Vec::with_capacity(window.len());
                for (properties, body) in window {
                    let published = self.channel.basic_publish(
                        "".into(),
                        queue.into(),
                        BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
                        body,
                        properties.clone().with_delivery_mode(2),
                    );
                    confirms.push(published.await?);
                }
                for confirm in confirms {
                    let confirmation = confirm.await?;
                    ensure!(confirmation.is_ack(), "a message was not confirmed");
                }
            }
            Ok(())
        })
    }

    /// Messages that are ready in a queue.
    pub(crate) fn depth(&self, queue: &str) -> Result<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        Ok(self.runtime.block_on(declared)?.message_count())
    }
}
