//! The baseline: a sliding window and the tail of the normal distribution, with the parameters of the
//! Numenta Anomaly Benchmark's own "windowed Gaussian": 6400 values, moved by 100 at a time.

pub(crate) fn gaussian_scores(values: &[f64]) -> Vec<f64> {
    let (mut window, mut step) = (Vec::<f64>::new(), Vec::new());
    let mut normal: Option<(f64, f64)> = None;
    let mut scores = Vec::new();
    for value in values {
        scores.push(normal.map_or(0.0, |(mean, deviation)| {
            let units = (value - mean).abs() / deviation;
            1.0 - 0.5 * complementary_error(units / std::f64::consts::SQRT_2)
        }));
        if window.len() < WINDOW {
            window.push(*value);
            normal = Some(moments(&window));
            continue;
        }
        step.push(*value);
        if step.len() == STEP {
            window.drain(..STEP);
            window.append(&mut step);
            normal = Some(moments(&window));
        }
    }
    scores
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1e-6 })
}

/// Press and others, Numerical Recipes, 6.2: relative error below 1.2e-7, for numbers that are not
/// negative.
fn complementary_error(number: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * number);
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (sum - number * number).exp()
}

const WINDOW: usize = 6400;
const STEP: usize = 100;
