//! The connection to RabbitMQ: one channel a queue, so that an acknowledgement of everything up to
//! a message means messages of that queue only.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use lapin::{
    BasicProperties, Channel, Connection, ErrorKind,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    tcp::RustlsConnector,
    types::{AMQPValue, FieldTable, ShortString},
    uri::{AMQPScheme, AMQPUri, SASLMechanism},
};

use super::configuration::{BrokerConfiguration, read_secret};
use crate::{
    failure::Failure,
    sinks::{
        Trouble,
        rabbitmq::{
            connection::{Socket, connect},
            tls,
        },
    },
};

/// How to reach the broker.
pub(crate) struct Broker {
    uri: AMQPUri,
    ca_file: Option<PathBuf>,
    /// Own certificate and its key.
    identity: Option<(PathBuf, PathBuf)>,
}

/// A connection that consumes.
pub(crate) struct Session {
    connection: Connection,
    consumers: Vec<(Channel, ShortString)>,
    // Last: the connection is dropped before its socket is shut down.
    _socket: Arc<Socket>,
}

/// Something that a queue did.
pub(crate) enum Event {
    /// A message came.
    Came(Box<Delivery>),
    /// It is no longer consumed, for this reason.
    Ended(Trouble),
}

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

/// A queue to consume.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) queue: Arc<str>,
    pub(crate) kind: SourceKind,
}

/// How a queue is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// Quorum or classic: the broker forgets what is acknowledged.
    Queue,
    /// The broker keeps all, and reading goes on where it is told; `None` for the beginning.
    Stream(Option<i64>),
}

impl Broker {
    pub(crate) fn new(configuration: &BrokerConfiguration) -> Result<Self, Failure> {
        let wrong = |what: &dyn std::fmt::Display| {
            Failure::configuration(format!("hub.broker.url: {what}"))
        };
        let mut uri: AMQPUri =
            configuration.url.as_str().parse().map_err(|error: String| wrong(&error))?;
        if let Some(file) = &configuration.password_file {
            uri.authority.userinfo.password = read_secret("hub.broker.password_file", file)?;
        } else if configuration.certificate_file.is_some() && uri.query.auth_mechanism.is_none() {
            // A client certificate alone says who it is.
            uri.query.auth_mechanism = Some(SASLMechanism::External);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let identity = configuration.certificate_file.clone().zip(configuration.key_file.clone());
        let broker = Self { uri, ca_file: configuration.ca_file.clone(), identity };
        // What is wrong with the files is said at the start; they are read again for each connection.
        broker
            .connector()
            .map_err(|trouble| Failure::configuration(format!("hub.broker: {}", trouble.detail)))?;
        Ok(broker)
    }

    /// Connects and consumes all of these, with so many messages of each on the way.
    pub(crate) async fn consume(
        &self,
        sources: &[Source],
        prefetch: u16,
    ) -> Result<(Session, impl Stream<Item = (usize, Event)> + use<>), Trouble> {
        let (connection, socket) = self.connect("mop hub").await?;
        // A broker can answer heartbeats while one of its queues answers nothing.
        let consuming = subscribe(&connection, sources, prefetch);
        let (consumers, events) = tokio::time::timeout(CONSUME_LIMIT, consuming)
            .await
            .map_err(|_elapsed| Trouble::passing("silent", "a queue does not answer"))??;
        Ok((Session { connection, consumers, _socket: socket }, events))
    }

    /// What these queues hold.
    pub(crate) async fn depths(
        &self,
        queues: &[String],
    ) -> Result<Vec<(String, Option<Depth>)>, Trouble> {
        let (connection, _socket) = self.connect("mop hub status").await?;
        let mut depths = Vec::new();
        for queue in queues {
            // A queue that is not there costs its channel.
            let channel = connection.create_channel().await.map_err(|error| trouble(&error))?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let declared =
                channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await;
            let depth = declared.ok().map(|declared| Depth {
                messages: declared.message_count(),
                consumers: declared.consumer_count(),
            });
            depths.push((queue.clone(), depth));
        }
        // What was asked is known: how the connection ends is of no interest.
        let _closed = connection.close(REPLY_SUCCESS, "done".into()).await;
        Ok(depths)
    }

    fn connector(&self) -> Result<Option<RustlsConnector>, Trouble> {
        if self.uri.scheme == AMQPScheme::AMQP {
            return Ok(None);
        }
        let identity = self.identity.as_ref();
        let identity = identity.map(|(certificate, key)| (&**certificate, &**key));
        tls::connector(self.ca_file.as_deref(), identity).map(Some)
    }

    async fn connect(&self, name: &str) -> Result<(Connection, Arc<Socket>), Trouble> {
        let socket = Arc::new(Socket::default());
        let connecting = connect(
            self.uri.clone(),
            self.connector()?,
            Arc::downgrade(&socket),
            CONNECT_LIMIT,
            name.to_owned(),
        );
        // When time is up, the socket is dropped, and with it whatever waits for it.
        let connection = tokio::time::timeout(CONNECT_LIMIT, connecting)
            .await
            .map_err(|_elapsed| Trouble::passing("silent", "the broker does not answer"))?
            .map_err(|error| trouble(&error))?;
        Ok((connection, socket))
    }
}

/// Consumes all of these, each on a channel of its own.
async fn subscribe(
    connection: &Connection,
    sources: &[Source],
    prefetch: u16,
) -> Result<(Vec<(Channel, ShortString)>, impl Stream<Item = (usize, Event)> + use<>), Trouble> {
    let mut consumers = Vec::new();
    let mut streams = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let channel = connection.create_channel().await.map_err(|error| trouble(&error))?;
        let queue = &*source.queue;
        let about = |error: lapin::Error| in_queue(queue, &error);
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(about)?;
        let mut arguments = FieldTable::default();
        if let SourceKind::Stream(next) = source.kind {
            let from = match next {
                Some(next) => AMQPValue::LongLongInt(next),
                None => AMQPValue::LongString("first".into()),
            };
            arguments.insert("x-stream-offset".into(), from);
        }
        let consumer = channel
            .basic_consume(
                queue.into(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                arguments,
            )
            .await
            .map_err(about)?;
        consumers.push((channel, consumer.tag()));
        let name = Arc::clone(&source.queue);
        let events = consumer.map(move |delivery| match delivery {
            Ok(delivery) => (at, Event::Came(Box::new(delivery))),
            Err(error) => (at, Event::Ended(in_queue(&name, &error))),
        });
        let name = Arc::clone(&source.queue);
        let end = stream::once(async move {
            let text = format!("the queue {name} was deleted, or its consumer cancelled");
            (at, Event::Ended(Trouble::passing("cancelled", text)))
        });
        streams.push(events.chain(end).boxed());
    }
    Ok((consumers, stream::select_all(streams)))
}

impl Session {
    /// No message comes any more.
    pub(crate) async fn cancel(&self) {
        for (channel, tag) in &self.consumers {
            let cancel = channel.basic_cancel(tag.clone(), BasicCancelOptions::default());
            // A connection that is lost brings no message either.
            let _cancelled = tokio::time::timeout(CLOSE_LIMIT, cancel).await;
        }
    }

    /// Ends in good order; what was not acknowledged comes again, to whoever consumes then.
    pub(crate) async fn close(self) {
        let close = self.connection.close(REPLY_SUCCESS, "done".into());
        let _closed = tokio::time::timeout(CLOSE_LIMIT, close).await;
    }
}

/// The place of a message in a stream.
pub(crate) fn offset(properties: &BasicProperties) -> Option<i64> {
    match properties.headers().as_ref()?.inner().get("x-stream-offset") {
        Some(AMQPValue::LongLongInt(offset)) => Some(*offset),
        _ => None,
    }
}

/// Whether the connection was lost because of bytes that this client cannot read.
pub(crate) fn is_unreadable(trouble: &Trouble) -> bool {
    trouble.reason == UNREADABLE
}

/// An error in words.
pub(crate) fn trouble(error: &lapin::Error) -> Trouble {
    match error.kind() {
        ErrorKind::ParsingError(_) => {
            Trouble::passing(UNREADABLE, "a message has properties that cannot be read")
        }
        ErrorKind::ProtocolError(error) => {
            let text = error.get_message().to_string();
            match error.get_id() {
                // ACCESS_REFUSED, NOT_FOUND, NOT_ALLOWED.
                403 | 404 | 530 => Trouble::lasting("refused", text),
                _ => Trouble::passing("lost", text),
            }
        }
        ErrorKind::IOError(error) => Trouble::passing("unreachable", error),
        _ => Trouble::passing("lost", error),
    }
}

fn in_queue(queue: &str, error: &lapin::Error) -> Trouble {
    let Trouble { reason, detail, is_lasting } = trouble(error);
    Trouble { reason, detail: format!("queue {queue}: {detail}"), is_lasting }
}

const UNREADABLE: &str = "unreadable";
const REPLY_SUCCESS: u16 = 200;
/// The broker's own advice is 5 to 20 seconds.
const HEARTBEAT_SECONDS: u16 = 15;
/// A broker that does not answer by then will not.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// As long as the broker itself waits for the answer of a quorum queue, and some.
const CONSUME_LIMIT: Duration = Duration::from_secs(30);
/// The whole end takes less than ten seconds.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);
