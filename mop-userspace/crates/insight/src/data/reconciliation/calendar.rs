//! Days of the metrics platform, and when events of a day are due.
//!
//! Events are due by 06:00 of the next day (platform's workshop of July 2024; Comunicado 038/2023).
//! No document says in which zone a day begins; participants and the platform live by the clock of
//! Brasilia, whose days end the earlier deadline: an event is never later than this module says.

use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{Offset, TimeZone},
};

/// The day of a moment in Brasilia.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    TimeZone::fixed(BRASILIA).to_datetime(at).date()
}

/// When events of a day are due; the end of time for the last day that there is.
#[must_use]
pub fn due(day: Date) -> Timestamp {
    day.tomorrow()
        .and_then(|next| TimeZone::fixed(BRASILIA).to_timestamp(next.at(0, 0, 0, 0)))
        .and_then(|midnight| midnight.checked_add(AFTER_MIDNIGHT))
        .unwrap_or(Timestamp::MAX)
}

/// UTC-3 all year since Decreto 9.772/2019.
const BRASILIA: Offset = Offset::constant(-3);
/// 06:00.
const AFTER_MIDNIGHT: SignedDuration = SignedDuration::from_hours(6);

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_at_midnight_in_brasilia() {
        assert_eq!(day_of(at("2026-11-28T02:59:59Z")), date(2026, 11, 27));
        assert_eq!(day_of(at("2026-11-28T03:00:00Z")), date(2026, 11, 28));
    }

    #[test]
    fn events_are_due_at_six_of_the_next_day() {
        assert_eq!(due(date(2026, 11, 27)), at("2026-11-28T06:00:00-03:00"));
        assert_eq!(due(date(2026, 12, 31)), at("2027-01-01T09:00:00Z"));
        assert_eq!(due(Date::MAX), Timestamp::MAX);
    }
}
