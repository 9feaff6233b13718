//! Drives one sink from its feed.
//!
//! Invariants:
//! - A record is acknowledged to the outbox only when the other side has it, when it was set aside, or
//!   when the sink does not take its kind.
//! - Records of a lane are sent in their order. After any trouble they are sent again from the first
//!   that is not acknowledged; those behind it that are known to have arrived are not.
//! - At most a window of batches is on its way: so many records may arrive twice after a trouble.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    future::{BoxFuture, Either, select},
    stream::FuturesOrdered,
};
use mop_outbox::{Entry, Feed, Lane};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Sink, Trouble, Verdict,
    backoff::Backoff,
    progress::{Done, Outcome, Progress},
};
use crate::vitals::SinkVitals;

/// One sink, its feed and all between them.
pub(crate) struct Pump {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) feed: Feed,
    pub(crate) vitals: Arc<SinkVitals>,
    /// Rings when the feed may have something new.
    pub(crate) wake: Arc<Notify>,
    /// Becomes true when nothing more is to be sent.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Where a record came from, to acknowledge it there.
#[derive(Debug)]
struct Slip {
    lane: Lane,
    sequence: u64,
    /// False: the sink does not take it.
    is_sent: bool,
}

/// A batch on its way.
struct Sent {
    slips: Vec<Slip>,
    /// Kept to be set aside, should the other side refuse it.
    entries: Vec<Entry>,
    answer: Result<Vec<Verdict>, Trouble>,
}

/// Why a session ended.
enum Ended {
    Stopped,
    /// The other side takes records, but not this one now.
    Again(&'static str),
    /// A new connection is needed.
    Trouble(Trouble),
}

impl Pump {
    /// Works until told to stop.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut progress = Progress::default();
        let mut is_connected = false;
        while !*self.stop.borrow() {
            if !is_connected {
                match stopped_or(&mut self.stop, self.sink.connect()).await {
                    None => break,
                    Some(Ok(())) => is_connected = true,
                    Some(Err(trouble)) => {
                        self.pause(trouble, &mut backoff).await;
                        continue;
                    }
                }
                self.vitals.is_connected.store(true, Ordering::Relaxed);
            }
            self.feed.rewind();
            progress.rewind();
            let trouble = match self.session(&mut progress, &mut backoff).await {
                Ended::Stopped => break,
                Ended::Again(reason) => {
                    Trouble::passing(reason, "the other side asks to send again later")
                }
                Ended::Trouble(trouble) => {
                    is_connected = false;
                    self.vitals.is_connected.store(false, Ordering::Relaxed);
                    trouble
                }
            };
            let unanswered = self.vitals.in_flight.swap(0, Ordering::Relaxed);
            self.vitals.resent.fetch_add(unanswered, Ordering::Relaxed);
            self.pause(trouble, &mut backoff).await;
        }
        self.feed.save();
        let _ = timeout(CLOSE_LIMIT, self.sink.close()).await;
        self.vitals.is_connected.store(false, Ordering::Relaxed);
    }

    /// Sends and takes answers while the connection lasts.
    async fn session(&mut self, progress: &mut Progress, backoff: &mut Backoff) -> Ended {
        let mut in_flight: FuturesOrdered<BoxFuture<'static, Sent>> = FuturesOrdered::new();
        let mut fetched: VecDeque<Entry> = VecDeque::new();
        let mut again = None;
        let mut parked_due = Instant::now();
        loop {
            // Nothing overtakes a record that has to be sent again, and nothing is begun at the end.
            let is_sending = again.is_none() && !*self.stop.borrow();
            let has_room = is_sending && in_flight.len() < self.sink.window();
            // Late, so that a sink that waits gets all that came meanwhile.
            let most = self.sink.batch().max(FETCH_RECORDS);
            if has_room && fetched.len() < self.sink.batch() {
                fetched.extend(self.feed.next(most - fetched.len(), FETCH_BYTES));
            }
            if has_room && !fetched.is_empty() {
                let (slips, entries) = self.batch(&mut fetched, progress);
                match self.send(slips, entries, &mut in_flight).await {
                    Ok(answered) => {
                        for sent in answered {
                            match self.settle(sent, progress, backoff) {
                                Ok(asked) => again = again.or(asked),
                                Err(trouble) => return Ended::Trouble(trouble),
                            }
                        }
                        continue;
                    }
                    Err(trouble) => return Ended::Trouble(trouble),
                }
            }
            if !in_flight.is_empty() {
                let answered = if is_sending {
                    let wake = Arc::clone(&self.wake);
                    let woken = Box::pin(async move { wake.notified().await });
                    let either = Box::pin(select(in_flight.next(), woken));
                    match stopped_or(&mut self.stop, either).await {
                        Some(Either::Left((answered, _))) => answered,
                        Some(Either::Right(_)) | None => continue,
                    }
                } else {
                    // Whatever does not answer in time is sent again by the next run.
                    match timeout(LAST_ANSWERS, in_flight.next()).await {
                        Ok(answered) => answered,
                        Err(_) => return again.map_or(Ended::Stopped, Ended::Again),
                    }
                };
                if let Some(sent) = answered {
                    match self.settle(sent, progress, backoff) {
                        Ok(asked) => again = again.or(asked),
                        Err(trouble) => return Ended::Trouble(trouble),
                    }
                }
                continue;
            }
            self.feed.save();
            if *self.stop.borrow() {
                return Ended::Stopped;
            }
            if let Some(reason) = again {
                return Ended::Again(reason);
            }
            if parked_due <= Instant::now() {
                parked_due = Instant::now() + PARKED_EVERY;
                if let Err(trouble) = self.try_parked().await {
                    return Ended::Trouble(trouble);
                }
            }
            let wake = Arc::clone(&self.wake);
            let woken = async move {
                let _ = timeout(LOOK_EVERY, wake.notified()).await;
            };
            let _ = stopped_or(&mut self.stop, Box::pin(woken)).await;
        }
    }

    /// Takes what makes one batch. Records that the sink does not want ride along, so that they are
    /// acknowledged in their turn.
    fn batch(
        &self,
        fetched: &mut VecDeque<Entry>,
        progress: &mut Progress,
    ) -> (Vec<Slip>, Vec<Entry>) {
        let mut slips = Vec::new();
        let mut entries = Vec::new();
        let most = self.sink.batch().max(FETCH_RECORDS);
        while entries.len() < self.sink.batch() && slips.len() < most {
            let Some(entry) = fetched.pop_front() else { break };
            if !progress.take(&entry) {
                continue;
            }
            let is_sent = self.sink.takes(&entry);
            slips.push(Slip { lane: entry.lane, sequence: entry.sequence, is_sent });
            if is_sent {
                entries.push(entry);
            }
        }
        (slips, entries)
    }

    /// Puts a batch on its way. Gives the answers of earlier ones that came meanwhile.
    async fn send(
        &mut self,
        slips: Vec<Slip>,
        entries: Vec<Entry>,
        in_flight: &mut FuturesOrdered<BoxFuture<'static, Sent>>,
    ) -> Result<Vec<Sent>, Trouble> {
        if entries.is_empty() {
            let sent = Sent { slips, entries, answer: Ok(Vec::new()) };
            in_flight.push_back(Box::pin(std::future::ready(sent)));
            return Ok(Vec::new());
        }
        let count = entries.len() as u64;
        let mut answered = Vec::new();
        let confirmation = {
            let mut sending = self.sink.send(entries.clone());
            loop {
                if in_flight.is_empty() {
                    break sending.await?;
                }
                match select(sending, in_flight.next()).await {
                    Either::Left((confirmation, _)) => break confirmation?,
                    Either::Right((sent, still_sending)) => {
                        answered.extend(sent);
                        sending = still_sending;
                    }
                }
            }
        };
        self.vitals.in_flight.fetch_add(count, Ordering::Relaxed);
        in_flight.push_back(Box::pin(async move {
            Sent { slips, entries, answer: confirmation.await }
        }));
        Ok(answered)
    }

    /// Does with each record of a batch what the answer says. Gives the reason when a record is to be
    /// sent again.
    fn settle(
        &mut self,
        sent: Sent,
        progress: &mut Progress,
        backoff: &mut Backoff,
    ) -> Result<Option<&'static str>, Trouble> {
        let Sent { slips, entries, answer } = sent;
        let count = entries.len() as u64;
        let _ = self.vitals.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_sub(count))
        });
        let verdicts = answer.inspect_err(|_| {
            self.vitals.resent.fetch_add(count, Ordering::Relaxed);
        })?;
        let mut again = None;
        let mut finished: Vec<(Lane, u64, Done)> = Vec::new();
        for (entry, verdict) in entries.iter().zip(&verdicts) {
            self.sink.decided(entry, *verdict);
        }
        let mut answers = entries.iter().zip(verdicts);
        for Slip { lane, sequence, is_sent } in slips {
            let outcome = if is_sent {
                match answers.next() {
                    Some((_, Verdict::Delivered)) => Outcome::Delivered,
                    Some((entry, Verdict::Parked(reason))) => {
                        self.feed.park(entry, reason);
                        Outcome::Parked
                    }
                    Some((_, Verdict::Again(reason))) => {
                        self.vitals.resent.fetch_add(1, Ordering::Relaxed);
                        again = Some(reason);
                        continue;
                    }
                    // The sink gave fewer verdicts than records: the rest is not known.
                    None => {
                        again = Some("unanswered");
                        continue;
                    }
                }
            } else {
                Outcome::Passed
            };
            if let Some((sequence, done)) = progress.finish(lane, sequence, outcome) {
                finished.push((lane, sequence, done));
            }
        }
        for lane in Lane::ALL {
            let of_lane = finished.iter().filter(|(other, ..)| *other == lane);
            if let Some(last) = of_lane.map(|(_, sequence, _)| *sequence).max() {
                self.sink.acknowledges(lane, last);
            }
        }
        for (lane, sequence, done) in finished {
            self.acknowledge(lane, sequence, done);
        }
        if again.is_none() && count > 0 {
            backoff.reset();
            self.vitals.set_trouble(None);
        }
        Ok(again)
    }

    /// Counts and acknowledges together, so that the ledger never sees one without the other.
    fn acknowledge(&mut self, lane: Lane, sequence: u64, done: Done) {
        let books = self.vitals.books.lock().unwrap_or_else(PoisonError::into_inner);
        self.vitals.delivered.fetch_add(done.delivered, Ordering::Relaxed);
        self.vitals.parked.fetch_add(done.parked, Ordering::Relaxed);
        self.vitals.passed.fetch_add(done.passed, Ordering::Relaxed);
        self.feed.acknowledge(lane, sequence);
        drop(books);
        // A program that is killed sends again what is behind this place, so it is never old. It costs
        // one small write without a sync.
        self.feed.save();
    }

    /// Tries what was set aside: whatever was wrong may have been mended.
    async fn try_parked(&mut self) -> Result<(), Trouble> {
        loop {
            let parked = self.feed.next_parked(self.sink.batch());
            if parked.is_empty() {
                return Ok(());
            }
            let mut places: Vec<(u64, Entry)> =
                parked.into_iter().map(|parked| (parked.place, parked.entry)).collect();
            let entries = places.iter().map(|(_, entry)| entry.clone()).collect();
            let verdicts = self.sink.send(entries).await?.await?;
            let sent = places.len();
            let is_taken = |verdict: &&Verdict| **verdict == Verdict::Delivered;
            let taken = verdicts.iter().take_while(is_taken).count();
            places.truncate(taken);
            self.sink.unparks(&places);
            for (place, _) in &places {
                self.feed.acknowledge_parked(*place);
            }
            self.vitals.unparked.fetch_add(taken as u64, Ordering::Relaxed);
            if taken < sent || *self.stop.borrow() {
                return Ok(());
            }
        }
    }

    /// Says what is wrong, once for each new trouble, and waits.
    async fn pause(&mut self, trouble: Trouble, backoff: &mut Backoff) {
        let wait = backoff.after_failure(trouble.is_lasting);
        let name = self.sink.name();
        if self.vitals.trouble().is_none_or(|before| before.reason != trouble.reason) {
            eprintln!("mop: {name}: {trouble}; records wait in the outbox");
        }
        self.vitals.set_trouble(Some(trouble));
        let _ = stopped_or(&mut self.stop, Box::pin(sleep(wait))).await;
    }
}

/// What `work` gives, or `None` when the stop comes first.
async fn stopped_or<T>(stop: &mut watch::Receiver<bool>, work: BoxFuture<'_, T>) -> Option<T> {
    let stopped = Box::pin(async {
        // The sender is gone only when the program ends.
        let _ = stop.wait_for(|is_stopped| *is_stopped).await;
    });
    match select(stopped, work).await {
        Either::Left(_) => None,
        Either::Right((done, _)) => Some(done),
    }
}

/// Records read from the outbox at once: a few windows of the largest.
const FETCH_RECORDS: usize = 1024;

/// Bytes of them: what a sink holds in memory beyond its window.
const FETCH_BYTES: usize = 4 << 20;

/// A wake-up that was missed costs no more than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was refused for a lasting reason is worth another look now and then.
const PARKED_EVERY: Duration = Duration::from_secs(60);

/// Of the ten seconds that a stop may take.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Saying goodbye is a courtesy.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
