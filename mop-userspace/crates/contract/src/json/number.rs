//! Numbers as RFC 8259, section 6, writes them.

/// Length of the number that `bytes` begin with, and whether it is written as an integer; `None`
/// when there is none.
pub(super) fn scan(bytes: &[u8]) -> Option<(usize, bool)> {
    let digits = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    let mut integer = true;
    if bytes.get(at) == Some(&b'.') {
        integer = false;
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        integer = false;
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    Some((at, integer))
}

/// Whether two numbers have the same value, whatever their form: `1`, `1.0` and `10e-1` are one
/// number. Compared by their digits, since doubles hold only the first seventeen.
pub(super) fn same(one: &str, two: &str) -> bool {
    one == two || Digits::of(one) == Digits::of(two)
}

/// A number as its significant digits and the power of ten of the last of them.
#[derive(Debug, PartialEq, Eq)]
struct Digits {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Digits {
    fn of(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(i64::MAX / 2)),
            None => (text, 0_i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Self { negative: false, digits: String::new(), exponent: 0 };
        }
        let zeros = significant.len() - digits.len();
        let exponent = exponent.saturating_sub(fraction.len() as i64).saturating_add(zeros as i64);
        Self { negative, digits: digits.to_owned(), exponent }
    }
}

#[cfg(test)]
mod tests {
    use super::{same, scan};

    #[test]
    fn numbers_are_the_same_by_value() {
        for (one, two, expected) in [
            ("1", "1.0", true),
            ("10e-1", "1", true),
            ("100", "1e2", true),
            ("-0", "0.0", true),
            ("9007199254740993", "9007199254740992", false),
            ("0.1", "0.10", true),
            ("-1", "1", false),
            ("0e5", "0", true),
        ] {
            assert_eq!(same(one, two), expected, "{one} {two}");
        }
    }

    #[test]
    fn numbers_end_where_the_grammar_says() {
        for (text, expected) in [
            ("0", Some((1, true))),
            ("-0", Some((2, true))),
            ("120,", Some((3, true))),
            ("1.50]", Some((4, false))),
            ("1e5", Some((3, false))),
            ("1E-05 ", Some((5, false))),
            ("01", None),
            ("-", None),
            ("1.", None),
            ("1e", None),
            ("1e+", None),
            (".5", None),
            ("+1", None),
        ] {
            assert_eq!(scan(text.as_bytes()), expected, "{text}");
        }
    }
}
