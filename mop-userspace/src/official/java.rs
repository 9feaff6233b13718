//! What the platform of the official client makes of scalars, where its output depends on it.
//!
//! The official client hashes the text of a value, so that a number must be written as its JSON
//! library writes it (Jackson: integers digit by digit, everything else as `Double.toString`), and a
//! blank text, which it does not hash, is what `String.isBlank` says.

use std::fmt::Write as _;

use mop_contract::json::{Kind, Number, Value};

/// Whether a text has nothing but what `Character.isWhitespace` counts: no no-break spaces.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|character| {
        matches!(
            character,
            '\t'..='\r'
                | '\u{1c}'..='\u{20}'
                | '\u{1680}'
                | '\u{2000}'..='\u{2006}'
                | '\u{2008}'..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{205f}'
                | '\u{3000}'
        )
    })
}

/// What `String.trim` leaves.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// The text of a number.
pub(super) fn number(out: &mut String, kind: Kind, number: Number<'_>) {
    if kind == Kind::Integer {
        out.push_str(if number.text == "-0" { "0" } else { number.text });
    } else {
        double(out, number.value);
    }
}

/// A value as compact JSON, with the escapes that Jackson writes.
pub(super) fn json(out: &mut String, value: Value<'_>) {
    match value.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Boolean => out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" }),
        kind @ (Kind::Integer | Kind::Number) => {
            if let Some(written) = value.as_number() {
                number(out, kind, written);
            }
        }
        Kind::String => string(out, value.as_str().unwrap_or_default()),
        Kind::Array => {
            out.push('[');
            for (place, element) in value.elements().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                json(out, element);
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            for (place, member) in value.members().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                string(out, member.name);
                out.push(':');
                json(out, member.value);
            }
            out.push('}');
        }
    }
}

/// A string of JSON: short escapes where there are some, upper case in the others, nothing beyond
/// what must be escaped.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// `Double.toString`: the shortest digits that tell the double, from 10^-3 up to 10^7 as a decimal
/// fraction, else with an exponent; always with a digit behind the point.
fn double(out: &mut String, value: f64) {
    if value == 0.0 {
        out.push_str(if value.is_sign_negative() { "-0.0" } else { "0.0" });
        return;
    }
    let size = value.abs();
    if (1e-3..1e7).contains(&size) {
        let _ = write!(out, "{value:?}");
        return;
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    out.push_str(digits);
    if !digits.contains('.') {
        out.push_str(".0");
    }
    out.push('E');
    out.push_str(exponent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_does() {
        for (value, written) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.5, "100.5"),
            (0.001, "0.001"),
            (0.0009, "9.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-12_345_678.9, "-1.23456789E7"),
            (1e21, "1.0E21"),
            (1.5e-7, "1.5E-7"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        ] {
            let mut out = String::new();
            double(&mut out, value);
            assert_eq!(out, written);
        }
    }

    #[test]
    fn blank_is_what_java_calls_blank() {
        for (text, blank) in [
            ("", true),
            (" \t\r\n\u{b}\u{c}", true),
            ("\u{1c}\u{1f}\u{2003}\u{3000}\u{2029}", true),
            ("\u{a0}", false),
            ("\u{2007}", false),
            ("\u{202f}", false),
            ("\u{85}", false),
            (" x ", false),
        ] {
            assert_eq!(is_blank(text), blank, "{text:?}");
        }
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        let mut out = String::new();
        string(&mut out, "a\"\\/\u{8}\t\u{1f}\u{7f}é😀\u{2028}");
        assert_eq!(out, "\"a\\\"\\\\/\\b\\t\\u001F\u{7f}é😀\u{2028}\"");
    }
}
