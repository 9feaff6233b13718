//! From the kernel's monotonic clock to the time of day.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The distance between `CLOCK_MONOTONIC`, which stamps segments, and UTC.
///
/// Taken anew from time to time, so that a step or a slow correction of the system's clock shows in
/// later timestamps and never in a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// UTC minus monotonic, in nanoseconds.
    pub(crate) offset_ns: i64,
}

impl Clock {
    /// The distance now.
    pub(crate) fn now() -> Self {
        // The monotonic reading lies between the two others; their mean halves the error.
        let before = nanoseconds(ClockId::Realtime);
        let monotonic = nanoseconds(ClockId::Monotonic);
        let after = nanoseconds(ClockId::Realtime);
        Self { offset_ns: before + (after - before) / 2 - monotonic }
    }

    /// The time of day at a monotonic time.
    pub(crate) fn timestamp(self, monotonic_ns: u64) -> Timestamp {
        let nanosecond = i128::from(self.offset_ns) + i128::from(monotonic_ns);
        Timestamp::from_nanosecond(nanosecond).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: what `bpf_ktime_get_ns` gives to kernel programs.
pub(crate) fn monotonic_ns() -> u64 {
    u64::try_from(nanoseconds(ClockId::Monotonic)).unwrap_or(0)
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_now() {
        let clock = Clock::now();
        let here = clock.timestamp(monotonic_ns());
        let there = Timestamp::now();
        assert!(here.duration_until(there).abs() < jiff::SignedDuration::from_secs(5));
    }

    #[test]
    fn times_beyond_the_calendar_are_no_panic() {
        let clock = Clock { offset_ns: i64::MAX };
        let _ = clock.timestamp(u64::MAX);
    }
}
