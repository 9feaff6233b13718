//! The clock that ages are told by: the time of day, kept from leaping.
//!
//! A clock that is set wrong for a minute must not make every record look a year old. So this clock
//! goes on with the machine's monotonic time, and comes closer to the time of day at no more than the
//! same speed again; it never goes back. At opening it stands at the time of day, but no further
//! ahead of the newest record than half of the age that records may reach.

/// Time for ages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgeClock {
    now_ms: u64,
    monotonic_ms: u64,
}

impl AgeClock {
    /// The clock at opening.
    pub(crate) fn new(
        day_ms: u64,
        monotonic_ms: u64,
        newest_ms: Option<u64>,
        max_age_ms: u64,
    ) -> Self {
        let limit = newest_ms.map_or(day_ms, |newest| newest.saturating_add(max_age_ms / 2));
        Self { now_ms: day_ms.min(limit), monotonic_ms }
    }

    /// The clock now.
    pub(crate) fn advance(&mut self, day_ms: u64, monotonic_ms: u64) -> u64 {
        let passed = monotonic_ms.saturating_sub(self.monotonic_ms);
        self.monotonic_ms = self.monotonic_ms.max(monotonic_ms);
        let fastest = self.now_ms.saturating_add(passed.saturating_mul(2));
        self.now_ms = day_ms.clamp(self.now_ms, fastest);
        self.now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn it_follows_the_time_of_day_without_its_leaps() {
        let mut clock = AgeClock::new(100 * DAY, 0, Some(100 * DAY), 7 * DAY);
        assert_eq!(clock.advance(100 * DAY + 1000, 1000), 100 * DAY + 1000);
        // An hour ahead, and back again.
        assert_eq!(clock.advance(100 * DAY + 3_602_000, 2000), 100 * DAY + 3000);
        assert_eq!(clock.advance(100 * DAY + 3000, 3000), 100 * DAY + 3000);
        // An hour back: it waits.
        assert_eq!(clock.advance(99 * DAY, 4000), 100 * DAY + 3000);
        assert_eq!(clock.advance(100 * DAY + 3500, 5000), 100 * DAY + 3500);
    }

    #[test]
    fn a_clock_that_is_years_ahead_at_opening_costs_nothing_at_once() {
        let mut clock = AgeClock::new(9000 * DAY, 0, Some(100 * DAY), 7 * DAY);
        assert_eq!(clock.advance(9000 * DAY, 0), 103 * DAY + DAY / 2);
    }
}
