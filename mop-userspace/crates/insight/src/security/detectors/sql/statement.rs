//! Statements of their own, queries among them.

use super::{
    condition::Operand,
    structure::{LIKELY, LOOSE, Reading, SURE},
    token::Kind,
};

impl Reading<'_, '_> {
    /// Statements that change something.
    pub(super) fn statement(self, at: usize, kind: Kind) -> Option<u8> {
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
    pub(super) fn united(self, at: usize) -> Option<u8> {
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
    pub(super) fn queried(self, at: usize) -> Option<u8> {
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
    pub(super) fn queried_names(self, first: usize, is_inner: bool) -> Option<u8> {
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
    pub(super) fn decided(self, at: usize) -> Option<u8> {
        let when = self.past(at + 1, &[Kind::Name, Kind::Open, Kind::Number]);
        if self.kind(when) != Kind::When {
            return None;
        }
        let (left, after) = self.operand(when + 1);
        let is_compared = matches!(self.kind(after), Kind::Comparator | Kind::WordComparator);
        (is_compared && left != Operand::Missing).then_some(SURE)
    }

    /// `@@version` and others that say what the server is.
    pub(super) fn is_of_server(self, at: usize) -> bool {
        let Some(name) = self.text(at).strip_prefix(b"@@") else { return false };
        let name = name.strip_prefix(b"global.").unwrap_or(name);
        SERVER_VARIABLES.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Tokens between `select` and `from`, or `into` and `values`.
const MAX_COLUMNS: usize = 32;

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
