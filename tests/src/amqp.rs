//! A client of a broker for tests: waits for what it asks for, and knows nothing of MOP.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
        QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A connection with one channel.
#[derive(Debug)]
pub struct Amqp {
    channel: Channel,
    connection: Connection,
    // After the connection, which is served by it.
    runtime: Runtime,
}

/// A message as the broker gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its routing key.
    pub routing_key: String,
    /// The exchange that it was published to.
    pub exchange: String,
    /// True when it was given out before.
    pub is_redelivered: bool,
    /// Property `message-id`, or nothing.
    pub id: String,
    /// Property `type`, or nothing.
    pub kind: String,
    /// Property `app-id`, or nothing.
    pub app: String,
    /// Property `content-type`, or nothing.
    pub content_type: String,
    /// Property `delivery-mode`; 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// Property `timestamp`, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// Its headers.
    pub headers: BTreeMap<String, Value>,
    /// Its content.
    pub body: Vec<u8>,
}

impl Amqp {
    /// Connects.
    pub fn connect(url: &str) -> Result<Self> {
        // One thread of its own keeps heartbeats going while the test does something else.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (connection, channel) = runtime.block_on(async {
            let properties =
                ConnectionProperties::default().with_connection_name("mop-tests".into());
            let connection = Connection::connect(url, properties).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            anyhow::Ok((connection, channel))
        })?;
        Ok(Self { channel, connection, runtime })
    }

    /// Declares a durable queue with arguments: text, numbers and truth values.
    pub fn declare_queue(&self, name: &str, arguments: &Value) -> Result<()> {
        let declared = self.channel.queue_declare(
            name.into(),
            QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() },
            table(arguments)?,
        );
        self.runtime.block_on(declared)?;
        Ok(())
    }

    /// Binds a queue to an exchange.
    pub fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<()> {
        let bound = self.channel.queue_bind(
            queue.into(),
            exchange.into(),
            routing_key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        Ok(self.runtime.block_on(bound)?)
    }

    /// Deletes a queue with all that is in it.
    pub fn delete_queue(&self, name: &str) -> Result<()> {
        let deleted = self.channel.queue_delete(name.into(), QueueDeleteOptions::default());
        self.runtime.block_on(deleted)?;
        Ok(())
    }

    /// Empties a queue.
    pub fn purge(&self, name: &str) -> Result<()> {
        let purged = self.channel.queue_purge(name.into(), QueuePurgeOptions::default());
        self.runtime.block_on(purged)?;
        Ok(())
    }

    /// Messages in a queue that are ready to be given out.
    pub fn depth(&self, queue: &str) -> Result<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        Ok(self.runtime.block_on(declared)?.message_count())
    }

    /// Publishes a persistent message with an id and waits until the broker has it.
    pub fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        id: &str,
        headers: &Value,
        body: &[u8],
    ) -> Result<()> {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_message_id(id.into())
            .with_type(routing_key.trim_start_matches("mop.").into())
            .with_headers(table(headers)?);
        self.runtime.block_on(async {
            let confirm = self
                .channel
                .basic_publish(
                    exchange.into(),
                    routing_key.into(),
                    BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
                    body,
                    properties,
                )
                .await?;
            match confirm.await? {
                Confirmation::Ack(None) => Ok(()),
                Confirmation::Ack(Some(_)) => bail!("no queue takes {routing_key}"),
                Confirmation::Nack(_) | Confirmation::NotRequested => bail!("not confirmed"),
            }
        })
    }

    /// Takes all messages that are ready out of a queue.
    pub fn drain(&self, queue: &str) -> Result<Vec<Message>> {
        let count = usize::try_from(self.depth(queue)?)?;
        self.receive(queue, count, DRAIN_LIMIT)
    }

    /// Takes so many messages out of a queue, waiting for them. They are acknowledged.
    pub fn receive(&self, queue: &str, count: usize, limit: Duration) -> Result<Vec<Message>> {
        self.runtime.block_on(async {
            let mut messages = Vec::with_capacity(count);
            // Closing it gives back what was given out beyond the count.
            let channel = self.connection.create_channel().await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let mut consumer = channel
                .basic_consume(
                    queue.into(),
                    ShortString::default(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await?;
            let deadline = Instant::now() + limit;
            while messages.len() < count {
                let left = deadline.saturating_duration_since(Instant::now());
                match tokio::time::timeout(left, consumer.next()).await {
                    Ok(Some(delivery)) => {
                        let delivery = delivery?;
                        delivery.ack(BasicAckOptions::default()).await?;
                        messages.push(Message::from_amqp(delivery));
                    }
                    Ok(None) => bail!("the queue {queue} was deleted"),
                    Err(_) => bail!("{} of {count} messages came within {limit:?}", messages.len()),
                }
            }
            channel.close(200, "done".into()).await?;
            Ok(messages)
        })
    }
}

impl Message {
    fn from_amqp(delivery: Delivery) -> Self {
        let properties = &delivery.properties;
        let text = |value: &Option<ShortString>| {
            value.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        let headers = properties
            .headers()
            .iter()
            .flat_map(|table| table.inner())
            .map(|(name, value)| (name.to_string(), plain(value)))
            .collect();
        Self {
            routing_key: delivery.routing_key.to_string(),
            exchange: delivery.exchange.to_string(),
            is_redelivered: delivery.redelivered,
            id: text(properties.message_id()),
            kind: text(properties.kind()),
            app: text(properties.app_id()),
            content_type: text(properties.content_type()),
            delivery_mode: *properties.delivery_mode(),
            timestamp: *properties.timestamp(),
            headers,
            body: delivery.data,
        }
    }
}

/// A flat JSON object as a table of AMQP.
fn table(object: &Value) -> Result<FieldTable> {
    let mut table = FieldTable::default();
    for (name, value) in object.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => AMQPValue::LongString(text.as_str().into()),
            Value::Bool(truth) => AMQPValue::Boolean(*truth),
            number => AMQPValue::LongLongInt(number.as_i64().context("no text, no number")?),
        };
        table.insert(name.as_str().into(), value);
    }
    Ok(table)
}

fn plain(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::LongString(text) => json!(text.to_string()),
        AMQPValue::ShortString(text) => json!(text.to_string()),
        AMQPValue::LongLongInt(number) => json!(number),
        AMQPValue::LongInt(number) => json!(number),
        AMQPValue::Boolean(truth) => json!(truth),
        other => json!(format!("{other:?}")),
    }
}

/// Messages given out ahead of their acknowledgements.
const PREFETCH: u16 = 500;
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
