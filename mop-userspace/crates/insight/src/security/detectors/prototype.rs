//! Prototype pollution: names that lead from an object of JavaScript to what all objects share.

use super::{
    Clues, Subject,
    letters::{after, begins, contains, is, least, marks},
};
use crate::security::normalise::part::Place;

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, place, name, .. } = *subject;
    let accessors = if clues.any(const { Clues::these(b"_") }) { accessors(bytes) } else { None };
    let members = if clues.any(const { Clues::these(b".[\"'") }) { members(bytes) } else { None };
    let names = match place {
        Place::JsonName | Place::QueryName | Place::FormName | Place::MultipartName => alone(bytes),
        _ => None,
    };
    // A name stands before its value, so what a value goes by counts, too.
    let of_value =
        name.filter(|name| name.len() >= 9 && contains(name.as_bytes(), "__proto__")).map(|_| 1);
    least([accessors, members, names, of_value])
}

/// `__proto__`, `__defineGetter__`, `__lookupSetter__`.
fn accessors(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'_').map(|(_, _, rest)| {
        let name = rest.strip_prefix(b"_")?;
        begins(name, ACCESSORS).then_some(1)
    }))
}

/// `constructor.prototype`, `constructor[prototype]`, `Object.prototype`, `"prototype":`.
fn members(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'.' | b'[' | b'"' | b'\'')).map(
        |(before, _, rest)| {
            if !matches!(rest.first()?, b'p' | b'P' | b'"' | b'\'') {
                return None;
            }
            let name = skip_quote(rest);
            let then = after(name, "prototype")?;
            let is_whole = then.first().is_none_or(|byte| !byte.is_ascii_alphanumeric());
            let before = skip_marks_before(before);
            let is_known =
                super::letters::ends(before, &["constructor", "Object", "Array", "__proto__"]);
            (is_whole && is_known).then_some(1)
        },
    ))
}

fn skip_quote(text: &[u8]) -> &[u8] {
    match text {
        [b'"' | b'\'', rest @ ..] => rest,
        _ => text,
    }
}

/// Brackets, quotes and what stands between two members, at most [`MAX_MARKS`] of them.
fn skip_marks_before(text: &[u8]) -> &[u8] {
    let is_mark =
        |byte: &&u8| matches!(byte, b']' | b'[' | b'"' | b'\'' | b'.' | b':' | b'{' | b' ');
    let length = text.iter().rev().take(MAX_MARKS).take_while(is_mark).count();
    text.get(..text.len() - length).unwrap_or_default()
}

/// Names that only mean something one below the other: `{"constructor":{"prototype":…}}`.
fn alone(name: &[u8]) -> Option<u8> {
    if is(name, "prototype") {
        return Some(1);
    }
    is(name, "constructor").then_some(2)
}

/// `"]["`, `": {"`
const MAX_MARKS: usize = 6;

const ACCESSORS: &[&str] =
    &["proto__", "defineGetter__", "defineSetter__", "lookupGetter__", "lookupSetter__"];

#[cfg(test)]
mod tests;
