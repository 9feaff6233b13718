//! One JSON object a line.

use serde_json::{Value, json};

use super::{Observed, rounded};

/// Prints figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report;

impl Report {
    /// One figure.
    pub(super) fn line(self, figure: &Value) {
        println!("{figure}");
    }

    /// What was served against what was seen of it, with everything that was lost and why.
    pub(super) fn completeness(self, figure: &str, observed: &Observed, served: u64) {
        let seen = observed.number("/by_role/server");
        self.line(&json!({
            "figure": figure,
            "served": served,
            "seen_at_server": seen,
            "seen_at_client": observed.number("/by_role/client"),
            "ratio": rounded(seen as f64 / served.max(1) as f64),
            "complete": observed.number("/complete"),
            "incomplete": observed.number("/incomplete"),
            "missing_bytes": observed.summary["missing_bytes"],
            "queue_dropped_segments": observed.summary["queue_dropped_segments"],
            "kernel": observed.summary["kernel"],
        }));
    }
}

/// The middle value; the mean of the two in the middle of an even number.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
    }
}
