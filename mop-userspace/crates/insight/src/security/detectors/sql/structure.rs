//! What tokens must follow each other for a database to do something else than was meant.

use super::{
    condition::Operand,
    token::{Context, Kind, Token},
};

/// Tokens of a value, in order.
#[derive(Clone, Copy)]
pub(super) struct Reading<'t, 'a> {
    pub(super) tokens: &'t [Token<'a>],
    pub(super) context: Context,
}

impl<'a> Reading<'_, 'a> {
    /// The most that any of its tokens tells; `is_start` when the first token is that of the value.
    pub(super) fn suspicion(self, is_start: bool) -> Option<u8> {
        let mut least = if is_start { self.after_break() } else { None };
        for (at, token) in self.tokens.iter().enumerate() {
            if least == Some(SURE) {
                break;
            }
            least = surest(least, self.at(at, token.kind));
        }
        least
    }

    /// Whether a condition follows at once where the text of the application ends, and nothing that
    /// only SQL has.
    pub(super) fn has_condition(self) -> bool {
        let at = self.past(1, &[Kind::Close]);
        let is_of_sql = self.tokens.iter().any(|token| {
            matches!(token.kind, Kind::Comment | Kind::Select | Kind::Union | Kind::Variable)
        });
        !is_of_sql
            && (self.kind(0), self.kind(at)) == (Kind::Text, Kind::Logic)
            && self.condition(at + 1) == Some(SURE)
    }

    pub(super) fn kind(self, at: usize) -> Kind {
        self.tokens.get(at).map_or(Kind::End, |token| token.kind)
    }

    pub(super) fn before(self, at: usize) -> Kind {
        at.checked_sub(1).map_or(Kind::End, |before| self.kind(before))
    }

    pub(super) fn text(self, at: usize) -> &'a [u8] {
        self.tokens.get(at).map_or(&[], |token| token.text)
    }

    pub(super) fn is_within(self) -> bool {
        self.context != Context::Bare
    }

    /// Past tokens of these kinds.
    pub(super) fn past(self, mut at: usize, kinds: &[Kind]) -> usize {
        while kinds.contains(&self.kind(at)) {
            at += 1;
        }
        at
    }

    /// Whether the statement may end there.
    pub(super) fn ends(self, at: usize) -> bool {
        let at = self.past(at, &[Kind::Close]);
        matches!(self.kind(at), Kind::End | Kind::Comment | Kind::Semicolon)
    }

    /// What follows at once where the text or number of the application ends.
    pub(super) fn after_break(self) -> Option<u8> {
        let first = if self.is_within() {
            match self.kind(0) {
                Kind::Text => 0,
                _ => return None,
            }
        } else {
            let first = self.past(0, &[Kind::Open, Kind::Arithmetic]);
            match self.kind(first) {
                Kind::Number | Kind::Text | Kind::Null => first,
                _ => return None,
            }
        };
        let at = self.past(first + 1, &[Kind::Close]);
        let closes = at - first - 1;
        match self.kind(at) {
            Kind::Logic => self.condition(at + 1),
            Kind::Comparator | Kind::WordComparator => self.compared_at_once(at + 1),
            Kind::Arithmetic => self.computed_at_once(at + 1),
            Kind::Order | Kind::Group => self.sorted(at),
            Kind::Having => matches!(
                self.kind(at + 1),
                Kind::Number | Kind::Text | Kind::Function | Kind::Open | Kind::Null
            )
            .then_some(SURE),
            Kind::Limit if self.kind(at + 1) == Kind::Number => {
                let is_sure = self.ends(at + 2) || self.kind(at + 2) == Kind::Comma;
                is_sure.then_some(SURE)
            }
            Kind::Object if self.text(at + 1).eq_ignore_ascii_case(b"analyse") => Some(SURE),
            Kind::Union if self.is_within() && self.ends(at + 1) => Some(LIKELY),
            Kind::Semicolon => match self.kind(at + 1) {
                Kind::Comment => Some(SURE),
                Kind::End => self.is_within().then_some(LIKELY),
                _ if self.is_within() && self.is_cut(at + 1) => Some(SURE),
                _ => None,
            },
            Kind::Comment => self.cut_off(at, closes),
            Kind::End if self.is_within() => Some(if closes > 0 { LIKELY } else { LOOSE }),
            Kind::Text | Kind::TextOpen if self.is_within() => Some(LOOSE),
            _ => None,
        }
    }

    /// Whether a statement is there that a comment without words ends.
    pub(super) fn is_cut(self, at: usize) -> bool {
        let ahead = self.tokens.get(at..).unwrap_or_default();
        let comment = ahead.iter().find(|token| token.kind == Kind::Comment);
        comment.is_some_and(|token| !token.text.iter().any(u8::is_ascii_alphanumeric))
    }

    /// The rest of the statement is made a comment. What people write behind dashes has words.
    pub(super) fn cut_off(self, at: usize, closes: usize) -> Option<u8> {
        let text = self.text(at);
        let is_short = text.len() <= MAX_COMMENT && text.split(|byte| *byte == b' ').count() <= 3;
        // Behind a possessive stands what was being said.
        let is_said = self.is_within()
            && matches!(text, [b'-', b'-', b' ', b'A'..=b'Z' | b'a'..=b'z', ..])
            && self.text(0).contains(&b' ');
        if !is_short || is_said {
            return Some(LIKELY);
        }
        let is_idiom = text.trim_ascii_end().ends_with(b"-- -") || text.ends_with(b"--+");
        let is_closed = closes > 0 && !text.iter().any(u8::is_ascii_alphabetic);
        Some(if self.is_within() || is_closed || is_idiom { SURE } else { LIKELY })
    }

    /// `'='`, `' like '%`, `'=0#`
    pub(super) fn compared_at_once(self, at: usize) -> Option<u8> {
        let (operand, after) = self.operand(at);
        match operand {
            Operand::Query => Some(SURE),
            Operand::Call | Operand::Literal if self.is_within() => {
                let is_text = matches!(self.kind(at), Kind::Text | Kind::TextOpen);
                let goes_on = matches!(self.kind(after), Kind::Comment | Kind::Logic);
                if is_text || goes_on || operand == Operand::Call {
                    Some(SURE)
                } else {
                    self.ends(after).then_some(LIKELY)
                }
            }
            Operand::Literal if self.ends(after) => Some(LOOSE),
            _ => None,
        }
    }

    /// `'+(select …)`, `'-'`, `'^0#`
    pub(super) fn computed_at_once(self, at: usize) -> Option<u8> {
        let (operand, after) = self.operand(at);
        let is_name = self.kind(at) == Kind::Name;
        match operand {
            Operand::Query | Operand::Call => Some(SURE),
            Operand::Literal if self.is_within() && !is_name => {
                let is_open = self.kind(after.saturating_sub(1)) == Kind::TextOpen;
                let is_cut = self.kind(self.past(after, &[Kind::Close])) == Kind::Comment;
                let goes_on =
                    self.kind(after) == Kind::Arithmetic && self.kind(after + 1) == Kind::TextOpen;
                // A quote behind a space opens: signs are quoted in a sentence, too.
                let is_quoted = matches!(self.text(0).last(), Some(b' ' | b'(' | b'[' | b','));
                let level = if is_quoted && !is_cut { LIKELY } else { SURE };
                (is_open || is_cut || goes_on).then_some(level)
            }
            _ => None,
        }
    }

    /// `order by 3--`
    pub(super) fn sorted(self, at: usize) -> Option<u8> {
        if self.kind(at + 1) != Kind::By {
            return None;
        }
        match self.kind(at + 2) {
            Kind::Number | Kind::Function | Kind::Strong | Kind::Null => Some(SURE),
            Kind::Open => matches!(self.kind(at + 3), Kind::Number | Kind::Select | Kind::Case)
                .then_some(SURE),
            Kind::Name | Kind::Schema if self.kind(at + 3) == Kind::Comment => Some(SURE),
            Kind::Name | Kind::Schema if self.kind(at + 3) == Kind::Having => Some(SURE),
            Kind::Name | Kind::Schema if self.ends(at + 3) => Some(LOOSE),
            _ => None,
        }
    }

    /// What a token tells wherever it stands.
    pub(super) fn at(self, at: usize, kind: Kind) -> Option<u8> {
        let next = self.kind(at + 1);
        match kind {
            Kind::Logic => self.condition(at + 1),
            Kind::Union => self.united(at + 1),
            Kind::Select => self.queried(at),
            Kind::Strong => (next == Kind::Open).then_some(SURE),
            Kind::StrongWord => {
                let is_nested = matches!(
                    self.kind(at + 4),
                    Kind::Function | Kind::Open | Kind::Select | Kind::Sleep | Kind::Strong
                );
                let is_called = next == Kind::Open && self.kind(at + 3) == Kind::Comma;
                (is_called && is_nested).then_some(SURE)
            }
            Kind::Sleep => {
                let is_called = !matches!(self.before(at), Kind::Dot | Kind::Name);
                let has_number = match self.kind(at + 2) {
                    Kind::Number => {
                        matches!(self.kind(at + 3), Kind::Close | Kind::Arithmetic | Kind::End)
                    }
                    kind => kind == Kind::Open,
                };
                (is_called && has_number).then_some(SURE)
            }
            Kind::System => {
                let is_name =
                    self.text(at).get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"xp_"))
                        || next == Kind::Dot
                        || matches!(self.before(at), Kind::From | Kind::Dot | Kind::Exec);
                Some(if is_name { SURE } else { LIKELY })
            }
            Kind::Variable => self.is_of_server(at).then_some(SURE),
            Kind::Into if next == Kind::Outfile => Some(SURE),
            Kind::Order | Kind::Group if next == Kind::By && self.kind(at + 2) == Kind::Number => {
                Some(if self.kind(at + 3) == Kind::Comment { SURE } else { LOOSE })
            }
            Kind::Having if next == Kind::Number => {
                let (right, _) = self.operand(at + 3);
                let is_compared = self.kind(at + 2) == Kind::Comparator;
                (is_compared && right == Operand::Literal).then_some(SURE)
            }
            Kind::Case => self.decided(at),
            Kind::Function => {
                let is_nested = self.kind(at + 2) == Kind::Function || {
                    self.kind(at + 2) == Kind::Open && self.kind(at + 3) == Kind::Select
                };
                let is_choice = matches!(self.text(at), [_, b'f' | b'F'] | [_, _, b'f' | b'F'])
                    && self.kind(at + 2) == Kind::Number
                    && self.kind(at + 3) == Kind::Comparator
                    && self.kind(at + 4) == Kind::Number;
                if is_choice { Some(SURE) } else { is_nested.then_some(LIKELY) }
            }
            Kind::From if self.text(at + 1).eq_ignore_ascii_case(b"program") => {
                matches!(self.kind(at + 2), Kind::Text | Kind::TextOpen).then_some(SURE)
            }
            Kind::Open if next == Kind::Select => {
                matches!(self.before(at), Kind::From | Kind::Comparator).then_some(SURE)
            }
            _ => self.statement(at, kind),
        }
    }
}

/// The surer of both.
pub(super) fn surest(one: Option<u8>, other: Option<u8>) -> Option<u8> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// No ordinary text has it.
pub(super) const SURE: u8 = 1;

/// Hardly any text has it.
pub(super) const LIKELY: u8 = 2;

/// Some text has it.
pub(super) const LOOSE: u8 = 3;

/// Bytes of a comment that ends a statement, rather than of a sentence behind dashes.
const MAX_COMMENT: usize = 24;
