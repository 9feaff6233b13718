//! Dates and times of RFC 3339, 5.6.
//!
//! ```text
//! full-date      = 4DIGIT "-" 2DIGIT "-" 2DIGIT
//! partial-time   = 2DIGIT ":" 2DIGIT ":" 2DIGIT [ "." 1*DIGIT ]
//! time-offset    = "Z" / ( "+" / "-" ) 2DIGIT ":" 2DIGIT
//! date-time      = full-date "T" partial-time time-offset
//! ```
//!
//! `T` and `Z` may be in lower case. The note that allows a space for `T` is about other syntaxes
//! than this one.

/// `full-date`, and in the calendar.
pub(super) fn is_date(text: &[u8]) -> bool {
    matches!(date(text), Some((_, [])))
}

/// `date-time`, with a date in the calendar and a leap second only where there can be one.
pub(super) fn is_date_time(text: &[u8]) -> bool {
    date_time(text).is_some()
}

/// What a date says about leap seconds: they are the last of a month, and the first day of a month
/// in local time is the last of another in UTC.
struct Day {
    is_first: bool,
    is_last: bool,
}

fn date(text: &[u8]) -> Option<(Day, &[u8])> {
    let (century, rest) = two_digits(text)?;
    let (year, rest) = two_digits(rest)?;
    let (month, rest) = two_digits(literal(rest, b"-")?)?;
    let (day, rest) = two_digits(literal(rest, b"-")?)?;
    let length = days_of_month(century * 100 + year, month)?;
    (1..=length)
        .contains(&day)
        .then_some((Day { is_first: day == 1, is_last: day == length }, rest))
}

fn date_time(text: &[u8]) -> Option<()> {
    let (day, rest) = date(text)?;
    let (hour, rest) = two_digits(literal(rest, b"Tt")?)?;
    let (minute, rest) = two_digits(literal(rest, b":")?)?;
    let (second, rest) = two_digits(literal(rest, b":")?)?;
    let offset_minutes = offset(fraction(rest)?)?;
    let minutes = hour * 60 + minute;
    let is_time = hour <= 23 && minute <= 59 && second <= 59;
    let is_leap_second = hour <= 23
        && minute <= 59
        && second == 60
        && match minutes - offset_minutes {
            LAST_MINUTE => day.is_last,
            LAST_MINUTE_OF_THE_DAY_BEFORE => day.is_first,
            _ => false,
        };
    (is_time || is_leap_second).then_some(())
}

/// Takes `time-secfrac` off, if there is one.
fn fraction(text: &[u8]) -> Option<&[u8]> {
    let [b'.', digits @ ..] = text else { return Some(text) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 { None } else { digits.get(length..) }
}

/// `time-offset`, up to the end.
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, rest) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = two_digits(rest)?;
    let (minutes, rest) = two_digits(literal(rest, b":")?)?;
    (hours <= 23 && minutes <= 59 && rest.is_empty()).then_some(sign * (hours * 60 + minutes))
}

fn two_digits(text: &[u8]) -> Option<(i32, &[u8])> {
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = text else { return None };
    Some((i32::from(tens - b'0') * 10 + i32::from(ones - b'0'), rest))
}

fn literal<'a>(text: &'a [u8], one_of: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_first()?;
    one_of.contains(first).then_some(rest)
}

/// RFC 3339, 5.7 and appendix C.
fn days_of_month(year: i32, month: i32) -> Option<i32> {
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(if is_leap_year { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        _ => None,
    }
}

const LAST_MINUTE: i32 = 24 * 60 - 1;
const LAST_MINUTE_OF_THE_DAY_BEFORE: i32 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for text in ["2024-02-29", "2000-02-29", "0000-01-01", "9999-12-31", "2023-04-30"] {
            assert!(is_date(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "2024-2-29",
            "2023-02-29",
            "1900-02-29",
            "2023-04-31",
            "2023-13-01",
            "2023-00-01",
            "2023-01-00",
            "2023-01-32",
            "20230101",
            "2023-01-01T",
            " 2023-01-01",
            "+2023-01-01",
            "2023/01/01",
            "٢٠٢٣-01-01",
        ] {
            assert!(!is_date(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn date_times() {
        for text in [
            "1985-04-12T23:20:50.52Z",
            "1996-12-19T16:39:57-08:00",
            "1937-01-01T12:00:27.87+00:20",
            "2024-02-29t00:00:00z",
            "2024-02-29T00:00:00-00:00",
            "2024-02-29T00:00:00.123456789012345678901Z",
            "2024-02-29T23:59:59+23:59",
            // Leap seconds: in UTC, west and east of it.
            "1990-12-31T23:59:60Z",
            "1990-12-31T15:59:60.5-08:00",
            "1991-01-01T00:59:60+01:00",
            "2015-06-30T23:59:60+00:00",
        ] {
            assert!(is_date_time(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "2024-02-29",
            "2024-02-29T00:00:00",
            "2024-02-29 00:00:00Z",
            "2024-02-29T00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T00:60:00Z",
            "2024-02-29T00:00:61Z",
            "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00,5Z",
            "2024-02-29T00:00:00+0100",
            "2024-02-29T00:00:00+01",
            "2024-02-29T00:00:00+24:00",
            "2024-02-29T00:00:00+00:60",
            "2024-02-29T00:00:00ZZ",
            "2024-02-29T00:00:00+01:00 ",
            "2023-02-29T00:00:00Z",
            // No leap seconds: at another time, and on another day.
            "1990-12-31T22:59:60Z",
            "1990-12-31T15:59:60Z",
            "1990-12-30T23:59:60Z",
            "1990-12-31T00:59:60+01:00",
            "1990-12-30T15:59:60-08:00",
            "1990-12-31T23:60:60Z",
        ] {
            assert!(!is_date_time(text.as_bytes()), "{text}");
        }
    }
}
