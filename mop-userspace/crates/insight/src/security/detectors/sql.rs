//! SQL: a value is read as a database would that has it behind a number, in single quotes or in
//! double quotes, and what its tokens make of the statement decides.
//!
//! ```text
//! x' or 'a'='a      in single quotes: text, or, text = text          a condition that always holds
//! D'Avila or Silva  in single quotes: text, name, or, name           nothing
//! ```

mod condition;
mod statement;
mod structure;
mod token;
mod word;

use self::{
    structure::{LIKELY, Reading, SURE, surest},
    token::{Context, Kind, Token, Tokenizer},
};
use super::{super::normalise::part::Place, Clues, Subject};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place, name: _, steps: _, clues } = subject;
    if *place == Place::JsonNumber || !clues.any(NEEDED) {
        return None;
    }
    let mut least = read_all(bytes, *clues);
    if *place == Place::Path {
        // A segment as it was sent is only given as part of the whole.
        for segment in bytes.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
            if least == Some(SURE) {
                break;
            }
            least = surest(least, read_all(segment, *clues));
        }
    }
    least
}

/// Reads the value in each context that it may leave, unless it lacks what that needs.
fn read_all(bytes: &[u8], clues: Clues) -> Option<u8> {
    let is_told = clues.all(CONDITIONAL)
        || clues.any(DOUBLED) && [b"||", b"&&", b"@@"].iter().any(|pair| has_pair(bytes, pair))
        || word::has_any(bytes, clues.any(QUOTES), clues.any(VARIABLE));
    let mut least = None;
    if is_told || begins_as_expression(bytes) && has_end(bytes, clues) {
        least = read(bytes, Context::Bare);
    }
    for (clue, quote) in [(SINGLE, b'\''), (DOUBLE, b'"')] {
        if least == Some(SURE) || !clues.any(clue) {
            continue;
        }
        let context = Context::Within(quote);
        if is_told || goes_on_behind_quote(bytes, context) {
            least = surest(least, read(bytes, context));
        }
    }
    least
}

/// Whether a number, a text or a truth is first.
fn begins_as_expression(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    let is_word = start.first().is_some_and(u8::is_ascii_alphabetic);
    !is_word || word::is_truth(start)
}

/// Whether there is a comparison, a comment or the end of a statement.
fn has_end(bytes: &[u8], clues: Clues) -> bool {
    clues.any(ENDS) || clues.all(COMMENT) || clues.any(DASH) && has_pair(bytes, b"--")
}

/// Whether what is behind the quote that ends the first text is no name.
fn goes_on_behind_quote(bytes: &[u8], context: Context) -> bool {
    let mut tokenizer = Tokenizer::new(bytes, context);
    let is_ended = tokenizer.next().is_some_and(|token| token.kind == Kind::Text);
    let next = tokenizer.find(|token| token.kind != Kind::Close);
    is_ended && next.is_none_or(|token| token.kind != Kind::Name)
}

fn has_pair(bytes: &[u8], pair: &[u8; 2]) -> bool {
    bytes.windows(2).any(|window| window == pair)
}

/// Reads the value in windows that overlap, so that filling before an attack does not hide it.
fn read(bytes: &[u8], context: Context) -> Option<u8> {
    let mut tokens = [Token { kind: Kind::End, text: &[] }; WINDOW];
    let mut tokenizer = Tokenizer::new(bytes, context);
    let (mut least, mut filled, mut is_start, mut has_keyword) = (None, 0, true, false);
    loop {
        let mut is_over = true;
        while let Some(slot) = tokens.get_mut(filled) {
            let Some(token) = tokenizer.next() else { break };
            has_keyword |= matches!(token.kind, Kind::Union | Kind::Select | Kind::Logic);
            *slot = token;
            filled += 1;
            is_over = filled < WINDOW;
        }
        let reading = Reading { tokens: tokens.get(..filled).unwrap_or_default(), context };
        least = surest(least, reading.suspicion(is_start));
        if is_over || least == Some(SURE) {
            break;
        }
        is_start = false;
        tokens.copy_within(WINDOW - OVERLAP.., 0);
        filled = OVERLAP;
    }
    if tokenizer.has_conditional && has_keyword { surest(least, Some(LIKELY)) } else { least }
}

/// Whether a quote of the value ends a text, and a condition follows that always or never holds; other
/// languages have these words as well.
pub(super) fn has_condition(bytes: &[u8]) -> bool {
    [b'\'', b'"'].into_iter().any(|quote| {
        let context = Context::Within(quote);
        let mut ahead = Tokenizer::new(bytes, context);
        let is_ended = ahead.next().is_some_and(|token| token.kind == Kind::Text);
        let next = ahead.find(|token| token.kind != Kind::Close);
        if !is_ended || next.is_none_or(|token| token.kind != Kind::Logic) {
            return false;
        }
        let mut tokens = [Token { kind: Kind::End, text: &[] }; OVERLAP];
        let mut filled = 0;
        for (slot, token) in tokens.iter_mut().zip(Tokenizer::new(bytes, context)) {
            *slot = token;
            filled += 1;
        }
        Reading { tokens: tokens.get(..filled).unwrap_or_default(), context }.has_condition()
    })
}

/// One of these is in every attack.
const NEEDED: Clues = Clues::these(b"'\"`;()=<>#|&*!~@ \t\n\r\0");
/// Comments of MySQL whose content is executed have all of these.
const CONDITIONAL: Clues = Clues::these(b"/*!");
const COMMENT: Clues = Clues::these(b"/*");
const DASH: Clues = Clues::these(b"-");
/// Operators and names that two of these make.
const DOUBLED: Clues = Clues::these(b"|&@");
const ENDS: Clues = Clues::these(b"=<>;#!");
const QUOTES: Clues = Clues::these(b"'\"");
const VARIABLE: Clues = Clues::these(b"@");
const SINGLE: Clues = Clues::these(b"'");
const DOUBLE: Clues = Clues::these(b"\"");

/// Tokens that are looked at together; nearly every value has fewer.
const WINDOW: usize = 64;

/// Tokens that two windows share; no structure that is looked for is longer.
const OVERLAP: usize = 36;

#[cfg(test)]
mod tests;
