//! The detector against a Gaussian window, as the Numenta Anomaly Benchmark scores both.

mod series;

use series::{
    corpus::labelled_series,
    detector_scores,
    gaussian::gaussian_scores,
    scorer::{Labelled, STANDARD, score, score_at},
    skip,
    synthetic::synthetic_series,
};

fn with_scores(
    all: &[Labelled],
    scores: impl Fn(&Labelled) -> Vec<f64>,
) -> Vec<(&Labelled, Vec<f64>)> {
    all.iter().map(|series| (series, scores(series))).collect()
}

fn gaussian(series: &Labelled) -> Vec<f64> {
    gaussian_scores(&series.values)
}

#[test]
fn on_labelled_series_the_detector_clearly_beats_a_gaussian_window() {
    let Some(all) = labelled_series() else {
        skip("nab", "no labelled series; MOP_NAB names their folder");
        return;
    };
    assert!(!all.is_empty());
    let ours = score(&with_scores(&all, detector_scores), STANDARD);
    let theirs = score(&with_scores(&all, gaussian), STANDARD);
    println!("detector {:.1}, Gaussian window {:.1}", ours.normalised, theirs.normalised);
    assert!(ours.normalised >= 55.0, "{}", ours.normalised);
    assert!(ours.normalised >= theirs.normalised + 15.0, "{ours:?} {theirs:?}");
}

#[test]
fn on_made_up_series_too() {
    let all: Vec<_> = (1..=3).flat_map(synthetic_series).collect();
    let ours = score(&with_scores(&all, detector_scores), STANDARD);
    let theirs = score(&with_scores(&all, gaussian), STANDARD);
    println!("detector {:.1}, Gaussian window {:.1}", ours.normalised, theirs.normalised);
    assert!(ours.normalised >= theirs.normalised + 5.0, "{ours:?} {theirs:?}");
}

/// A threshold that is chosen without a series must serve for it: scores mean the same everywhere.
#[test]
fn a_threshold_of_some_series_serves_for_others() {
    let Some(labelled) = labelled_series() else {
        skip("nab thresholds", "no labelled series; MOP_NAB names their folder");
        return;
    };
    let made_up = with_scores_of(&(1..=3).flat_map(synthetic_series).collect::<Vec<_>>());
    let labelled = with_scores_of(&labelled);
    let borrow = |all: &[(Labelled, Vec<f64>)], fold: usize, inside: bool| {
        let chosen = all.iter().enumerate().filter(|(at, _)| (at % FOLDS == fold) == inside);
        chosen.map(|(_, pair)| pair.clone()).collect::<Vec<_>>()
    };
    let outcome = |all: &[(Labelled, Vec<f64>)], threshold: Option<f64>| {
        let pairs: Vec<_> = all.iter().map(|(series, scores)| (series, scores.clone())).collect();
        match threshold {
            Some(threshold) => score_at(&pairs, STANDARD, threshold),
            None => score(&pairs, STANDARD),
        }
    };
    let mut kept_out = 0.0;
    for fold in 0..FOLDS {
        let threshold = outcome(&borrow(&labelled, fold, false), None).threshold;
        let part = borrow(&labelled, fold, true);
        let windows: usize = part.iter().map(|(series, _)| series.windows.len()).sum();
        kept_out += outcome(&part, Some(threshold)).normalised * windows as f64;
    }
    let windows: usize = labelled.iter().map(|(series, _)| series.windows.len()).sum();
    let kept_out = kept_out / windows as f64;
    let foreign = outcome(&made_up, None).threshold;
    let foreign = outcome(&labelled, Some(foreign)).normalised;
    println!("threshold of the other folds {kept_out:.1}, of made-up series {foreign:.1}");
    assert!(kept_out >= 50.0 && foreign >= 50.0, "{kept_out} {foreign}");
}

fn with_scores_of(all: &[Labelled]) -> Vec<(Labelled, Vec<f64>)> {
    all.iter().map(|series| (series.clone(), detector_scores(series))).collect()
}

const FOLDS: usize = 4;

/// The scorer itself, on cases that can be counted by hand.
#[test]
fn the_scorer_gives_what_the_definition_says() {
    let series = Labelled {
        name: String::new(),
        times: (0..1000).collect(),
        values: vec![0.0; 1000],
        windows: vec![400..=499, 700..=799],
    };
    let scored = |detections: &[usize]| {
        let mut scores = vec![0.0; 1000];
        detections.iter().for_each(|at| scores[*at] = 1.0);
        score_at(&[(&series, scores)], STANDARD, 0.5)
    };
    let near = |one: f64, other: f64| (one - other).abs() < 1e-3;
    assert!(near(scored(&[]).normalised, 0.0));
    assert!(near(scored(&[400, 700]).normalised, 100.0));
    // The probationary period is 150 values.
    assert!(near(scored(&[10, 149, 400, 700]).normalised, 100.0));
    // Before every window a false positive costs all of 0.11; a quarter of four is what is at stake.
    assert!(near(scored(&[150, 400, 700]).normalised, 100.0 - 11.0 / 4.0));
    // One width behind a window it costs 0.987 of that.
    assert!(near(scored(&[400, 598, 700]).normalised, 100.0 - 0.986_61 * 11.0 / 4.0));
    // In the middle of a window a detection earns 0.848 / 0.987.
    let half = 100.0 * (2.0 + 0.848_28 / 0.986_61 + 1.0) / 4.0;
    assert!(near(scored(&[450, 451, 700]).normalised, half));
    assert_eq!(scored(&[450, 451, 700]).series[0].found, 2);
}
