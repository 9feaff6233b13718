//! Many keys at once: their calls, failures and latencies, window by window.
//!
//! The table has a bound: when it is full, the key that was fed least recently goes, and is counted.
//! An alarm that is open then closes, so that every alarm that opens also closes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use serde::{Deserialize, Serialize};

use super::{
    Assessment, Detector, Hysteresis, Reason, Sketch, Transition, latency::LatencyDetector,
    load::Load, share::ShareDetector,
};

/// What was counted for a key in a window.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Begin of the window, in seconds since 1970, in the time zone of the business day.
    pub time: i64,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Their latencies, in seconds.
    pub latencies: &'a Sketch,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The number of calls in a window.
    Calls,
    /// The part of them that failed.
    Errors,
    /// The 95th percentile of their latencies, in seconds.
    Latency,
}

/// An alarm that opens or closes.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm<K> {
    /// The key.
    pub key: K,
    /// What it is about.
    pub signal: Signal,
    /// A sentence that says why.
    pub reason: String,
    /// What was expected.
    pub expected: f64,
    /// What was seen.
    pub seen: f64,
    /// From 0 to 1.
    pub score: f64,
    /// Whether it opens or closes.
    pub transition: Transition,
}

/// A table of keys.
#[derive(Debug)]
pub struct Watch<K> {
    most_keys: usize,
    keys: HashMap<K, Watched>,
    /// Keys by when they were fed last.
    order: BTreeMap<u64, K>,
    turn: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Watched {
    turn: u64,
    state: Box<KeyState>,
}

/// The state of one key: what a snapshot holds of it. Below 4 KiB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyState {
    calls: Detector,
    load: Load,
    errors: ShareDetector,
    latency: LatencyDetector,
    alarms: [Hysteresis; 3],
}

impl<K: Clone + Eq + Hash> Watch<K> {
    /// A table of at most so many keys; it has at least one.
    #[must_use]
    pub fn new(most_keys: usize) -> Self {
        Self {
            most_keys: most_keys.clamp(1, MAX_KEYS),
            keys: HashMap::new(),
            order: BTreeMap::new(),
            turn: 0,
            evicted: 0,
        }
    }

    /// Takes a window of a key, and gives the alarms that open or close. A key that is watched must be
    /// fed windows without calls too: silence is what an outage looks like; see [`Watch::keys`].
    pub fn observe(&mut self, key: &K, window: Window<'_>) -> Vec<Alarm<K>> {
        let mut alarms = self.touch(key);
        if let Some(watched) = self.keys.get_mut(key) {
            alarms.extend(watched.state.observe(key, window));
        }
        alarms
    }

    /// The keys, the one first that was fed least recently.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.values()
    }

    /// Whether a key is watched.
    pub fn contains(&self, key: &K) -> bool {
        self.keys.contains_key(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there may be.
    #[must_use]
    pub fn most_keys(&self) -> usize {
        self.most_keys
    }

    /// Keys that went because the table was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The states of all keys, for a snapshot, the one first that was fed least recently.
    pub fn states(&self) -> impl Iterator<Item = (&K, &KeyState)> {
        self.order.values().filter_map(|key| Some((key, &*self.keys.get(key)?.state)))
    }

    /// Puts the state of a key back, in the order in which [`Watch::states`] gave them.
    pub fn restore(&mut self, key: &K, state: KeyState) -> Vec<Alarm<K>> {
        let alarms = self.touch(key);
        if let Some(watched) = self.keys.get_mut(key) {
            *watched.state = state;
        }
        alarms
    }

    /// Makes a key the one that was fed last, with room for it.
    fn touch(&mut self, key: &K) -> Vec<Alarm<K>> {
        self.turn += 1;
        let turn = self.turn;
        self.order.insert(turn, key.clone());
        if let Some(watched) = self.keys.get_mut(key) {
            self.order.remove(&watched.turn);
            watched.turn = turn;
            return Vec::new();
        }
        let mut alarms = Vec::new();
        while self.keys.len() >= self.most_keys {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(watched) = self.keys.remove(&oldest) {
                self.evicted += 1;
                alarms.extend(watched.state.close(&oldest));
            }
        }
        self.keys.insert(key.clone(), Watched { turn, state: Box::default() });
        alarms
    }
}

impl KeyState {
    fn observe<K: Clone>(&mut self, key: &K, window: Window<'_>) -> Vec<Alarm<K>> {
        let Window { time, calls, errors, latencies } = window;
        let usual = self.calls.usual_at(time);
        let is_learning = self.calls.is_learning();
        let of_series = self.calls.observe(time, calls as f64);
        let of_calls = self.load.weigh(calls as f64, usual, is_learning, of_series);
        let assessments = [
            (Signal::Calls, Some(of_calls)),
            (Signal::Errors, Some(self.errors.observe(errors, calls))),
            (Signal::Latency, self.latency.observe(latencies)),
        ];
        let mut alarms = Vec::new();
        for (hysteresis, (signal, assessment)) in self.alarms.iter_mut().zip(assessments) {
            let Some(assessment) = assessment else { continue };
            let transition = hysteresis.step(assessment.urgency, assessment.pressing);
            alarms.extend(transition.map(|it| Alarm::new(key, signal, &assessment, it)));
        }
        alarms
    }

    /// Alarms that are open close when the key goes.
    fn close<K: Clone>(&self, key: &K) -> Vec<Alarm<K>> {
        let signals = [Signal::Calls, Signal::Errors, Signal::Latency];
        let open = self.alarms.iter().zip(signals).filter(|(alarm, _)| alarm.is_open());
        open.map(|(_, signal)| Alarm {
            key: key.clone(),
            signal,
            reason: format!("{signal}: no longer watched, other keys took the room"),
            expected: 0.0,
            seen: 0.0,
            score: 0.0,
            transition: Transition::Closed,
        })
        .collect()
    }
}

impl<K: Clone> Alarm<K> {
    fn new(key: &K, signal: Signal, assessment: &Assessment, transition: Transition) -> Self {
        let Assessment { urgency, seen, expected, cause, .. } = *assessment;
        let reason = match (transition, cause) {
            (Transition::Opened, Some(cause)) => {
                format!("{signal}: {}", Reason { cause, expected, seen })
            }
            _ => format!("{signal}: as usual again, or what it was has become usual"),
        };
        Self { key: key.clone(), signal, reason, expected, seen, score: urgency, transition }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Calls => "calls",
            Self::Errors => "share of calls that failed",
            Self::Latency => "95th percentile of the latency in seconds",
        })
    }
}

/// No table has more keys: 4 KiB each, 400 MiB.
pub const MAX_KEYS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn window(time: i64, calls: u64, errors: u64, latencies: &Sketch) -> Window<'_> {
        Window { time, calls, errors, latencies }
    }

    #[test]
    fn the_state_of_a_key_is_small() {
        assert!(size_of::<KeyState>() < 4096, "{}", size_of::<KeyState>());
    }

    #[test]
    fn each_signal_has_its_alarm_that_opens_and_closes() {
        let (mut watch, mut fast, mut slow) = (Watch::new(8), Sketch::default(), Sketch::default());
        for call in 0..100_u32 {
            fast.add(0.05 + 0.0005 * f64::from(call));
            slow.add(0.5 + 0.0005 * f64::from(call));
        }
        let usual = |at: i64| 300 + (at * 7919 % 31) as u64;
        for at in 0..2000 {
            let alarms = watch.observe(&"key", window(at * 60, usual(at), 2, &fast));
            assert_eq!(alarms, [], "{at}");
        }
        let opened = watch.observe(&"key", window(2000 * 60, 2000, 400, &slow));
        let signals: Vec<_> = opened.iter().map(|it| (it.signal, it.transition)).collect();
        let wanted = [Signal::Calls, Signal::Errors, Signal::Latency];
        assert_eq!(signals, wanted.map(|signal| (signal, Transition::Opened)), "{opened:?}");
        assert!(
            opened[0].reason.starts_with("calls: higher than usual at such a time"),
            "{opened:?}"
        );
        assert!(opened[1].reason.contains("higher than usual among calls"), "{opened:?}");
        assert_eq!((opened[0].seen, opened[1].seen), (2000.0, 400.0 / 2000.0));
        let mut closed = Vec::new();
        for at in 2001..2040 {
            let alarms = watch.observe(&"key", window(at * 60, usual(at), 2, &fast));
            closed.extend(alarms.into_iter().map(|it| (it.signal, it.transition)));
        }
        closed.sort_by_key(|(signal, _)| *signal);
        assert_eq!(closed, wanted.map(|signal| (signal, Transition::Closed)));
    }

    #[test]
    fn a_full_table_lets_the_least_recent_key_go_and_closes_its_alarm() {
        let (mut watch, none) = (Watch::new(2), Sketch::default());
        for at in 0..600 {
            watch.observe(&1, window(at * 60, 500, 1, &none));
        }
        let opened = watch.observe(&1, window(600 * 60, 500, 400, &none));
        assert_eq!(opened.len(), 1);
        watch.observe(&2, window(601 * 60, 1, 0, &none));
        assert_eq!((watch.keys().collect::<Vec<_>>(), watch.evicted()), (vec![&1, &2], 0));
        let closed = watch.observe(&3, window(602 * 60, 1, 0, &none));
        assert_eq!((closed.len(), closed[0].key, closed[0].signal), (1, 1, Signal::Errors));
        assert_eq!(closed[0].transition, Transition::Closed);
        watch.observe(&2, window(603 * 60, 1, 0, &none));
        assert_eq!((watch.keys().collect::<Vec<_>>(), watch.evicted()), (vec![&3, &2], 1));
        assert_eq!((watch.order.len(), watch.keys.len()), (2, 2));
    }

    #[test]
    fn a_restored_table_goes_on_as_if_it_had_not_been_interrupted() {
        let (mut watch, mut latencies) = (Watch::new(4), Sketch::default());
        for call in 0..30_u32 {
            latencies.add(f64::from(call));
        }
        for at in 0..500 {
            watch.observe(&(at % 3), window(i64::from(at) * 60, 20 + at as u64 % 7, 1, &latencies));
        }
        let mut restored = Watch::new(4);
        for (key, state) in watch.states() {
            let written = serde_json::to_string(state).unwrap();
            restored.restore(key, serde_json::from_str(&written).unwrap());
        }
        assert!(watch.states().eq(restored.states()));
        for at in 500..520 {
            let window = window(i64::from(at) * 60, 900, 500, &latencies);
            assert_eq!(watch.observe(&(at % 3), window), restored.observe(&(at % 3), window));
        }
        assert!(watch.states().eq(restored.states()));
    }
}
