//! What the broker has got, as a consumer sees it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, future::join_all};
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use mop_tests::{Arrival, Place};

use crate::records::{Origin, Series};

/// Everything that arrived.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) arrivals: Vec<Arrival>,
    /// The agent's own records, by message id.
    pub(crate) own: Vec<(String, Vec<u8>)>,
}

/// A consumer of all queues that comes back after every trouble.
#[derive(Debug)]
pub(crate) struct Consumer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// An inbox that a consumer fills.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedInbox(Arc<Mutex<Inbox>>);

impl SharedInbox {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inbox> {
        // A consumer that panicked leaves whole arrivals behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// Begins to take what the queues hold.
    pub(crate) fn start(url: &str, series: &Series, inbox: &SharedInbox) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let thread = thread::Builder::new().name("consumer".to_owned()).spawn({
            let (url, series) = (url.to_owned(), series.clone());
            let (inbox, is_over) = (inbox.clone(), Arc::clone(&is_over));
            move || {
                runtime.block_on(async {
                    // What is over is over, whatever is still waited for.
                    tokio::select! {
                        () = consume(&url, &series, &inbox, &is_over) => {}
                        () = over(&is_over) => {}
                    }
                });
            }
        })?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// A while after it is over: an end in good order comes first.
async fn over(is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        tokio::time::sleep(STEP).await;
    }
    tokio::time::sleep(PATIENCE).await;
}

async fn consume(url: &str, series: &Series, inbox: &SharedInbox, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let connected = patient(Connection::connect(url, ConnectionProperties::default()));
        if let Ok(connection) = connected.await {
            let queues = QUEUES.map(|queue| read(&connection, queue, series, inbox, is_over));
            join_all(queues).await;
            if connection.status().connected() {
                let _closed = patient(connection.close(200, "done".into())).await;
            }
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Reads one queue until the connection breaks. A queue that is missing is looked for again.
async fn read(
    connection: &Connection,
    queue: &str,
    series: &Series,
    inbox: &SharedInbox,
    is_over: &AtomicBool,
) {
    while connection.status().connected() && !is_over.load(Ordering::Acquire) {
        if let Ok(channel) = connection.create_channel().await {
            let _ended = read_channel(&channel, queue, series, inbox, is_over).await;
            if channel.status().connected() {
                let _closed = patient(channel.close(200, "done".into())).await;
            }
        }
        tokio::time::sleep(STEP).await;
    }
}

async fn read_channel(
    channel: &Channel,
    queue: &str,
    series: &Series,
    inbox: &SharedInbox,
    is_over: &AtomicBool,
) -> Result<()> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut deliveries = channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    while !is_over.load(Ordering::Acquire) {
        // Woken now and then to see whether it is over.
        let Ok(next) = tokio::time::timeout(STEP, deliveries.next()).await else { continue };
        let Some(delivery) = next else { break };
        let delivery = delivery?;
        take(queue, &delivery, series, &mut inbox.lock());
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// A broker that was killed may never answer. Not for what makes a consumer: one that was given up and
/// is made all the same would take records away beside its successor.
async fn patient<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T> {
    Ok(tokio::time::timeout(PATIENCE, work).await.context("no answer")??)
}

fn take(queue: &str, delivery: &Delivery, series: &Series, inbox: &mut Inbox) {
    let properties = &delivery.properties;
    let id = properties.message_id().as_ref().map_or("", |id| id.as_str()).to_owned();
    match series.origin(&id, &delivery.data) {
        Origin::Before => {}
        Origin::Elsewhere => inbox.own.push((id, delivery.data.clone())),
        Origin::Here { is_genuine } => inbox.arrivals.push(Arrival {
            id,
            queue: queue.to_owned(),
            is_genuine,
            is_redelivered: delivery.redelivered,
            place: properties.headers().as_ref().and_then(place),
        }),
    }
}

fn place(headers: &FieldTable) -> Option<Place> {
    Some(Place {
        node: text(headers, "x-mop-node")?,
        stream: text(headers, "x-mop-stream")?,
        epoch: number(headers, "x-mop-epoch")?,
        sequence: number(headers, "x-mop-sequence")?,
    })
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some(u64::from(*number)),
        AMQPValue::Timestamp(number) => Some(*number),
        _ => None,
    }
}

/// All queues that the agent declares.
pub(crate) const QUEUES: [&str; 5] =
    ["mop.quality", "mop.data", "mop.security", "mop.ops", "mop.unrouted"];
const STEP: Duration = Duration::from_millis(100);
/// Of a broker that is being started.
const PATIENCE: Duration = Duration::from_secs(3);
const PREFETCH: u16 = 500;
