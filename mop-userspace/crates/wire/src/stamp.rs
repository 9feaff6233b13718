//! When a call returned that moved bytes, and who made it.

/// The time of a call, and its caller.
///
/// Times of calls are those of their returns, so the times of two callers tell little of which of two
/// calls was entered first: one may have been preempted right before its return. Of calls by one caller
/// each returned before the next was entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub(crate) ktime_ns: u64,
    /// [`mop_common::SegmentHead::caller`]
    pub(crate) caller: u16,
}

impl Stamp {
    /// Of a call by nobody knows whom, or where that is of no use.
    pub(crate) fn at(ktime_ns: u64) -> Self {
        Self { ktime_ns, caller: 0 }
    }

    /// True when both calls are known to be by one caller.
    pub(crate) fn is_of_caller_of(self, other: Self) -> bool {
        self.caller != 0 && self.caller == other.caller
    }
}
