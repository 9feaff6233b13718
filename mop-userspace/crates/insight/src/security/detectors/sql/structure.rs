//! What tokens must follow each other for a database to do something else than was meant.

use super::token::{Context, Kind, Token};

/// Tokens of a value, in order.
#[derive(Clone, Copy)]
pub(super) struct Reading<'t, 'a> {
    pub(super) tokens: &'t [Token<'a>],
    pub(super) context: Context,
}

/// One side of a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Call,
    Literal,
    Missing,
    Name,
    Query,
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

    fn kind(self, at: usize) -> Kind {
        self.tokens.get(at).map_or(Kind::End, |token| token.kind)
    }

    fn before(self, at: usize) -> Kind {
        at.checked_sub(1).map_or(Kind::End, |before| self.kind(before))
    }

    fn text(self, at: usize) -> &'a [u8] {
        self.tokens.get(at).map_or(&[], |token| token.text)
    }

    fn is_within(self) -> bool {
        self.context != Context::Bare
    }

    /// Past tokens of these kinds.
    fn past(self, mut at: usize, kinds: &[Kind]) -> usize {
        while kinds.contains(&self.kind(at)) {
            at += 1;
        }
        at
    }

    /// Whether the statement may end there.
    fn ends(self, at: usize) -> bool {
        let at = self.past(at, &[Kind::Close]);
        matches!(self.kind(at), Kind::End | Kind::Comment | Kind::Semicolon)
    }

    /// What follows at once where the text or number of the application ends.
    fn after_break(self) -> Option<u8> {
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
                _ => None,
            },
            Kind::Comment => self.cut_off(at, closes),
            Kind::End if self.is_within() => Some(if closes > 0 { LIKELY } else { LOOSE }),
            Kind::Text | Kind::TextOpen if self.is_within() => Some(LOOSE),
            _ => None,
        }
    }

    /// The rest of the statement is made a comment. What people write behind dashes has words.
    fn cut_off(self, at: usize, closes: usize) -> Option<u8> {
        let text = self.text(at);
        let is_short = text.len() <= MAX_COMMENT && text.split(|byte| *byte == b' ').count() <= 3;
        if !is_short {
            return Some(LIKELY);
        }
        let is_idiom = text.trim_ascii_end().ends_with(b"-- -") || text.ends_with(b"--+");
        Some(if self.is_within() || closes > 0 || is_idiom { SURE } else { LIKELY })
    }

    /// `'='`, `' like '%`, `'=0#`
    fn compared_at_once(self, at: usize) -> Option<u8> {
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
    fn computed_at_once(self, at: usize) -> Option<u8> {
        let (operand, after) = self.operand(at);
        match operand {
            Operand::Query | Operand::Call => Some(SURE),
            Operand::Literal if self.is_within() => {
                let is_open = self.kind(after.saturating_sub(1)) == Kind::TextOpen;
                let is_cut = self.kind(self.past(after, &[Kind::Close])) == Kind::Comment;
                let goes_on =
                    self.kind(after) == Kind::Arithmetic && self.kind(after + 1) == Kind::TextOpen;
                (is_open || is_cut || goes_on).then_some(SURE)
            }
            _ => None,
        }
    }

    /// `order by 3--`
    fn sorted(self, at: usize) -> Option<u8> {
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

    /// One side of a comparison, and where what follows it begins.
    fn operand(self, at: usize) -> (Operand, usize) {
        let start = self.past(at, &[Kind::Open, Kind::Not, Kind::Arithmetic, Kind::Variable]);
        if self.before(start) == Kind::Variable && start > at {
            return (Operand::Call, self.past(start, &[Kind::Close]));
        }
        let (operand, mut after) = match self.kind(start) {
            Kind::Select | Kind::Case => (Operand::Query, start + 1),
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
    fn past_call(self, at: usize) -> usize {
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
    fn condition(self, at: usize) -> Option<u8> {
        let (left, after) = self.operand(at);
        let is_broken = self.is_within() && self.past(1, &[Kind::Close]) + 1 == at;
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
                if is_literal && is_broken && self.ends(after) {
                    return Some(SURE);
                }
                let is_cut = self.kind(self.past(after, &[Kind::Close])) == Kind::Comment;
                if is_literal && is_cut && self.is_after_literal(at) {
                    return Some(SURE);
                }
                let is_truth = kind == Kind::Null && self.starts_with_number();
                (is_truth && self.ends(after)).then_some(SURE)
            }
        }
    }

    fn compared(self, at: usize, left: Operand, compared: usize, is_broken: bool) -> Option<u8> {
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

    fn compared_by_word(self, left: Operand, compared: usize, is_broken: bool) -> Option<u8> {
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

    /// Whether a literal stands before the word before this.
    fn is_after_literal(self, at: usize) -> bool {
        let Some(mut before) = at.checked_sub(2) else { return false };
        while self.kind(before) == Kind::Close && before > 0 {
            before -= 1;
        }
        matches!(self.kind(before), Kind::Number | Kind::Text | Kind::Null)
    }

    fn starts_with_number(self) -> bool {
        let first = self.past(0, &[Kind::Open, Kind::Arithmetic]);
        !self.is_within() && self.kind(first) == Kind::Number
    }

    /// What a token tells wherever it stands.
    fn at(self, at: usize, kind: Kind) -> Option<u8> {
        let next = self.kind(at + 1);
        match kind {
            Kind::Logic => self.condition(at + 1),
            Kind::Union => self.united(at + 1),
            Kind::Select => self.queried(at),
            Kind::Strong => (next == Kind::Open).then_some(SURE),
            Kind::Sleep => {
                let is_called = !matches!(self.before(at), Kind::Dot | Kind::Name);
                let has_number = matches!(self.kind(at + 2), Kind::Number | Kind::Open);
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
                (self.kind(at + 2) == Kind::Comparator).then_some(SURE)
            }
            Kind::Case => self.decided(at),
            Kind::Function => {
                let is_nested = self.kind(at + 2) == Kind::Function || {
                    self.kind(at + 2) == Kind::Open && self.kind(at + 3) == Kind::Select
                };
                is_nested.then_some(LIKELY)
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

    /// Statements that change something.
    fn statement(self, at: usize, kind: Kind) -> Option<u8> {
        let next = self.kind(at + 1);
        let before = self.before(at);
        let is_stacked = before == Kind::Semicolon;
        let is_first = matches!(before, Kind::End | Kind::Comment | Kind::Semicolon);
        let third = self.kind(at + 2);
        let has_name = matches!(third, Kind::Name | Kind::Schema | Kind::System | Kind::Function);
        match kind {
            Kind::Drop | Kind::Truncate | Kind::Alter | Kind::Create if next == Kind::Object => {
                let is_sure = is_stacked || (is_first && kind == Kind::Drop && self.ends(at + 3));
                (has_name || self.ends(at + 2)).then_some(if is_sure && has_name {
                    SURE
                } else {
                    LOOSE
                })
            }
            Kind::Delete if next == Kind::From && has_name => {
                let is_where = self.kind(at + 3) == Kind::Where
                    && matches!(self.kind(at + 5), Kind::Comparator | Kind::WordComparator);
                let is_sure = is_where || (is_stacked && self.ends(at + 3));
                Some(if is_sure { SURE } else { LOOSE })
            }
            Kind::Insert if next == Kind::Into => {
                let ahead = self.tokens.get(at..).unwrap_or_default().iter().take(MAX_COLUMNS);
                let mut kinds = ahead.map(|token| token.kind);
                let is_sure = kinds.any(|kind| matches!(kind, Kind::Values | Kind::Select));
                is_sure.then_some(SURE)
            }
            Kind::Update => {
                let set = at + if next == Kind::Name && third == Kind::Dot { 4 } else { 2 };
                let is_sure = self.kind(set) == Kind::Set && self.kind(set + 2) == Kind::Comparator;
                is_sure.then_some(SURE)
            }
            Kind::Exec => {
                let name = self.text(at + 1);
                let is_procedure = name.get(..3).is_some_and(|start| {
                    start.eq_ignore_ascii_case(b"sp_") || start.eq_ignore_ascii_case(b"xp_")
                });
                let is_called = next == Kind::Open
                    || (next == Kind::Name
                        && (matches!(third, Kind::Dot | Kind::Text | Kind::TextOpen)
                            || self.ends(at + 2)));
                let is_sure = next == Kind::System
                    || is_procedure
                    || (is_stacked && is_called)
                    || self.text(at + 1).eq_ignore_ascii_case(b"immediate");
                is_sure.then_some(SURE)
            }
            Kind::Declare => (next == Kind::Variable).then_some(SURE),
            Kind::Set if is_first && next == Kind::Variable => {
                (third == Kind::Comparator).then_some(SURE)
            }
            Kind::Waitfor => {
                let is_text = matches!(third, Kind::Text | Kind::TextOpen | Kind::Variable);
                (is_text || self.text(at + 1).eq_ignore_ascii_case(b"delay")).then_some(SURE)
            }
            Kind::Shutdown if is_stacked => self.ends(at + 1).then_some(SURE),
            Kind::Object if self.text(at + 1).eq_ignore_ascii_case(b"analyse") => {
                (third == Kind::Open).then_some(SURE)
            }
            _ => None,
        }
    }

    /// `union all select 1, …`
    fn united(self, at: usize) -> Option<u8> {
        let select = self.past(at, &[Kind::All, Kind::Open]);
        if self.kind(select) == Kind::Values && self.kind(select + 1) == Kind::Open {
            return Some(SURE);
        }
        if self.kind(select) != Kind::Select {
            return None;
        }
        let first = self.past(select + 1, &[Kind::All, Kind::Open]);
        match self.kind(first) {
            Kind::Name | Kind::Schema | Kind::Object => match self.kind(first + 1) {
                Kind::Comma | Kind::From | Kind::Comment | Kind::Dot | Kind::Open => Some(SURE),
                Kind::End => Some(LIKELY),
                _ => (select > at).then_some(LIKELY),
            },
            Kind::End => Some(LIKELY),
            _ => Some(SURE),
        }
    }

    /// `select … from …`; that people select something from a list is no query.
    fn queried(self, at: usize) -> Option<u8> {
        let is_inner = matches!(self.before(at), Kind::Open | Kind::Semicolon | Kind::Comment);
        let first = self.past(at + 1, &[Kind::All]);
        let second = self.kind(first + 1);
        match self.kind(first) {
            Kind::Function | Kind::Strong | Kind::Sleep => Some(SURE),
            Kind::Variable if self.is_of_server(first) || is_inner => Some(SURE),
            Kind::Arithmetic if second == Kind::From && self.text(first) == b"*" => Some(SURE),
            Kind::Open => match second {
                Kind::Number | Kind::Function | Kind::Strong | Kind::Select | Kind::Variable => {
                    Some(SURE)
                }
                _ => is_inner.then_some(LIKELY),
            },
            Kind::Number | Kind::Null | Kind::Text => {
                let third = self.kind(first + 2);
                let is_sure = matches!(second, Kind::Comment)
                    || (is_inner && matches!(second, Kind::Close | Kind::From | Kind::End))
                    || (second == Kind::Comma
                        && matches!(third, Kind::Number | Kind::Null | Kind::Text))
                    || (second == Kind::From && matches!(third, Kind::Schema | Kind::System));
                is_sure.then_some(SURE)
            }
            Kind::Name | Kind::Schema | Kind::Object => self.queried_names(first, is_inner),
            Kind::Case => Some(SURE),
            _ => None,
        }
    }

    /// `select a, b from c where d = …`
    fn queried_names(self, first: usize, is_inner: bool) -> Option<u8> {
        let mut has_schema = false;
        let mut from = first;
        while from - first < MAX_COLUMNS {
            match self.kind(from) {
                Kind::Schema | Kind::System => has_schema = true,
                Kind::Name | Kind::Comma | Kind::Dot | Kind::Object => {}
                _ => break,
            }
            // Columns have commas between them; words of a sentence do not.
            let is_word = self.kind(from) == Kind::Name && self.kind(from + 1) == Kind::Name;
            if is_word {
                return None;
            }
            from += 1;
        }
        if self.kind(from) != Kind::From {
            return None;
        }
        let is_schema = matches!(self.kind(from + 1), Kind::Schema | Kind::System);
        let mut after = from + 2;
        while self.kind(after) == Kind::Dot {
            after += 2;
        }
        let is_where = self.kind(after) == Kind::Where
            && matches!(self.kind(after + 2), Kind::Comparator | Kind::WordComparator);
        let ends = self.ends(after);
        match (has_schema || is_schema, is_where, ends) {
            (true, _, true) | (_, true, _) => Some(SURE),
            (false, false, true) => Some(if is_inner { LIKELY } else { LOOSE }),
            _ => None,
        }
    }

    /// `case when 1=1 then …`
    fn decided(self, at: usize) -> Option<u8> {
        let when = self.past(at + 1, &[Kind::Name, Kind::Open, Kind::Number]);
        if self.kind(when) != Kind::When {
            return None;
        }
        let (left, after) = self.operand(when + 1);
        let is_compared = matches!(self.kind(after), Kind::Comparator | Kind::WordComparator);
        (is_compared && left != Operand::Missing).then_some(SURE)
    }

    /// `@@version` and others that say what the server is.
    fn is_of_server(self, at: usize) -> bool {
        let Some(name) = self.text(at).strip_prefix(b"@@") else { return false };
        let name = name.strip_prefix(b"global.").unwrap_or(name);
        SERVER_VARIABLES.iter().any(|known| known.eq_ignore_ascii_case(name))
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

/// Tokens between the parentheses of a call; a statement that has more is seen by what is in it.
const MAX_CALL: usize = 32;

/// Tokens between `select` and `from`, or `into` and `values`.
const MAX_COLUMNS: usize = 32;

/// Bytes of a comment that ends a statement, rather than of a sentence behind dashes.
const MAX_COMMENT: usize = 24;

const SERVER_VARIABLES: [&[u8]; 10] = [
    b"version",
    b"version_comment",
    b"hostname",
    b"datadir",
    b"basedir",
    b"servername",
    b"language",
    b"spid",
    b"secure_file_priv",
    b"global",
];
