//! What an operand is found to be, and how two of them compare.

use std::{cmp::Ordering, iter};

use mop_wire::Headers;

use crate::json::{Kind, Value};

/// What was found in one place of a call.
#[derive(Clone, Copy)]
pub(super) enum Fact<'a> {
    /// Seen to be missing; `null` counts as missing, as the standards of the ecosystem say.
    Absent,
    /// An array of so many elements.
    Array(usize),
    /// A boolean.
    Boolean(bool),
    /// Several field lines of one name with different values.
    Lines(&'a Headers, &'a str),
    /// A number of JSON, a status, or a constant.
    Number(Number),
    /// An object.
    Object,
    /// Characters.
    Text(Text<'a>),
    /// Not to be known.
    Unknown,
}

/// Characters as they were sent.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) form: Form,
}

/// What the bytes of a text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Value of a header field, or a method.
    Field,
    /// A string of JSON, or a constant: never read as a number.
    Json,
    /// Part of a path, with percent-encoding.
    Path,
    /// Value of a query, with percent-encoding, and `+` for a blank.
    Query,
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Written as an integer.
    Integer(i64),
    /// Written otherwise.
    Decimal(f64),
}

impl<'a> Fact<'a> {
    pub(super) fn of_json(value: Value<'a>) -> Self {
        match value.kind() {
            Kind::Array => Self::Array(value.len()),
            Kind::Boolean => value.as_bool().map_or(Self::Unknown, Self::Boolean),
            Kind::Null => Self::Absent,
            Kind::Object => Self::Object,
            Kind::String => {
                let text = value.as_str().unwrap_or_default();
                Self::Text(Text { bytes: text.as_bytes(), form: Form::Json })
            }
            Kind::Integer => {
                let number = value.as_number().and_then(|number| number.text.parse().ok());
                number.map_or(Self::Unknown, |number| Self::Number(Number::Integer(number)))
            }
            Kind::Number => {
                let number = value.as_number().map(|number| Number::Decimal(number.value));
                number.map_or(Self::Unknown, Self::Number)
            }
        }
    }

    /// All field lines of a name.
    pub(super) fn of_headers(headers: &'a Headers, name: &'a str) -> Self {
        let mut values = headers.values(name);
        match values.next() {
            None => Self::Absent,
            Some(first) if values.all(|value| value == first) => {
                Self::Text(Text { bytes: first, form: Form::Field })
            }
            Some(_) => Self::Lines(headers, name),
        }
    }

    /// The value of a name in a query, which is given without its `?`.
    pub(super) fn of_query(query: Option<&'a str>, name: &str) -> Self {
        let pairs = query.into_iter().flat_map(|query| query.split('&'));
        let mut values = pairs.filter_map(|pair| {
            let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = Text { bytes: known.as_bytes(), form: Form::Query };
            known.same(Text { bytes: name.as_bytes(), form: Form::Json }).then_some(value)
        });
        match values.next() {
            None => Self::Absent,
            Some(first) if values.all(|value| value == first) => {
                Self::Text(Text { bytes: first.as_bytes(), form: Form::Query })
            }
            Some(_) => Self::Unknown,
        }
    }

    /// Whether something is there.
    pub(super) fn is_present(self) -> Option<bool> {
        match self {
            Self::Absent => Some(false),
            Self::Unknown => None,
            Self::Array(_)
            | Self::Boolean(_)
            | Self::Lines(..)
            | Self::Number(_)
            | Self::Object
            | Self::Text(_) => Some(true),
        }
    }

    /// Whether it is written as an integer.
    pub(super) fn is_integer(self) -> Option<bool> {
        match self {
            Self::Absent | Self::Lines(..) | Self::Unknown => None,
            Self::Array(_) | Self::Boolean(_) | Self::Object => Some(false),
            Self::Number(number) => Some(matches!(number, Number::Integer(_))),
            Self::Text(text) => Some(text.integer().is_some()),
        }
    }

    /// The number it is, or that its text is.
    pub(super) fn number(self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.integer().map(Number::Integer),
            Self::Absent
            | Self::Array(_)
            | Self::Boolean(_)
            | Self::Lines(..)
            | Self::Object
            | Self::Unknown => None,
        }
    }

    /// The integer it is, or that its text is.
    pub(super) fn integer(self) -> Option<i64> {
        match self.number()? {
            Number::Integer(integer) => Some(integer),
            Number::Decimal(_) => None,
        }
    }

    /// The order of two numbers.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self.number()?, other.number()?) {
            (Number::Integer(one), Number::Integer(two)) => Some(one.cmp(&two)),
            (one, two) => one.double().partial_cmp(&two.double()),
        }
    }

    /// Whether both have one value; `None` when they are of kinds that do not compare.
    pub(super) fn equals(self, other: Self, ignoring_case: bool) -> Option<bool> {
        match (self, other) {
            (Self::Boolean(one), Self::Boolean(two)) => Some(one == two),
            (Self::Text(one), Self::Text(two)) => {
                let same = if ignoring_case { one.same_ignoring_case(two) } else { one.same(two) };
                let same_number = || Some(one.integer()? == two.integer()?);
                Some(same || same_number().unwrap_or(false))
            }
            (one, two) => one.order(two).map(Ordering::is_eq),
        }
    }

    /// Whether one text ends with the other.
    pub(super) fn ends_with(self, other: Self) -> Option<bool> {
        let (Self::Text(text), Self::Text(end)) = (self, other) else { return None };
        if text.is_plain() && end.is_plain() {
            return Some(text.bytes.ends_with(end.bytes));
        }
        let before = text.decoded().count().checked_sub(end.decoded().count());
        Some(before.is_some_and(|before| text.decoded().skip(before).eq(end.decoded())))
    }

    /// Whether a list has a token, given as its words in lower case.
    pub(super) fn contains_token(self, token: &[Box<str>]) -> Option<bool> {
        match self {
            Self::Text(text) => Some(text.contains_token(token)),
            Self::Lines(headers, name) => Some(
                headers
                    .values(name)
                    .any(|bytes| Text { bytes, form: Form::Field }.contains_token(token)),
            ),
            Self::Absent
            | Self::Array(_)
            | Self::Boolean(_)
            | Self::Number(_)
            | Self::Object
            | Self::Unknown => None,
        }
    }
}

impl<'a> Text<'a> {
    /// Its bytes without their encoding. A `%` that begins no encoding stands for itself.
    pub(super) fn decoded(self) -> impl Iterator<Item = u8> + 'a {
        let is_encoded = matches!(self.form, Form::Path | Form::Query);
        let plus = if self.form == Form::Query { b' ' } else { b'+' };
        let mut left = self.bytes;
        iter::from_fn(move || {
            let (first, rest) = left.split_first()?;
            left = rest;
            Some(match (first, rest) {
                (b'%', [high, low, rest @ ..]) if is_encoded => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        left = rest;
                        high << 4 | low
                    }
                    _ => b'%',
                },
                (b'+', _) => plus,
                (byte, _) => *byte,
            })
        })
    }

    /// Its characters without their encoding, when they are UTF-8.
    pub(super) fn with_str<R>(self, look: impl FnOnce(&str) -> Option<R>) -> Option<R> {
        if !self.is_plain() {
            let decoded: Vec<u8> = self.decoded().collect();
            return std::str::from_utf8(&decoded).ok().and_then(look);
        }
        std::str::from_utf8(self.bytes).ok().and_then(look)
    }

    /// Whether its bytes are its characters.
    fn is_plain(self) -> bool {
        match self.form {
            Form::Field | Form::Json => true,
            Form::Path => !self.bytes.contains(&b'%'),
            Form::Query => !self.bytes.iter().any(|byte| matches!(byte, b'%' | b'+')),
        }
    }

    fn same(self, other: Text<'_>) -> bool {
        if self.is_plain() && other.is_plain() {
            self.bytes == other.bytes
        } else {
            self.decoded().eq(other.decoded())
        }
    }

    fn same_ignoring_case(self, other: Text<'_>) -> bool {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.decoded().map(lower).eq(other.decoded().map(lower))
    }

    /// The integer that it is when it is only that: an optional minus and digits.
    fn integer(self) -> Option<i64> {
        if self.form == Form::Json {
            return None;
        }
        let mut bytes = self.decoded().peekable();
        let negative = bytes.next_if_eq(&b'-').is_some();
        bytes.peek()?;
        // Counted down, since there is one more negative number than there are positive ones.
        let value = bytes.try_fold(0_i64, |value, byte| {
            let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
            value.checked_mul(10)?.checked_sub(digit)
        })?;
        if negative { Some(value) } else { value.checked_neg() }
    }

    fn contains_token(self, token: &[Box<str>]) -> bool {
        self.bytes.split(|byte| matches!(byte, b',' | b';')).any(|member| {
            let mut words = member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let has_all = token.iter().all(|known| {
                words.next().is_some_and(|word| word.eq_ignore_ascii_case(known.as_bytes()))
            });
            has_all && words.next().is_none()
        })
    }
}

impl Number {
    fn double(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Decimal(double) => double,
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, form: Form) -> Text<'_> {
        Text { bytes: text.as_bytes(), form }
    }

    #[test]
    fn texts_are_decoded_by_their_form() {
        for (form, written, expected) in [
            (Form::Field, "a%20b+c", "a%20b+c"),
            (Form::Json, "a%20b+c", "a%20b+c"),
            (Form::Path, "a%20b+c", "a b+c"),
            (Form::Query, "a%20b+c", "a b c"),
            (Form::Path, "100%", "100%"),
            (Form::Path, "%zz%4", "%zz%4"),
            (Form::Path, "%2F%2f", "//"),
        ] {
            let decoded: Vec<u8> = text(written, form).decoded().collect();
            assert_eq!(decoded, expected.as_bytes(), "{form:?} {written}");
        }
    }

    #[test]
    fn only_texts_outside_json_are_numbers() {
        for (form, written, expected) in [
            (Form::Query, "25", Some(25)),
            (Form::Query, "%32%35", Some(25)),
            (Form::Field, "-1", Some(-1)),
            (Form::Field, "007", Some(7)),
            (Form::Query, "+25", None),
            (Form::Query, "", None),
            (Form::Query, "-", None),
            (Form::Query, "2.0", None),
            (Form::Query, "9223372036854775807", Some(i64::MAX)),
            (Form::Query, "-9223372036854775808", Some(i64::MIN)),
            (Form::Query, "9223372036854775808", None),
            (Form::Json, "25", None),
        ] {
            assert_eq!(text(written, form).integer(), expected, "{form:?} {written}");
        }
    }

    #[test]
    fn a_name_given_twice_counts_when_both_values_are_the_same() {
        for (query, expected) in [
            ("page=1&page=1", Some(1)),
            ("page=1&page=2", None),
            ("p%61ge=3", Some(3)),
            ("pages=3", None),
        ] {
            assert_eq!(Fact::of_query(Some(query), "page").integer(), expected, "{query}");
        }
        assert_eq!(Fact::of_query(Some("page=1&page=2"), "page").is_present(), None);
        assert_eq!(Fact::of_query(Some("size=1"), "page").is_present(), Some(false));
        assert_eq!(Fact::of_query(None, "page").is_present(), Some(false));
    }

    #[test]
    fn tokens_are_members_of_lists() {
        for (value, token, expected) in [
            ("no-store", &["no-store"][..], true),
            ("private,No-Store ; max-age=0", &["no-store"], true),
            ("no-store-at-all", &["no-store"], false),
            ("default-src 'self'; Frame-Ancestors\t 'none'", &["frame-ancestors", "'none'"], true),
            ("frame-ancestors 'none' a", &["frame-ancestors", "'none'"], false),
            ("frame-ancestors", &["frame-ancestors", "'none'"], false),
            ("", &["no-store"], false),
        ] {
            let token: Vec<Box<str>> = token.iter().map(|word| (*word).into()).collect();
            assert_eq!(text(value, Form::Field).contains_token(&token), expected, "{value}");
        }
    }

    #[test]
    fn field_lines_that_differ_have_no_one_value() {
        let mut headers = Headers::default();
        headers.push("Cache-Control", b"private");
        headers.push("cache-control", b"no-store");
        let lines = Fact::of_headers(&headers, "cache-control");
        assert_eq!(lines.is_present(), Some(true));
        assert_eq!(lines.contains_token(&["no-store".into()]), Some(true));
        assert_eq!(lines.equals(lines, false), None);
        headers = Headers::default();
        headers.push("a", b"DENY");
        headers.push("A", b"DENY");
        let deny = Fact::Text(text("deny", Form::Json));
        assert_eq!(Fact::of_headers(&headers, "a").equals(deny, true), Some(true));
    }
}
