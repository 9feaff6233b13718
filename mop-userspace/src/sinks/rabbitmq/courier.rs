//! The task that owns a channel: publishes, and finds out what became of each message.
//!
//! Why it is a task of its own: the client library hangs a returned message on whichever confirm
//! comes next, not on the one of the message that was returned. Taken at its word, a message that no
//! queue took would count as delivered, and another one as returned. A return is therefore told by the
//! message id in it, and a confirm is believed only when no return can be hidden any more:
//!
//! - The broker sends the return of a message before its confirm.
//! - The library handles a frame under one lock, on its own thread. When a confirm was seen and the
//!   lock was taken after that, all of that frame has been handled: a return that came before it hangs
//!   on a confirm that is ready.
//! - All confirms are held here. So: take those that are ready, take the lock, take again those that
//!   are ready, note all returns, and only then answer for the first ones.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered},
};
use lapin::{Channel, Confirmation, Event, options::BasicPublishOptions, types::ShortString};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{errors, message::Message};
use crate::sinks::Trouble;

/// Hands messages to the task.
pub(super) struct Courier {
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The broker has it.
    Acked,
    /// The broker refuses it.
    Nacked,
    /// No queue takes it.
    Returned,
}

/// What a message's sender waits for.
pub(super) type Answer = oneshot::Receiver<Result<Outcome, Trouble>>;

impl Courier {
    pub(super) fn start(
        channel: Channel,
        events: impl Stream<Item = Event> + Send + 'static,
        exchange: &str,
        window: usize,
        confirm_timeout: Duration,
    ) -> Self {
        let (orders, incoming) = mpsc::channel(window);
        let (telling, state) = watch::channel(State::Open);
        let round = Round {
            channel,
            exchange: exchange.into(),
            waiting: BTreeMap::new(),
            confirms: FuturesUnordered::new(),
            returned: HashMap::new(),
            next: 0,
        };
        let task = tokio::spawn(run(round, incoming, events.boxed(), telling, confirm_timeout));
        Self { orders, state, task }
    }

    /// Takes a message, as soon as the broker lets messages come.
    pub(super) async fn publish(&mut self, message: Message) -> Result<Answer, Trouble> {
        let (answer, answered) = oneshot::channel();
        {
            // An error means that the task ended, which shows below.
            let open = self.state.wait_for(|state| !matches!(state, State::Blocked)).await;
            if let Ok(State::Ended(trouble)) = open.as_deref() {
                return Err(trouble.clone());
            }
        }
        if self.orders.send(Order { message, answer }).await.is_err() {
            return Err(self.trouble());
        }
        Ok(answered)
    }

    /// Why it ended.
    pub(super) fn trouble(&self) -> Trouble {
        match &*self.state.borrow() {
            State::Ended(trouble) => trouble.clone(),
            State::Open | State::Blocked => Trouble::passing("lost", "the connection was given up"),
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether messages can come.
#[derive(Clone, Debug)]
enum State {
    /// The broker asked to wait: it is short of memory or disk.
    Blocked,
    Ended(Trouble),
    Open,
}

struct Order {
    message: Message,
    answer: oneshot::Sender<Result<Outcome, Trouble>>,
}

/// A message on its way.
struct Waiting {
    id: Box<str>,
    since: Instant,
    answer: oneshot::Sender<Result<Outcome, Trouble>>,
}

/// A message's number on this channel, and what the library says of it.
type Settled = (u64, lapin::Result<Confirmation>);

async fn run(
    mut round: Round,
    mut orders: mpsc::Receiver<Order>,
    mut events: BoxStream<'static, Event>,
    state: watch::Sender<State>,
    confirm_timeout: Duration,
) {
    let mut tick = interval(SILENCE_CHECK.min(confirm_timeout));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_blocked = false;
    let mut unblocked_at = Instant::now();
    let trouble = loop {
        tokio::select! {
            Some(event) = events.next() => match event {
                Event::ConnectionBlocked(_) => {
                    is_blocked = true;
                    state.send_replace(State::Blocked);
                }
                Event::ConnectionUnblocked => {
                    is_blocked = false;
                    unblocked_at = Instant::now();
                    state.send_replace(State::Open);
                }
                Event::Error(error) => break round.cause(error),
                _ => {}
            },
            Some(settled) = round.confirms.next() => {
                if let Err(error) = round.settle(settled) {
                    break round.cause(error);
                }
            }
            order = orders.recv() => match order {
                Some(order) => {
                    round.publish(order);
                    while let Ok(order) = orders.try_recv() {
                        round.publish(order);
                    }
                }
                None => return,
            },
            _ = tick.tick() => {
                let oldest = round.waiting.first_key_value().map(|(_, waiting)| waiting.since);
                let silent_since = oldest.map(|oldest| oldest.max(unblocked_at));
                if !is_blocked && silent_since.is_some_and(|at| at.elapsed() > confirm_timeout) {
                    break Trouble::passing(
                        "silent",
                        format!("the broker has confirmed nothing for {confirm_timeout:?}"),
                    );
                }
            }
        }
    };
    // First, so that who is told of the end by an answer finds it.
    state.send_replace(State::Ended(trouble.clone()));
    for waiting in round.waiting.into_values() {
        let _told = waiting.answer.send(Err(trouble.clone()));
    }
}

/// What is on its way.
///
/// Each number in `waiting` has one future in `confirms`, until it is settled.
struct Round {
    channel: Channel,
    exchange: Box<str>,
    waiting: BTreeMap<u64, Waiting>,
    confirms: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// Messages that came back and were not confirmed yet, by id, and how many of each.
    returned: HashMap<Box<str>, u32>,
    next: u64,
}

impl Round {
    fn publish(&mut self, order: Order) {
        let Order { message, answer } = order;
        let Message { id, routing_key, properties, body } = message;
        let number = self.next;
        self.next += 1;
        let channel = self.channel.clone();
        // Checked with the configuration: it fits.
        let exchange = ShortString::try_new(&*self.exchange).unwrap_or_default();
        let mut confirm = async move {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let published =
                channel.basic_publish(exchange, routing_key, options, &body, properties).await;
            drop(body);
            match published {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        }
        .boxed();
        self.waiting.insert(number, Waiting { id, since: Instant::now(), answer });
        // Its first poll gives the message to the library: here, so that they go in order.
        match Pin::new(&mut confirm).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(settled) => {
                self.confirms.push(std::future::ready(settled).boxed());
            }
            std::task::Poll::Pending => self.confirms.push(confirm),
        }
    }

    /// Answers for a message, and for all that are ready with it.
    fn settle(&mut self, first: Settled) -> Result<(), lapin::Error> {
        let mut settled = self.ready(vec![first])?;
        while !settled.is_empty() {
            // Only for the lock; what it waits for is not wanted.
            let _unwanted = self.channel.wait_for_confirms().now_or_never();
            let later = self.ready(Vec::new())?;
            for (number, confirmation) in settled {
                self.answer(number, &confirmation);
            }
            settled = later;
        }
        if self.waiting.is_empty() {
            self.returned.clear();
        }
        Ok(())
    }

    /// All that are ready now. Their returns are noted.
    fn ready(
        &mut self,
        mut settled: Vec<Settled>,
    ) -> Result<Vec<(u64, Confirmation)>, lapin::Error> {
        while let Some(Some(next)) = self.confirms.next().now_or_never() {
            settled.push(next);
        }
        let mut confirmed = Vec::with_capacity(settled.len());
        for (number, result) in settled {
            let confirmation = result?;
            if let Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) =
                &confirmation
                && let Some(id) = returned.properties.message_id()
            {
                *self.returned.entry(id.as_str().into()).or_default() += 1;
            }
            confirmed.push((number, confirmation));
        }
        Ok(confirmed)
    }

    fn answer(&mut self, number: u64, confirmation: &Confirmation) {
        let Some(Waiting { id, since: _, answer }) = self.waiting.remove(&number) else { return };
        let outcome = match self.returned.get_mut(&id) {
            Some(count) => {
                *count -= 1;
                if *count == 0 {
                    self.returned.remove(&id);
                }
                Outcome::Returned
            }
            None if confirmation.is_ack() => Outcome::Acked,
            None => Outcome::Nacked,
        };
        // Nobody may wait any more: then it is sent again.
        let _told = answer.send(Ok(outcome));
    }

    /// Of all errors that an event leads to, what the most telling one says.
    fn cause(&mut self, first: lapin::Error) -> Trouble {
        let mut cause = first;
        while let Some(Some((_, result))) = self.confirms.next().now_or_never() {
            if let Err(error) = result
                && errors::telling(&error) > errors::telling(&cause)
            {
                cause = error;
            }
        }
        errors::trouble("publishing", &cause)
    }
}

/// How often silence is looked for: it need not be exact.
const SILENCE_CHECK: Duration = Duration::from_secs(1);
