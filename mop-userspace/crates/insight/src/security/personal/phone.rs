//! Brazilian telephone numbers, by the numbering plan of Anatel: two digits of an area and eight or
//! nine of a line.

use super::{
    Class, Found, Place,
    key::{Word, beside},
    word,
};

/// The number that begins here, where one may.
pub(super) fn find(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    let (country, after) = match rest.strip_prefix(b"+55") {
        Some(after) => (true, separator(after)),
        None => (false, rest),
    };
    // Without its sign the country counts only where no area could stand.
    let after = match after.strip_prefix(b"55") {
        Some(line) if !country && matches!(word::digits(after, 13), 12 | 13) => line,
        _ => after,
    };
    let (parentheses, after) = match after.strip_prefix(b"(") {
        Some(after) => (true, after),
        None => (false, after),
    };
    let ([tens @ b'0'..=b'9', units @ b'0'..=b'9'], after) = after.split_first_chunk::<2>()? else {
        return None;
    };
    if !AREAS.contains(&((tens - b'0') * 10 + (units - b'0'))) {
        return None;
    }
    let after = if parentheses { after.strip_prefix(b")")? } else { after };
    let after = line(separator(after))?;
    let length = rest.len() - after.len();
    let is_known = country || parentheses || beside(place, WORDS);
    (word::ends(after) && is_known).then(|| place.found(Class::Phone, length))
}

/// What follows the digits of a line: nine that begin with 9, or eight that begin with 2 to 5.
fn line(text: &[u8]) -> Option<&[u8]> {
    let first = *text.first()?;
    let run = word::digits(text, MAX_LINE_DIGITS);
    let (digits, after) = match run {
        8 | 9 => (run, text.get(run..)?),
        4 | 5 => {
            let after = text.get(run..)?;
            let last = separator(after);
            if last.len() == after.len() || word::digits(last, 4) != 4 {
                return None;
            }
            (run + 4, last.get(4..)?)
        }
        _ => return None,
    };
    let is_line = match digits {
        9 => first == b'9',
        _ => (b'2'..=b'5').contains(&first),
    };
    is_line.then_some(after)
}

/// What follows one separator, if there is one.
fn separator(text: &[u8]) -> &[u8] {
    match text {
        [b' ' | b'-' | b'.', after @ ..] => after,
        _ => text,
    }
}

/// The areas of the national plan.
const AREAS: [u8; 67] = [
    11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 24, 27, 28, 31, 32, 33, 34, 35, 37, 38, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 51, 53, 54, 55, 61, 62, 63, 64, 65, 66, 67, 68, 69, 71, 73, 74, 75, 77,
    79, 81, 82, 83, 84, 85, 86, 87, 88, 89, 91, 92, 93, 94, 95, 96, 97, 98, 99,
];

const MAX_LINE_DIGITS: usize = 9;

const WORDS: &[Word] = &[
    Word::Inside("phone"),
    Word::Inside("fone"),
    Word::Inside("celular"),
    Word::Inside("whatsapp"),
    Word::Whole("mobile"),
    Word::Whole("cel"),
    Word::Whole("tel"),
    Word::Whole("sms"),
];
