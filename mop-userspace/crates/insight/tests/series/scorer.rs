//! The scorer of the Numenta Anomaly Benchmark, standard profile, from its published definition:
//! Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015, sections III
//! and IV. A detection in a window of an anomaly earns up to 1, the earlier the more; a window
//! without one costs 1; a detection elsewhere costs up to 0.11, less just behind a window. One
//! threshold is chosen for all series together. The null detector has 0, the perfect one 100.

use std::ops::RangeInclusive;

/// A series with the windows of its anomalies, as positions, in order.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub(crate) name: String,
    /// Seconds since 1970.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) windows: Vec<RangeInclusive<usize>>,
}

/// What is weighed how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CostProfile {
    pub(crate) false_positive: f64,
    pub(crate) false_negative: f64,
}

pub(crate) const STANDARD: CostProfile = CostProfile { false_positive: 0.11, false_negative: 1.0 };
pub(crate) const REWARD_LOW_FALSE_POSITIVES: CostProfile =
    CostProfile { false_positive: 0.22, false_negative: 1.0 };
pub(crate) const REWARD_LOW_FALSE_NEGATIVES: CostProfile =
    CostProfile { false_positive: 0.11, false_negative: 2.0 };

/// The score of a detector over a corpus.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// 0 is the null detector, 100 the perfect one.
    pub(crate) normalised: f64,
    pub(crate) threshold: f64,
    /// In the order of the series.
    pub(crate) series: Vec<SeriesOutcome>,
}

/// The score in one series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesOutcome {
    pub(crate) raw: f64,
    pub(crate) found: usize,
    pub(crate) windows: usize,
    pub(crate) false_positives: usize,
}

/// One value that counts.
#[derive(Clone, Copy)]
struct Point {
    score: f64,
    worth: f64,
    /// Number of the window among those of the corpus.
    window: Option<usize>,
}

/// Values at the beginning of a series that do not count: 15 % of it, at most of 5000.
pub(crate) fn probation(length: usize) -> usize {
    ((0.15 * length as f64) as usize).min(750)
}

/// Scores with the threshold that is best for the corpus.
pub(crate) fn score(corpus: &[(&Labelled, Vec<f64>)], costs: CostProfile) -> Outcome {
    let threshold = best_threshold(corpus, costs);
    score_at(corpus, costs, threshold)
}

/// Scores with a given threshold.
pub(crate) fn score_at(
    corpus: &[(&Labelled, Vec<f64>)],
    costs: CostProfile,
    threshold: f64,
) -> Outcome {
    let mut outcomes = Vec::new();
    for (series, scores) in corpus {
        let mut best = vec![-costs.false_negative; series.windows.len()];
        let (mut lost, mut false_positives) = (0.0, 0);
        for point in points(series, scores, 0, costs) {
            match point.window {
                _ if point.score < threshold => {}
                Some(window) => best[window] = best[window].max(point.worth),
                None => {
                    lost += point.worth;
                    false_positives += 1;
                }
            }
        }
        outcomes.push(SeriesOutcome {
            raw: lost + best.iter().sum::<f64>(),
            found: best.iter().filter(|worth| **worth > -costs.false_negative).count(),
            windows: best.len(),
            false_positives,
        });
    }
    let windows: usize = outcomes.iter().map(|outcome| outcome.windows).sum();
    let raw: f64 = outcomes.iter().map(|outcome| outcome.raw).sum();
    let null = -costs.false_negative * windows as f64;
    let normalised = 100.0 * (raw - null) / (windows as f64 - null);
    Outcome { normalised, threshold, series: outcomes }
}

fn best_threshold(corpus: &[(&Labelled, Vec<f64>)], costs: CostProfile) -> f64 {
    let (mut all, mut windows) = (Vec::new(), 0);
    for (series, scores) in corpus {
        all.extend(points(series, scores, windows, costs));
        windows += series.windows.len();
    }
    all.sort_by(|one, other| other.score.total_cmp(&one.score));
    let mut best = vec![-costs.false_negative; windows];
    let mut sum = -costs.false_negative * windows as f64;
    // No detection at all.
    let mut optimum = (sum, 1.1);
    for same in all.chunk_by(|one, other| one.score == other.score) {
        for point in same {
            match point.window {
                None => sum += point.worth,
                Some(window) if point.worth > best[window] => {
                    sum += point.worth - best[window];
                    best[window] = point.worth;
                }
                Some(_) => {}
            }
        }
        if sum > optimum.0 {
            optimum = (sum, same[0].score);
        }
    }
    optimum.1
}

fn points(
    series: &Labelled,
    scores: &[f64],
    first_window: usize,
    costs: CostProfile,
) -> Vec<Point> {
    assert_eq!(series.values.len(), scores.len());
    let mut points = Vec::new();
    let mut last: Option<&RangeInclusive<usize>> = None;
    for (at, score) in scores.iter().enumerate() {
        let window = series.windows.iter().position(|window| window.contains(&at));
        let worth = match (window.map(|window| &series.windows[window]), last) {
            (Some(window), _) => {
                let width = (window.end() - window.start() + 1) as f64;
                let position = -((window.end() - at + 1) as f64) / width;
                sigmoid(position) / sigmoid(-1.0)
            }
            (None, None) => -costs.false_positive,
            (None, Some(last)) => {
                let width = (last.end() - last.start()) as f64;
                costs.false_positive * sigmoid((at - last.end()) as f64 / width)
            }
        };
        if let Some(window) = window.map(|window| &series.windows[window])
            && *window.end() == at
        {
            last = Some(window);
        }
        if at >= probation(scores.len()) {
            let window = window.map(|window| first_window + window);
            points.push(Point { score: *score, worth, window });
        }
    }
    points
}

/// Near 1 at the left edge of a window, 0 at the right one, near -1 behind.
fn sigmoid(position: f64) -> f64 {
    if position >= 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}
