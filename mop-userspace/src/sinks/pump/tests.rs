//! The pump with a real outbox and a sink that answers as a test says.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use mop_outbox::{Admission, Draft, Keep, Options, Outbox};

use super::{super::Confirmation, *};
use crate::spool::unix_ms;

/// What the other side does.
#[derive(Default)]
struct Script {
    /// Everything that arrived, in its order.
    arrived: Vec<String>,
    connections: u32,
    /// Answers for an id, the first one first; then it is delivered.
    answers: BTreeMap<String, Vec<Answer>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Park,
    Again,
    /// It arrives, but the connection is lost before the answer.
    ArriveAndLose,
    /// It does not arrive, and the connection is lost.
    Lose,
}

#[derive(Clone, Default)]
struct Fake {
    script: Arc<Mutex<Script>>,
    batch: usize,
}

impl Fake {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: &str, answers: &[Answer]) {
        self.script().answers.insert(id.to_owned(), answers.to_vec());
    }

    fn arrived(&self) -> Vec<String> {
        self.script().arrived.clone()
    }
}

impl Sink for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn takes(&self, entry: &Entry) -> bool {
        &*entry.kind != "other"
    }

    fn window(&self) -> usize {
        8
    }

    fn batch(&self) -> usize {
        self.batch.max(1)
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        self.script().connections += 1;
        Box::pin(std::future::ready(Ok(())))
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        let mut verdicts = Ok(Vec::new());
        for entry in batch {
            let mut script = self.script();
            let answer = script
                .answers
                .get_mut(&*entry.id)
                .filter(|answers| !answers.is_empty())
                .map(|answers| answers.remove(0));
            let lost = Trouble::passing("lost", "the connection is gone");
            if !matches!(answer, Some(Answer::Again | Answer::Lose)) {
                script.arrived.push(entry.id.to_string());
            }
            match (answer, &mut verdicts) {
                (Some(Answer::ArriveAndLose | Answer::Lose), verdicts) => *verdicts = Err(lost),
                (Some(Answer::Park), Ok(verdicts)) => verdicts.push(Verdict::Parked("refused")),
                (Some(Answer::Again), Ok(verdicts)) => verdicts.push(Verdict::Again("nacked")),
                (None, Ok(verdicts)) => verdicts.push(Verdict::Delivered),
                (_, Err(_)) => {}
            }
        }
        let confirmation: Confirmation = Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            verdicts
        });
        Box::pin(std::future::ready(Ok(confirmation)))
    }
}

/// An outbox in a folder of its own, and the pump's vitals.
struct Stage {
    folder: tempfile::TempDir,
    fake: Fake,
    vitals: Arc<SinkVitals>,
}

impl Stage {
    fn new(batch: usize) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            fake: Fake { batch, ..Fake::default() },
            vitals: SinkVitals::new("fake"),
        }
    }

    fn open(&self, wake: &Arc<Notify>) -> Outbox {
        let wake = Arc::clone(wake);
        Outbox::open(Options {
            folder: self.folder.path().to_owned(),
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            segment_bytes: 1 << 20,
            commit_every: Duration::ZERO,
            memory_bytes: 1 << 20,
            keep: Keep::UntilDelivered,
            sinks: vec!["fake".to_owned()],
            wake: Arc::new(move || wake.notify_one()),
        })
        .expect("an outbox")
    }

    /// Puts records in, runs the pump until nothing is left or `limit`, and gives what is left.
    fn run(&self, records: &[(Lane, &str, &str)], limit: Duration) -> u64 {
        let wake = Arc::new(Notify::new());
        let mut outbox = self.open(&wake);
        for (lane, kind, id) in records {
            let draft = Draft { lane: *lane, kind, id, payload: b"{}" };
            assert!(matches!(outbox.append(draft, unix_ms()), Admission::Accepted { .. }));
        }
        outbox.commit(unix_ms());
        let (stop, stopped) = watch::channel(false);
        let pump = Pump {
            sink: Box::new(self.fake.clone()),
            feed: outbox.feed("fake").expect("a feed"),
            vitals: Arc::clone(&self.vitals),
            wake,
            stop: stopped,
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let left = || outbox.stats().spooled.iter().sum::<u64>();
        runtime.block_on(async {
            let running = tokio::spawn(pump.run());
            let end = Instant::now() + limit;
            while left() > 0 && Instant::now() < end {
                sleep(Duration::from_millis(2)).await;
            }
            stop.send(true).expect("the pump listens");
            running.await.expect("the pump ends");
        });
        let left = left();
        outbox.close();
        left
    }
}

fn data(ids: &[&'static str]) -> Vec<(Lane, &'static str, &'static str)> {
    ids.iter().map(|id| (Lane::Data, "data.call", *id)).collect()
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn all_arrive_once_in_their_order() {
    for batch in [1, 3] {
        let stage = Stage::new(batch);
        assert_eq!(stage.run(&data(&["a", "b", "c", "d"]), LONG), 0);
        assert_eq!(stage.fake.arrived(), ["a", "b", "c", "d"]);
        assert_eq!(stage.vitals.delivered.load(Ordering::Relaxed), 4);
        assert_eq!(stage.vitals.in_flight.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn the_most_important_lane_goes_first() {
    let stage = Stage::new(1);
    let records = [
        (Lane::Samples, "quality.report", "sample"),
        (Lane::Security, "security.finding", "finding"),
        (Lane::Local, "exchange", "stays"),
    ];
    assert_eq!(stage.run(&records, LONG), 0);
    assert_eq!(stage.fake.arrived(), ["finding", "sample"]);
}

#[test]
fn what_a_sink_does_not_take_passes_by() {
    let stage = Stage::new(2);
    let records =
        [(Lane::Data, "other", "a"), (Lane::Data, "data.call", "b"), (Lane::Data, "other", "c")];
    assert_eq!(stage.run(&records, LONG), 0);
    assert_eq!(stage.fake.arrived(), ["b"]);
    assert_eq!(stage.vitals.passed.load(Ordering::Relaxed), 2);
}

#[test]
fn after_a_lost_connection_nothing_is_missing_and_the_order_holds() {
    for answer in [Answer::Lose, Answer::ArriveAndLose] {
        let stage = Stage::new(1);
        stage.fake.answer("c", &[answer]);
        assert_eq!(stage.run(&data(&["a", "b", "c", "d", "e"]), LONG), 0);
        let mut first_of_each = Vec::new();
        for id in stage.fake.arrived() {
            if !first_of_each.contains(&id) {
                first_of_each.push(id);
            }
        }
        let mut sorted = first_of_each.clone();
        sorted.sort();
        assert_eq!(sorted, ["a", "b", "c", "d", "e"], "nothing is missing");
        if matches!(answer, Answer::ArriveAndLose) {
            assert_eq!(first_of_each, sorted, "the order holds");
        }
        assert_eq!(stage.fake.script().connections, 2);
        assert_eq!(stage.vitals.delivered.load(Ordering::Relaxed), 5, "each counts once");
    }
}

#[test]
fn a_record_that_is_to_be_sent_again_needs_no_new_connection_and_nothing_is_sent_twice() {
    let stage = Stage::new(1);
    stage.fake.answer("b", &[Answer::Again, Answer::Again]);
    assert_eq!(stage.run(&data(&["a", "b", "c"]), LONG), 0);
    let mut arrived = stage.fake.arrived();
    arrived.sort();
    assert_eq!(arrived, ["a", "b", "c"]);
    assert_eq!(stage.fake.script().connections, 1);
    assert!(stage.vitals.trouble().is_none(), "it is over");
}

#[test]
fn a_refused_record_is_set_aside_and_the_others_go_on() {
    let stage = Stage::new(2);
    stage.fake.answer("b", &[Answer::Park, Answer::Park]);
    assert_eq!(stage.run(&data(&["a", "b", "c"]), LONG), 0);
    assert_eq!(stage.vitals.parked.load(Ordering::Relaxed), 1);
    assert_eq!(stage.vitals.delivered.load(Ordering::Relaxed), 2);
    // The next run tries it again: it is refused once more, and then taken.
    assert_eq!(stage.run(&data(&["d"]), LONG), 0);
    assert_eq!(stage.run(&data(&["e"]), LONG), 0);
    assert_eq!(stage.fake.arrived().iter().filter(|id| *id == "b").count(), 3);
}

#[test]
fn what_was_not_sent_is_sent_by_the_next_run() {
    let stage = Stage::new(1);
    stage.fake.answer("a", &[Answer::Lose; 1000]);
    assert_eq!(stage.run(&data(&["a", "b"]), Duration::from_millis(300)), 2);
    stage.fake.answer("a", &[]);
    assert_eq!(stage.run(&data(&["c"]), LONG), 0);
    let arrived = stage.fake.arrived();
    assert_eq!(arrived.get(arrived.len() - 3..).unwrap_or_default(), ["a", "b", "c"]);
}
