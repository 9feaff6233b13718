//! What has to be on the broker: exchanges, queues and what joins them.
//!
//! One topic exchange; a queue for each module, bound to `mop.MODULE.#`; what no queue wants goes by
//! the alternate exchange to `NAME.unrouted`, and what a consumer refuses for good goes to
//! `NAME.dead`. With `declare = true`, what is missing is made, and what is there stays as it is: an
//! operator's own arguments and policies are never fought over.

use lapin::{
    Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    configuration::{QueueType, RabbitMqConfiguration},
    errors,
};
use crate::sinks::Trouble;

/// Declares or only looks, as configured.
pub(super) async fn ensure(
    connection: &Connection,
    configuration: &RabbitMqConfiguration,
) -> Result<(), Trouble> {
    if configuration.declare {
        declare(connection, configuration).await
    } else {
        look(connection, configuration).await
    }
}

async fn look(
    connection: &Connection,
    configuration: &RabbitMqConfiguration,
) -> Result<(), Trouble> {
    let exchange = &configuration.amqp_exchange;
    let mut missing = Vec::new();
    if !exchange_exists(connection, exchange).await? {
        missing.push(format!("exchange {exchange}"));
    }
    let queues = configuration
        .queues
        .clone()
        .unwrap_or_else(|| QUEUES.iter().map(|(queue, _)| format!("{exchange}.{queue}")).collect());
    for queue in queues {
        if !queue_exists(connection, &queue).await? {
            missing.push(format!("queue {queue}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Trouble::lasting(
        "topology",
        format!(
            "the broker lacks {}; import deploy/rabbitmq/definitions.json, or set declare = true",
            missing.join(", ")
        ),
    ))
}

async fn declare(
    connection: &Connection,
    configuration: &RabbitMqConfiguration,
) -> Result<(), Trouble> {
    let name = &configuration.amqp_exchange;
    let (unrouted, dead) = (format!("{name}.unrouted"), format!("{name}.dead"));
    // First what catches, then what it catches from.
    for catching in [&unrouted, &dead] {
        declare_exchange(connection, catching, ExchangeKind::Fanout, FieldTable::default()).await?;
        declare_queue(connection, catching, catching_queue(configuration)).await?;
        bind(connection, catching, catching, "").await?;
    }
    let alternate =
        table([("alternate-exchange", AMQPValue::LongString(unrouted.as_str().into()))]);
    declare_exchange(connection, name, ExchangeKind::Topic, alternate).await?;
    for (queue, patterns) in QUEUES {
        let queue = format!("{name}.{queue}");
        declare_queue(connection, &queue, module_queue(configuration, &dead)).await?;
        for pattern in patterns {
            bind(connection, &queue, name, pattern).await?;
        }
    }
    Ok(())
}

/// A queue that consumers work on.
fn module_queue(configuration: &RabbitMqConfiguration, dead: &str) -> FieldTable {
    let dead = ("x-dead-letter-exchange", AMQPValue::LongString(dead.into()));
    let mut arguments = catching_queue(configuration);
    match configuration.queue_type {
        QueueType::Classic => extend(&mut arguments, [dead]),
        QueueType::Quorum => extend(
            &mut arguments,
            [
                dead,
                // It asks for `reject-publish`; without it, a dead letter can be lost on its way.
                ("x-dead-letter-strategy", AMQPValue::LongString("at-least-once".into())),
                ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
            ],
        ),
        // Nothing is refused by, or taken out of, a stream.
        QueueType::Stream => {}
    }
    arguments
}

fn catching_queue(configuration: &RabbitMqConfiguration) -> FieldTable {
    let bytes = i64::from(configuration.queue_max_mib) << 20;
    let queue_type = match configuration.queue_type {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
        QueueType::Stream => "stream",
    };
    let mut arguments = table([
        ("x-queue-type", AMQPValue::LongString(queue_type.into())),
        ("x-max-length-bytes", AMQPValue::LongLongInt(bytes)),
    ]);
    if configuration.queue_type != QueueType::Stream {
        // A full queue refuses, and the record stays in the outbox; the default drops the oldest.
        extend(&mut arguments, [("x-overflow", AMQPValue::LongString("reject-publish".into()))]);
    }
    arguments
}

async fn declare_exchange(
    connection: &Connection,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), Trouble> {
    if exchange_exists(connection, name).await? {
        return Ok(());
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let channel = connection.create_channel().await.map_err(said("opening a channel"))?;
    channel
        .exchange_declare(short(name)?, kind, options, arguments)
        .await
        .map_err(said(&format!("declaring exchange {name}")))?;
    close(&channel).await
}

async fn declare_queue(
    connection: &Connection,
    name: &str,
    arguments: FieldTable,
) -> Result<(), Trouble> {
    if queue_exists(connection, name).await? {
        return Ok(());
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await.map_err(said("opening a channel"))?;
    channel
        .queue_declare(short(name)?, options, arguments)
        .await
        .map_err(said(&format!("declaring queue {name}")))?;
    close(&channel).await
}

async fn bind(
    connection: &Connection,
    queue: &str,
    exchange: &str,
    pattern: &str,
) -> Result<(), Trouble> {
    let channel = connection.create_channel().await.map_err(said("opening a channel"))?;
    channel
        .queue_bind(
            short(queue)?,
            short(exchange)?,
            short(pattern)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(said(&format!("binding queue {queue} to exchange {exchange}")))?;
    close(&channel).await
}

/// A passive declaration. When there is no such exchange, the broker closes the channel; so each
/// look has one of its own.
async fn exchange_exists(connection: &Connection, name: &str) -> Result<bool, Trouble> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let channel = connection.create_channel().await.map_err(said("opening a channel"))?;
    let looked = channel
        .exchange_declare(short(name)?, ExchangeKind::Topic, options, FieldTable::default())
        .await;
    found(&channel, looked, &format!("looking for exchange {name}")).await
}

async fn queue_exists(connection: &Connection, name: &str) -> Result<bool, Trouble> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await.map_err(said("opening a channel"))?;
    let looked =
        channel.queue_declare(short(name)?, options, FieldTable::default()).await.map(drop);
    found(&channel, looked, &format!("looking for queue {name}")).await
}

async fn found(
    channel: &lapin::Channel,
    looked: lapin::Result<()>,
    doing: &str,
) -> Result<bool, Trouble> {
    match looked {
        Ok(()) => close(channel).await.map(|()| true),
        Err(error) if errors::is_missing(&error) => Ok(false),
        Err(error) => Err(errors::trouble(doing, &error)),
    }
}

async fn close(channel: &lapin::Channel) -> Result<(), Trouble> {
    channel.close(OK, "done".into()).await.map_err(said("closing a channel"))
}

fn said(doing: &str) -> impl FnOnce(lapin::Error) -> Trouble {
    let doing = doing.to_owned();
    move |error| errors::trouble(&doing, &error)
}

fn short(name: &str) -> Result<ShortString, Trouble> {
    ShortString::try_new(name).map_err(|error| Trouble::lasting("topology", error))
}

fn table<const COUNT: usize>(entries: [(&str, AMQPValue); COUNT]) -> FieldTable {
    let mut table = FieldTable::default();
    extend(&mut table, entries);
    table
}

fn extend<const COUNT: usize>(table: &mut FieldTable, entries: [(&str, AMQPValue); COUNT]) {
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
}

/// The queues of the modules and the routing keys that they want.
const QUEUES: [(&str, &[&str]); 4] = [
    ("quality", &["mop.quality.#"]),
    ("data", &["mop.data.#"]),
    ("security", &["mop.security.#"]),
    ("ops", &["mop.ops.#", "mop.observe.#", "mop.node.#"]),
];
/// A message that was given out so often and came back is not the consumer's bad luck any more. It
/// is what RabbitMQ 4 does by itself.
const DELIVERY_LIMIT: i64 = 20;
/// `REPLY_SUCCESS` of AMQP.
const OK: u16 = 200;
