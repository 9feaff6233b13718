//! Runs the fuzz targets on a few inputs, and on mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_insight::anomaly::{
    Detector, KeyState, Sketch,
    fuzzing::{fuzz_series, fuzz_state},
};

const SERIES: [&str; 4] = [
    "timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01 00:05:00,2e3\n",
    "2014-04-01T00:00:00Z,-0\r\n\"2014-04-01T00:00:00.5+03:00\",\"7\"\r\n\r\n",
    "\u{feff}host,value,timestamp\na,1,2014-04-01\nb,inf,2014-04-02\n",
    ",,,\n\"\",\"\"\ntimestamp,value,value\n9999-12-31 23:59:59,1e308\n-009999-01-01,1e-308\n",
];

#[test]
fn series() {
    replay(&SERIES.map(|text| text.as_bytes().to_vec()), fuzz_series, 20_000);
}

#[test]
fn state() {
    let (mut detector, mut sketch) = (Detector::default(), Sketch::default());
    for at in 0..200 {
        detector.observe(at * 60, (at % 5) as f64);
        sketch.add(at as f64);
    }
    let corpus = [
        serde_json::to_vec(&detector).unwrap(),
        serde_json::to_vec(&sketch).unwrap(),
        serde_json::to_vec(&KeyState::default()).unwrap(),
    ];
    replay(&corpus, fuzz_state, 5_000);
}

fn replay(corpus: &[Vec<u8>], run: fn(&[u8]), mutations: usize) {
    corpus.iter().for_each(|bytes| run(bytes));
    let mut random = Random(0x696e_7369_6768);
    for _ in 0..mutations {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        run(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(5) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => bytes.insert(at, b"0123456789,.-:eE\"\n"[random.below(18)]),
        2 => drop(bytes.drain(at..end)),
        3 => {
            if let Some(byte) = bytes.get_mut(at).filter(|byte| byte.is_ascii_digit()) {
                *byte = b'0' + random.below(10) as u8;
            }
        }
        _ => {
            let part = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.splice(at..at, part);
        }
    }
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
