//! Scores the detector and the Gaussian window as the Numenta Anomaly Benchmark does, on the labelled
//! series in the folder that `MOP_NAB` names and on made-up ones.
//!
//! `MOP_NAB=… cargo run --release -p mop-insight --example nab_score`
#![allow(clippy::print_stdout, reason = "it prints its result")]

#[path = "../tests/series/mod.rs"]
mod series;

use series::{
    corpus::labelled_series,
    detector_scores,
    gaussian::gaussian_scores,
    scorer::{
        Labelled, Outcome, REWARD_LOW_FALSE_NEGATIVES, REWARD_LOW_FALSE_POSITIVES, STANDARD, score,
    },
    synthetic::synthetic_series,
};

fn main() {
    match labelled_series() {
        Some(all) => report("labelled", &all),
        None => series::skip("nab_score", "no labelled series; MOP_NAB names their folder"),
    }
    let made_up: Vec<Labelled> = (1..=5).flat_map(synthetic_series).collect();
    report("made up", &made_up);
}

fn report(title: &str, all: &[Labelled]) {
    let ours: Vec<_> = all.iter().map(|series| (series, detector_scores(series))).collect();
    let gaussian: Vec<_> =
        all.iter().map(|series| (series, gaussian_scores(&series.values))).collect();
    let (one, other) = (score(&ours, STANDARD), score(&gaussian, STANDARD));
    println!("{title}: {} series", all.len());
    println!("{:<58} {:>24} {:>24}", "", "detector", "gaussian window");
    println!("{:<58} {:>24} {:>24}", "series", "raw  found   false", "raw  found   false");
    for ((series, _), (one, other)) in ours.iter().zip(one.series.iter().zip(&other.series)) {
        print!("{:<58}", series.name);
        for outcome in [one, other] {
            let found = format!("{}/{}", outcome.found, outcome.windows);
            print!(" {:>11.2} {:>5} {:>6}", outcome.raw, found, outcome.false_positives);
        }
        println!();
    }
    for (name, costs) in [
        ("standard", STANDARD),
        ("low false positives", REWARD_LOW_FALSE_POSITIVES),
        ("low false negatives", REWARD_LOW_FALSE_NEGATIVES),
    ] {
        let (one, other) = (score(&ours, costs), score(&gaussian, costs));
        let figure = |of: &Outcome| format!("{:.1} at {:.4}", of.normalised, of.threshold);
        println!("{name:<58} {:>24} {:>24}", figure(&one), figure(&other));
    }
    println!();
}
