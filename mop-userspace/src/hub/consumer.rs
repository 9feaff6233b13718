//! From the broker into the stores.
//!
//! A reader takes messages as they come and reads what is in them; a writer stores them in batches,
//! and acknowledges a batch when every store has committed it. Whatever fails before that, the broker
//! gives the messages again, and the stores know them.
//!
//! While a store is away, messages wait here without being acknowledged: to give them back would count
//! as a delivery for each, and quorum queues set aside what was delivered too often.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use lapin::Acker;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    acknowledgement::acknowledge,
    backoff::Backoff,
    broker::{self, Broker, Event, Source, SourceKind},
    configuration::HubConfiguration,
    message::Arrival,
    refusal::Refusal,
    store::{Batch, Fate, Store},
    vitals::{HubVitals, add},
};
use crate::sinks::Trouble;

/// The hub at work.
pub(crate) struct Consumer {
    configuration: HubConfiguration,
    broker: Broker,
    stores: Vec<Box<dyn Store>>,
    vitals: Arc<HubVitals>,
    stop: watch::Receiver<bool>,
    next_maintenance: Instant,
}

/// A message on its way into the stores.
struct Message {
    /// Which source it came from.
    source: usize,
    tag: u64,
    acker: Acker,
    /// Its place in a stream.
    offset: Option<i64>,
    read: Result<Arrival, Refusal>,
}

/// Why a session ended.
enum End {
    /// It was asked to.
    Stopped,
    /// The broker was lost.
    Lost(Trouble),
    /// It was careful for long enough.
    Passed,
}

impl Consumer {
    pub(crate) fn new(
        configuration: HubConfiguration,
        broker: Broker,
        stores: Vec<Box<dyn Store>>,
        vitals: Arc<HubVitals>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let next_maintenance = Instant::now();
        Self { configuration, broker, stores, vitals, stop, next_maintenance }
    }

    /// Consumes until asked to stop. Gives up nothing but itself: every trouble is waited out.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        // A message that this client cannot even read ends the connection, and comes again. One at a time,
        // it is the only one that is delivered again and again, until the broker sets it aside.
        let mut is_careful = false;
        for at in 0..self.stores.len() {
            if !self.open(at).await {
                return;
            }
        }
        loop {
            match self.session(is_careful, &mut backoff).await {
                End::Stopped => return,
                End::Passed => is_careful = false,
                End::Lost(trouble) => {
                    self.vitals.is_broker_connected.store(false, Ordering::Relaxed);
                    add(&self.vitals.broker_troubles, 1);
                    is_careful = broker::is_unreadable(&trouble);
                    if is_careful {
                        backoff.reset();
                    }
                    let wait = backoff.next();
                    eprintln!("mop: the broker: {trouble}; next try in {} ms", wait.as_millis());
                    if self.pause(wait).await {
                        return;
                    }
                }
            }
        }
    }

    /// Connects a store. False when it was asked to stop before it could.
    async fn open(&mut self, at: usize) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let mut stop = self.stop.clone();
            let Some(store) = self.stores.get_mut(at) else { return true };
            let name = store.name();
            let connecting = tokio::select! {
                connecting = store.connect() => connecting,
                _ = stop.wait_for(|stop| *stop) => return false,
            };
            let Err(trouble) = connecting else {
                self.vitals.is_store_connected.store(true, Ordering::Relaxed);
                return true;
            };
            self.lose_store(name, &trouble);
            if self.pause(backoff.next()).await {
                return false;
            }
        }
    }

    /// One connection to the broker, from its beginning to its end.
    async fn session(&mut self, is_careful: bool, backoff: &mut Backoff) -> End {
        let sources = match self.sources().await {
            Ok(sources) => sources,
            Err(trouble) => return End::Lost(trouble),
        };
        let prefetch = if is_careful { 1 } else { self.configuration.broker.prefetch };
        let mut stop = self.stop.clone();
        let consuming = tokio::select! {
            consuming = self.broker.consume(&sources, prefetch) => consuming,
            _ = stop.wait_for(|stop| *stop) => return End::Stopped,
        };
        let (session, events) = match consuming {
            Ok(consuming) => consuming,
            Err(trouble) => return End::Lost(trouble),
        };
        backoff.reset();
        self.vitals.is_broker_connected.store(true, Ordering::Relaxed);
        eprintln!("Consuming {} queues.", sources.len());
        let (sender, receiver) = mpsc::channel(self.configuration.batch_messages);
        let reader = Reader {
            sources: &sources,
            max_bytes: self.configuration.max_message_kib * 1024,
            vitals: Arc::clone(&self.vitals),
            stop,
            careful_until: is_careful.then(|| Instant::now() + CAREFUL_FOR),
        };
        let reading = async {
            let end = reader.run(events, sender).await;
            session.cancel().await;
            end
        };
        let ((), end) = tokio::join!(self.write(&sources, receiver), reading);
        session.close().await;
        end
    }

    async fn sources(&mut self) -> Result<Vec<Source>, Trouble> {
        let broker = &self.configuration.broker;
        let source = |name: &String, kind| Source { queue: Arc::from(name.as_str()), kind };
        let mut sources: Vec<Source> =
            broker.queues.iter().map(|name| source(name, SourceKind::Queue)).collect();
        for name in &broker.streams {
            let mut next = None;
            for store in &mut self.stores {
                next = next.max(store.offset(name).await?);
            }
            sources.push(source(name, SourceKind::Stream(next)));
        }
        Ok(sources)
    }

    /// Stores what comes, until nothing comes any more or time is up.
    async fn write(&mut self, sources: &[Source], mut messages: mpsc::Receiver<Message>) {
        let size = self.configuration.batch_messages;
        loop {
            self.maintain().await;
            let mut batch = Vec::with_capacity(size);
            let due = self.next_maintenance;
            match timeout_at(due, messages.recv_many(&mut batch, size)).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(_due) => continue,
            }
            let deadline = Instant::now() + self.configuration.batch_wait;
            while batch.len() < size {
                let room = size - batch.len();
                match timeout_at(deadline, messages.recv_many(&mut batch, room)).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            if !self.finish(sources, batch).await {
                return;
            }
        }
    }

    /// Stores and acknowledges. False when time was up before.
    async fn finish(&mut self, sources: &[Source], messages: Vec<Message>) -> bool {
        let mut batch = Batch::default();
        let mut acks: Vec<(usize, u64, Acker)> = Vec::with_capacity(messages.len());
        // Which acknowledgements are of arrivals, in their order; the others are refused already.
        let mut refused = Vec::new();
        let mut stored = Vec::new();
        for Message { source, tag, acker, offset, read } in messages {
            let queue = sources.get(source).map(|source| source.queue.to_string());
            let queue = queue.unwrap_or_default();
            if let Some(offset) = offset {
                let next = batch.offsets.entry(queue.clone()).or_default();
                *next = offset.saturating_add(1).max(*next);
            }
            match read {
                Ok(arrival) => {
                    stored.push(acks.len());
                    batch.arrivals.push(arrival);
                }
                Err(reason) => {
                    refused.push((acks.len(), reason));
                    *batch.refused.entry((queue, reason)).or_default() += 1;
                }
            }
            acks.push((source, tag, acker));
        }
        let mut fates = vec![Fate::Duplicate; batch.arrivals.len()];
        for at in 0..self.stores.len() {
            let Some(found) = self.store(at, &batch).await else { return false };
            for (fate, found) in fates.iter_mut().zip(found) {
                *fate = found.max(*fate);
            }
        }
        count(&self.vitals, &fates);
        for (at, fate) in stored.into_iter().zip(fates) {
            if let Fate::Refused(reason) = fate {
                refused.push((at, reason));
            }
        }
        for (_, reason) in &refused {
            self.vitals.refuse(*reason);
        }
        acknowledge(&acks, refused.iter().map(|(at, _)| *at)).await;
        true
    }

    /// Stores a batch for good, however long it takes; `None` when it was asked to stop and cannot.
    async fn store(&mut self, at: usize, batch: &Batch) -> Option<Vec<Fate>> {
        loop {
            let mut stop = self.stop.clone();
            let store = self.stores.get_mut(at)?;
            let name = store.name();
            let stored = tokio::select! {
                stored = store.store(batch) => stored,
                () = stopped_for(&mut stop, STOP_LIMIT) => return None,
            };
            match stored {
                Ok(fates) => return Some(fates),
                Err(trouble) => self.lose_store(name, &trouble),
            }
            if !self.open(at).await {
                return None;
            }
        }
    }

    /// Removes what is too old, from time to time.
    async fn maintain(&mut self) {
        if Instant::now() < self.next_maintenance {
            return;
        }
        self.next_maintenance = Instant::now() + MAINTAIN_EVERY;
        for store in &mut self.stores {
            if let Err(trouble) = store.maintain().await {
                eprintln!("mop: {} could not be cleaned up: {trouble}", store.name());
            }
        }
    }

    fn lose_store(&self, name: &str, trouble: &Trouble) {
        self.vitals.is_store_connected.store(false, Ordering::Relaxed);
        add(&self.vitals.store_troubles, 1);
        eprintln!("mop: {name}: {trouble}");
    }

    /// Waits. True when it was asked to stop.
    async fn pause(&self, wait: Duration) -> bool {
        let mut stop = self.stop.clone();
        timeout(wait, stop.wait_for(|stop| *stop)).await.is_ok()
    }
}

/// Takes messages as they come.
struct Reader<'s> {
    sources: &'s [Source],
    max_bytes: usize,
    vitals: Arc<HubVitals>,
    stop: watch::Receiver<bool>,
    careful_until: Option<Instant>,
}

impl Reader<'_> {
    async fn run(
        mut self,
        events: impl Stream<Item = (usize, Event)>,
        messages: mpsc::Sender<Message>,
    ) -> End {
        let mut events = pin!(events);
        loop {
            let careful_until = self.careful_until;
            let passed = async {
                match careful_until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return End::Stopped,
                () = passed => return End::Passed,
                event = events.next() => event,
            };
            let message = match event {
                None => return End::Lost(Trouble::passing("lost", "no queue is consumed")),
                Some((_, Event::Ended(trouble))) => return End::Lost(trouble),
                Some((source, Event::Came(delivery))) => self.read(source, *delivery),
            };
            add(&self.vitals.received, 1);
            // The writer gave up: it was asked to stop.
            if messages.send(message).await.is_err() {
                return End::Stopped;
            }
        }
    }

    fn read(&self, source: usize, delivery: lapin::message::Delivery) -> Message {
        let lapin::message::Delivery { delivery_tag, properties, data, acker, .. } = delivery;
        let offset = broker::offset(&properties);
        let queue = self.sources.get(source).map(|source| &source.queue);
        let read = queue.map_or(Err(Refusal::Headers), |queue| {
            Arrival::from_message(queue, &properties, data, self.max_bytes)
        });
        Message { source, tag: delivery_tag, acker, offset, read }
    }
}

/// Counts what became of records.
pub(crate) fn count(vitals: &HubVitals, fates: &[Fate]) {
    for fate in fates {
        match fate {
            Fate::New => add(&vitals.stored, 1),
            Fate::Duplicate => add(&vitals.duplicates, 1),
            Fate::Expired => add(&vitals.expired, 1),
            Fate::Refused(_) => {}
        }
    }
}

/// Ends so long after it was asked to stop.
async fn stopped_for(stop: &mut watch::Receiver<bool>, limit: Duration) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more: as if it had been asked.
    }
    sleep(limit).await;
}

/// A transaction under way has so long to end when the hub is asked to stop.
const STOP_LIMIT: Duration = Duration::from_secs(6);
/// Long enough for the message in question to come up again and be set aside or not.
const CAREFUL_FOR: Duration = Duration::from_secs(60);
/// Partitions are made two days ahead: any hour will do.
const MAINTAIN_EVERY: Duration = Duration::from_secs(3600);
