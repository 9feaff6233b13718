//! Runs the fuzz targets on a few inputs, and on mutations of them that are the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_corpus::replay;
use mop_insight::anomaly::{
    Detector, KeyState, Sketch,
    fuzzing::{fuzz_series, fuzz_state},
};

const SERIES: [&str; 4] = [
    "timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01 00:05:00,2e3\n",
    "2014-04-01T00:00:00Z,-0\r\n\"2014-04-01T00:00:00.5+03:00\",\"7\"\r\n\r\n",
    "\u{feff}host,value,timestamp\na,1,2014-04-01\nb,inf,2014-04-02\n",
    ",,,\n\"\",\"\"\ntimestamp,value,value\n9999-12-31 23:59:59,1E308\n-009999-01-01,1e-308\n",
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
