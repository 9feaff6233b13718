//! Until when the regulator wants to know of an incident: five business days (SUSEP, Circular
//! 638/2021). Holidays are not known here, so the day is the earliest that it can be.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::{TimeZone, offset},
};

/// The last day, in Brasilia, for what was noticed at this time.
pub(super) fn notice_until(noticed: Timestamp) -> Date {
    let mut day = noticed.to_zoned(TimeZone::fixed(offset(-3))).date();
    let mut left = BUSINESS_DAYS;
    while left > 0 {
        let Ok(next) = day.checked_add(1.day()) else { return day };
        day = next;
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            left -= 1;
        }
    }
    day
}

const BUSINESS_DAYS: u32 = 5;

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn five_business_days_are_counted_in_brasilia() {
        for (noticed, until) in [
            ("2026-11-23T12:00:00Z", date(2026, 11, 30)),
            ("2026-11-27T12:00:00Z", date(2026, 12, 4)),
            ("2026-11-28T12:00:00Z", date(2026, 12, 4)),
            // Still Friday there.
            ("2026-11-28T02:00:00Z", date(2026, 12, 4)),
        ] {
            assert_eq!(notice_until(noticed.parse().expect("a time")), until, "{noticed}");
        }
    }
}
