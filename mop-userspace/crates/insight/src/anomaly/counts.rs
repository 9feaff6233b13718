//! Bounds of counts and shares, which hold at low counts too.
//!
//! Surprises are natural logarithms of one over a chance, by Chernoff's inequality (1952): the
//! chance is at most that, so a count is never held to be rarer than it is.

/// The interval of a share after Wilson (1927): `events` of `of`, within `units` standard deviations.
/// Of nothing it is the whole: 0 to 1.
#[must_use]
pub fn wilson_interval(events: f64, of: f64, units: f64) -> (f64, f64) {
    // Not `of <= 0.0`, which would let pass what is no number.
    if !(of > 0.0 && events.is_finite() && of.is_finite()) {
        return (0.0, 1.0);
    }
    let share = (events / of).clamp(0.0, 1.0);
    let square = units * units;
    let middle = share + square / (2.0 * of);
    let half = units * (share * (1.0 - share) / of + square / (4.0 * of * of)).sqrt();
    let whole = 1.0 + square / of;
    (((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0))
}

/// How surprising it is that so many or more of the calls have something that the share `usual` of
/// them has.
#[must_use]
pub fn share_surprise(events: f64, of: f64, usual: f64) -> f64 {
    let seen = events / of;
    if !(of > 0.0 && seen > usual) {
        return 0.0;
    }
    let usual = usual.clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
    let seen = seen.min(1.0);
    let rest = if seen < 1.0 { (1.0 - seen) * ((1.0 - seen) / (1.0 - usual)).ln() } else { 0.0 };
    (of * (seen * (seen / usual).ln() + rest)).max(0.0)
}

/// How surprising a count is that is so far above or below its mean, when events come independently
/// of each other.
#[must_use]
pub fn count_surprise(count: f64, mean: f64) -> f64 {
    let mean = mean.max(LEAST_MEAN);
    let ratio = if count > 0.0 { count * (count / mean).ln() } else { 0.0 };
    (ratio - count + mean).max(0.0)
}

const LEAST_SHARE: f64 = 1e-6;
const LEAST_MEAN: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 5e-4
    }

    #[test]
    fn wilson_intervals_are_those_of_the_tables() {
        // Newcombe (1998), table I: 81 of 263 and 15 of 148, 95 %.
        let (low, high) = wilson_interval(81.0, 263.0, 1.959_964);
        assert!(near(low, 0.2553) && near(high, 0.3662), "{low} {high}");
        let (low, high) = wilson_interval(15.0, 148.0, 1.959_964);
        assert!(near(low, 0.0624) && near(high, 0.1605), "{low} {high}");
        let (low, high) = wilson_interval(0.0, 20.0, 1.959_964);
        assert!(low == 0.0 && near(high, 0.1611), "{low} {high}");
        assert_eq!(wilson_interval(0.0, 0.0, 2.0), (0.0, 1.0));
    }

    #[test]
    fn surprise_is_a_bound_of_the_chance() {
        // 3 of 3 at one half is a chance of 1/8 exactly.
        assert!(near(share_surprise(3.0, 3.0, 0.5), 8.0_f64.ln()));
        assert_eq!(share_surprise(1.0, 100.0, 0.02), 0.0);
        // None of a mean of 5: exp(-5).
        assert!(near(count_surprise(0.0, 5.0), 5.0));
        assert_eq!(count_surprise(5.0, 5.0), 0.0);
        assert!(count_surprise(20.0, 5.0) > 10.0);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(!share_surprise(bad, 0.0, 0.5).is_nan());
        }
    }
}
