//! Watches what is owed to the metrics platform against the time at which it is due.
//!
//! It looks at the outbox itself, not at counts: whatever waits there was not delivered.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::{Timestamp, civil::Date};
use mop_insight::data::reconciliation::calendar::{day_of, due};

use super::tally;
use crate::{
    configuration::Configuration,
    failure::Failure,
    observe::spawn,
    vitals::{Family, Vitals},
};

/// The running watch.
pub(crate) struct Deadline {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Events that wait, by their days.
type Waiting = BTreeMap<Date, Events>;

/// Events of one day that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Events {
    all: u64,
    /// Of those, the ones that have had the time to be sent.
    late: u64,
}

/// What was seen the last time.
#[derive(Debug, Default)]
struct Seen(Mutex<Waiting>);

/// Says once what is near, and once what is over.
#[derive(Debug, Default)]
struct Warnings {
    near: Option<Date>,
    over: Option<Date>,
}

impl Deadline {
    /// Watches the outbox of a configuration, when it has one from which the platform is served. Its
    /// metrics are there in any case.
    pub(crate) fn start(
        configuration: &Configuration,
        vitals: &Vitals,
    ) -> Result<Option<Self>, Failure> {
        let seen = Arc::<Seen>::default();
        let told = Arc::clone(&seen);
        vitals.add_families(move || told.families(Timestamp::now()));
        let (Some(outbox), Some(sink)) = (&configuration.outbox.folder, &configuration.sinks.pcm)
        else {
            return Ok(None);
        };
        let (outbox, warn_before) = (outbox.clone(), sink.warn_before);
        let (stop, stopped) = bounded(1);
        let thread = spawn("mop-deadline", move || watch(&outbox, warn_before, &seen, &stopped))?;
        Ok(Some(Self { stop, thread }))
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        let Self { stop, thread } = self;
        drop(stop);
        // A panic was reported by the hook.
        let _ = thread.join();
    }
}

fn watch(outbox: &Path, warn_before: Duration, seen: &Seen, stopped: &Receiver<()>) {
    let mut warnings = Warnings::default();
    let mut is_failing = false;
    loop {
        let began = Instant::now();
        match look(outbox, Timestamp::now()) {
            Ok(waiting) => {
                is_failing = false;
                if let Some(text) = warnings.of(&waiting, Timestamp::now(), warn_before) {
                    eprintln!("mop: pcm: {text}");
                }
                *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
            }
            Err(error) if !std::mem::replace(&mut is_failing, true) => {
                eprintln!("mop: what waits for the metrics platform cannot be read: {error}");
            }
            Err(_) => {}
        }
        // However much waits, looking at it costs a small part of one processor.
        let rest = LOOK_EVERY.max(began.elapsed().saturating_mul(REST));
        if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn look(outbox: &Path, now: Timestamp) -> io::Result<Waiting> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let mut waiting = Waiting::new();
    tally::each_waiting(outbox, |entry| {
        if let Some(subject) = tally::subject_of(&entry.kind, &entry.payload) {
            // As many days as events may have; those beyond are counted under the oldest.
            let is_known = waiting.contains_key(&subject.day) || waiting.len() < MAX_DAYS;
            let first = waiting.keys().next().copied().unwrap_or(subject.day);
            let day = if is_known { subject.day } else { first };
            let events = waiting.entry(day).or_default();
            events.all += 1;
            events.late += u64::from(entry.time_ms.saturating_add(SENT_WITHIN_MS) < now_ms);
        }
    })?;
    Ok(waiting)
}

impl Seen {
    fn families(&self, now: Timestamp) -> Vec<Family> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = waiting.keys().next().copied().unwrap_or_else(|| day_of(now));
        let overdue = waiting.iter().filter(|(day, _)| due(**day) <= now);
        vec![
            Family::gauge(
                "mop_pcm_due",
                "Time until the first event that waits is due; without one, until those of today are",
            )
            .in_seconds()
            .is((due(first) - now).total(jiff::Unit::Second).unwrap_or(0.0)),
            Family::gauge("mop_pcm_overdue_events", "Events that wait and were due before now")
                .is(overdue.map(|(_, events)| events.all).sum::<u64>()),
        ]
    }
}

impl Warnings {
    /// What is to be said now.
    fn of(&mut self, waiting: &Waiting, now: Timestamp, before: Duration) -> Option<String> {
        let mut late = waiting.iter().filter(|(_, events)| events.late > 0);
        let (day, Events { late, .. }) = late.next()?;
        let at = due(*day);
        let remedy = "`mop outbox ls` and mop_sink_troubles_total say why";
        if at <= now {
            if self.over.replace(*day) == Some(*day) {
                return None;
            }
            return Some(format!("{late} events of {day} wait, and were due at {at}: {remedy}"));
        }
        let left = u64::try_from((at - now).total(jiff::Unit::Second).unwrap_or(0.0) as i64);
        let is_near = left.is_ok_and(|left| Duration::from_secs(left) < before);
        if !is_near || self.near.replace(*day) == Some(*day) {
            return None;
        }
        Some(format!("{late} events of {day} wait, and are due at {at}: {remedy}"))
    }
}

/// Deadlines come once a day.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Of the time that a look takes.
const REST: u32 = 50;
/// Events are collected for a minute; an hour at most, which `warn_before` is not there for.
const SENT_WITHIN_MS: u64 = 5 * 60_000;
/// Far more than an outbox keeps.
const MAX_DAYS: usize = 366;

#[cfg(test)]
mod tests {
    use std::sync::Arc as SharedPointer;

    use jiff::civil::date;
    use mop_outbox::{Draft, Keep, Options, Outbox};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn waiting(day: i8, all: u64, late: u64) -> Waiting {
        Waiting::from([(date(2026, 11, day), Events { all, late })])
    }

    #[test]
    fn what_is_near_and_what_is_over_is_said_once() {
        let before = Duration::from_secs(2 * 3600);
        let mut warnings = Warnings::default();
        let mut of = |waiting: &Waiting, now: &str| warnings.of(waiting, at(now), before);
        assert_eq!(of(&waiting(27, 5, 5), "2026-11-28T03:59:00-03:00"), None, "early enough");
        assert_eq!(of(&waiting(27, 5, 0), "2026-11-28T04:01:00-03:00"), None, "on their way");
        let near = of(&waiting(27, 5, 3), "2026-11-28T04:01:00-03:00").expect("said");
        assert!(near.starts_with("3 events of 2026-11-27 wait, and are due at"), "{near}");
        assert_eq!(of(&waiting(27, 6, 4), "2026-11-28T05:01:00-03:00"), None, "it was said");
        let over = of(&waiting(27, 6, 4), "2026-11-28T06:00:00-03:00").expect("said");
        assert!(over.contains("were due"), "{over}");
        assert_eq!(of(&waiting(27, 6, 4), "2026-11-28T07:00:00-03:00"), None, "it was said");
        assert!(of(&waiting(28, 1, 1), "2026-11-29T05:00:00-03:00").is_some(), "another day");
    }

    #[test]
    fn gauges_tell_of_the_first_that_waits_or_of_today() {
        let seen = Seen::default();
        let now = at("2026-11-28T05:00:00-03:00");
        let numbers = |seen: &Seen| {
            let families = seen.families(now);
            let number = |at: usize| families.get(at).and_then(|it| it.samples.first());
            [number(0), number(1)].map(|it| it.expect("a sample").value)
        };
        use crate::vitals::Number;
        assert_eq!(numbers(&seen), [Number::Real(25.0 * 3600.0), Number::Whole(0)]);
        *seen.0.lock().expect("not poisoned") = waiting(27, 5, 0);
        assert_eq!(numbers(&seen), [Number::Real(3600.0), Number::Whole(0)]);
        *seen.0.lock().expect("not poisoned") = waiting(26, 5, 0);
        assert_eq!(numbers(&seen), [Number::Real(-23.0 * 3600.0), Number::Whole(5)]);
    }

    #[test]
    fn what_waits_in_an_outbox_is_counted_by_its_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut outbox = Outbox::open(Options {
            folder: folder.path().to_owned(),
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(86_400),
            segment_bytes: 1 << 20,
            commit_every: Duration::ZERO,
            memory_bytes: 1 << 20,
            keep: Keep::UntilDelivered,
            sinks: vec!["pcm".to_owned()],
            wake: SharedPointer::new(|| {}),
        })
        .expect("an outbox");
        let now = at("2026-11-28T05:00:00-03:00");
        let now_ms = u64::try_from(now.as_millisecond()).expect("a time");
        for (number, age_ms) in [0, 1, SENT_WITHIN_MS + 1].into_iter().enumerate() {
            let payload =
                r#"{"side":"server","event":{"endpoint":"/e","timestamp":"2026-11-27T12:00:00Z"}}"#;
            let (id, payload) = (number.to_string(), payload.as_bytes());
            for kind in ["data.call", "quality.summary"] {
                let draft = Draft { lane: mop_outbox::Lane::Data, kind, id: &id, payload };
                outbox.append(draft, now_ms - age_ms);
            }
        }
        outbox.commit(now_ms);
        assert_eq!(look(folder.path(), now).expect("readable"), waiting(27, 3, 1));
        let mut feed = outbox.feed("pcm").expect("a feed");
        let second = feed.next(3, 1 << 20).last().map(|entry| entry.sequence).expect("entries");
        feed.acknowledge(mop_outbox::Lane::Data, second);
        feed.save();
        assert_eq!(look(folder.path(), now).expect("readable"), waiting(27, 1, 1));
    }
}
