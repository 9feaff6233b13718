//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can run them on a stable compiler
//! without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use super::{
    Detector, KeyState, Sketch,
    series::{SeriesScorer, parse_row},
};

/// Reads the bytes as lines of a series.
pub fn fuzz_series(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut scorer = SeriesScorer::default();
    for line in text.split('\n') {
        let Ok(Some(scored)) = scorer.line(line) else { continue };
        let score = scored.assessment.score;
        check((0.0..=1.0).contains(&score), "a score is out of bounds");
        check(scored.row.value.is_finite(), "a value is not finite");
        let csv = scored.to_csv();
        check(csv.split(',').count() == 4, "a row has not four fields");
        let again = parse_row(&csv).map(|row| (row.time, row.value));
        check(again == Ok((scored.row.time, scored.row.value)), "a row does not come back");
        check(scored.to_json().is_ok(), "a row is no JSON");
    }
}

/// Reads the bytes as states, and goes on from what they are.
pub fn fuzz_state(data: &[u8]) {
    if let Ok(mut detector) = serde_json::from_slice::<Detector>(data) {
        for at in 0..50 {
            let score = detector.observe(at * 60, (at % 7) as f64).score;
            check((0.0..=1.0).contains(&score), "a score is out of bounds");
        }
    }
    if let Ok(mut sketch) = serde_json::from_slice::<Sketch>(data) {
        let copy = sketch.clone();
        sketch.merge(&copy);
        sketch.add(1.0);
        check(sketch.quantile(0.5).is_some(), "a sketch of values has no median");
    }
    if let Ok(state) = serde_json::from_slice::<KeyState>(data) {
        let written = serde_json::to_string(&state).unwrap_or_default();
        let again = serde_json::from_str::<KeyState>(&written).ok();
        check(again.as_ref() == Some(&state), "a state does not come back");
    }
}

fn check(holds: bool, what: &str) {
    if !holds {
        panic!("{what}");
    }
}
