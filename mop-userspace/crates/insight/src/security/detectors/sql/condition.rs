//! What is said to be true or false: operands, and how they are compared.

use super::{
    structure::{LIKELY, LOOSE, Reading, SURE},
    token::Kind,
};

/// One side of a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    Call,
    Literal,
    Missing,
    Name,
    Query,
}

impl Reading<'_, '_> {
    /// One side of a comparison, and where what follows it begins.
    pub(super) fn operand(self, at: usize) -> (Operand, usize) {
        let start = self.past(at, &[Kind::Open, Kind::Not, Kind::Arithmetic, Kind::Variable]);
        if self.before(start) == Kind::Variable && start > at {
            return (Operand::Call, self.past(start, &[Kind::Close]));
        }
        let (operand, mut after) = match self.kind(start) {
            // A query among conditions stands in parentheses.
            Kind::Select if self.before(start) == Kind::Open && start > at => {
                (Operand::Query, start + 1)
            }
            Kind::Case if self.decided(start).is_some() => (Operand::Query, start + 1),
            Kind::Function | Kind::Strong | Kind::Sleep => {
                (Operand::Call, self.past_call(start + 1))
            }
            Kind::Number | Kind::Text | Kind::TextOpen | Kind::Null => {
                (Operand::Literal, self.past(start + 1, &[Kind::Text]))
            }
            Kind::System => (Operand::Query, start + 1),
            Kind::Name if matches!(self.kind(start + 1), Kind::Text | Kind::TextOpen) => {
                match self.text(start) {
                    [_] | [b'_', ..] => (Operand::Literal, start + 2),
                    _ => (Operand::Name, start + 1),
                }
            }
            Kind::Name | Kind::Schema | Kind::Object => {
                let mut after = start + 1;
                while self.kind(after) == Kind::Dot {
                    after += 2;
                }
                (Operand::Name, after)
            }
            _ => return (Operand::Missing, start),
        };
        loop {
            after = self.past(after, &[Kind::Close]);
            match self.kind(after) {
                Kind::Cast => after += 2,
                Kind::Arithmetic
                    if matches!(
                        self.kind(after + 1),
                        Kind::Number | Kind::Text | Kind::TextOpen
                    ) =>
                {
                    after += 2;
                }
                _ => return (operand, after),
            }
        }
    }

    /// Past the parentheses that open there.
    pub(super) fn past_call(self, at: usize) -> usize {
        let mut depth = 0_usize;
        let mut after = at;
        loop {
            match self.kind(after) {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::End => return after,
                _ => {}
            }
            after += 1;
            if depth == 0 || after - at > MAX_CALL {
                return after;
            }
        }
    }

    /// What is said to be true or false behind `or` and `and`.
    pub(super) fn condition(self, at: usize) -> Option<u8> {
        let is_broken = self.is_within() && self.past(1, &[Kind::Close]) + 1 == at;
        let level = self.said(at, is_broken)?;
        Some(if is_broken || self.is_expression(at) { level } else { level.max(LIKELY) })
    }

    fn said(self, at: usize, is_broken: bool) -> Option<u8> {
        let (left, after) = self.operand(at);
        match left {
            Operand::Query => return Some(SURE),
            Operand::Missing => return None,
            Operand::Call => {
                let function = self.past(at, &[Kind::Open, Kind::Not, Kind::Arithmetic]);
                let is_strong = matches!(self.kind(function), Kind::Strong | Kind::Sleep);
                let is_compared = self.kind(after) == Kind::Comparator;
                let is_sure = is_strong || is_broken || is_compared || self.starts_with_number();
                return Some(if is_sure { SURE } else { LIKELY });
            }
            Operand::Literal | Operand::Name => {}
        }
        let mut compared = after;
        if self.kind(compared) == Kind::Not {
            compared += 1;
        }
        match self.kind(compared) {
            Kind::Comparator => self.compared(at, left, compared, is_broken),
            Kind::WordComparator => self.compared_by_word(left, compared, is_broken),
            _ => {
                let is_literal = left == Operand::Literal;
                let kind = self.kind(at);
                let is_clause = matches!(
                    self.kind(after),
                    Kind::Group
                        | Kind::Having
                        | Kind::Into
                        | Kind::Limit
                        | Kind::Order
                        | Kind::Union
                );
                if is_literal && is_broken && (self.ends(after) || is_clause) {
                    // The quote of the application closes nothing, unless the rest is cut off.
                    let is_closed = self.before(after) == Kind::TextOpen || self.is_cut(after);
                    let is_sure = is_closed || is_clause || kind == Kind::Null;
                    return Some(if is_sure { SURE } else { LIKELY });
                }
                let end = self.past(after, &[Kind::Close]);
                if is_literal && self.kind(end) == Kind::Comment && self.is_after_literal(at) {
                    return Some(if self.is_cut(end) { SURE } else { LIKELY });
                }
                let is_truth = kind == Kind::Null && self.starts_with_number();
                (is_truth && self.ends(after)).then_some(SURE)
            }
        }
    }

    pub(super) fn compared(
        self,
        at: usize,
        left: Operand,
        compared: usize,
        is_broken: bool,
    ) -> Option<u8> {
        let (right, after) = self.operand(compared + 1);
        match (left, right) {
            (Operand::Literal, Operand::Literal | Operand::Call | Operand::Query) => Some(SURE),
            (Operand::Literal | Operand::Name, Operand::Missing) => is_broken.then_some(SURE),
            (_, Operand::Query | Operand::Call) => Some(if is_broken { SURE } else { LIKELY }),
            (Operand::Name, Operand::Name) if self.text(at) == self.text(compared + 1) => {
                Some(SURE)
            }
            (Operand::Name | Operand::Literal, Operand::Name | Operand::Literal) => {
                if is_broken || (self.starts_with_number() && self.ends(after)) {
                    Some(SURE)
                } else {
                    Some(LOOSE)
                }
            }
            _ => None,
        }
    }

    pub(super) fn compared_by_word(
        self,
        left: Operand,
        compared: usize,
        is_broken: bool,
    ) -> Option<u8> {
        let word = self.text(compared);
        let after = if self.kind(compared + 1) == Kind::Not { compared + 2 } else { compared + 1 };
        let (right, _) = self.operand(after);
        let is_literal = left == Operand::Literal;
        let is_open = self.kind(after) == Kind::Open;
        let is_null = self.kind(after) == Kind::Null;
        let is_text = matches!(self.kind(after), Kind::Text | Kind::TextOpen);
        let is_sure = if word.eq_ignore_ascii_case(b"in") {
            is_open && (is_literal || is_broken || right == Operand::Query)
        } else if word.eq_ignore_ascii_case(b"is") {
            is_null && (is_literal || is_broken)
        } else {
            right == Operand::Query
                || (is_literal && right == Operand::Literal)
                || (is_broken && is_text)
        };
        is_sure.then_some(SURE)
    }

    /// Whether the operators about a condition join operands, as they do in a statement; words of a
    /// sentence stand side by side. Numbers that are compared on both sides are arithmetic.
    fn is_expression(self, at: usize) -> bool {
        let mut before = at.saturating_sub(1);
        let (mut is_behind_operand, mut is_arithmetic) = (false, false);
        while let Some(previous) = before.checked_sub(1) {
            before = previous;
            let kind = self.kind(before);
            let is_text = kind == Kind::Text;
            let is_operand = is_text || matches!(kind, Kind::Number | Kind::Null) || is_name(kind);
            if is_operand && is_behind_operand && !(is_text && self.kind(before + 1) == kind) {
                return false;
            }
            // A name before a text is its type.
            is_behind_operand = is_operand && !is_text;
            is_arithmetic |= kind == Kind::Comparator && self.before(before) == Kind::Number;
            if !is_operand && !matches!(kind, Kind::Arithmetic | Kind::Comparator | Kind::Close) {
                break;
            }
        }
        let (_, mut after) = self.operand(at);
        if matches!(self.kind(after), Kind::Comparator) {
            after = self.operand(after + 1).1;
        } else if self.kind(after) != Kind::WordComparator {
            return true;
        }
        let goes_on = match self.kind(after) {
            Kind::WordComparator => matches!(
                self.kind(self.past(after + 1, &[Kind::Not])),
                Kind::Null | Kind::Number | Kind::Open | Kind::Text | Kind::TextOpen
            ),
            kind => !(is_name(kind) || matches!(kind, Kind::Number | Kind::Text | Kind::From)),
        };
        goes_on && !is_arithmetic
    }

    /// Whether a literal stands before the word before this.
    pub(super) fn is_after_literal(self, at: usize) -> bool {
        let Some(mut before) = at.checked_sub(2) else { return false };
        while self.kind(before) == Kind::Close && before > 0 {
            before -= 1;
        }
        matches!(self.kind(before), Kind::Number | Kind::Text | Kind::Null)
    }

    pub(super) fn starts_with_number(self) -> bool {
        let first = self.past(0, &[Kind::Open, Kind::Arithmetic]);
        !self.is_within() && self.kind(first) == Kind::Number
    }
}

fn is_name(kind: Kind) -> bool {
    matches!(kind, Kind::Name | Kind::Object | Kind::Schema)
}

/// Tokens between the parentheses of a call; a statement that has more is seen by what is in it.
const MAX_CALL: usize = 32;
