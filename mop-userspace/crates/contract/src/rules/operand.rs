//! What conditions look at.

use serde_json::Value as Tree;

use super::{
    CallFacts, MessageFacts, RuleProblem,
    fact::{Fact, Form, Number, Text},
};
use crate::{
    json::{Kind, Value},
    route::{path_of, query_of},
    violation::Direction,
};

/// A place of a call, something computed from one, or a constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    /// What a JSON Pointer leads to in a body.
    Body(Direction, Pointer),
    /// Written in the rule.
    Constant(Constant),
    /// Number of elements of an array.
    Count(Box<Operand>),
    /// The operand, or the constant when it is absent or an empty text.
    Default(Box<Operand>, Constant),
    /// A header field.
    Header(Direction, Box<str>),
    /// The method.
    Method,
    /// The path of a URL.
    PathOf(Box<Operand>),
    /// Number of pages: records, and records a page.
    Pages(Box<(Operand, Operand)>),
    /// A value of the query of a URL.
    QueryOf(Box<Operand>, Box<str>),
    /// A value of the query of the request.
    RequestQuery(Box<str>),
    /// The path of the request.
    RequestPath,
    /// The status.
    Status,
}

/// A value written in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Constant {
    Boolean(bool),
    Integer(i64),
    Text(Box<str>),
}

/// A JSON Pointer (RFC 6901), taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pointer(Box<[Token]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Token {
    name: Box<str>,
    /// The position it is in an array.
    position: Option<usize>,
}

impl Operand {
    pub(super) fn parse(text: &str) -> Result<Self, RuleProblem> {
        let shown: String = text.chars().take(MAX_OPERAND_BYTES).collect();
        (text.len() <= MAX_OPERAND_BYTES)
            .then(|| parse(text, MAX_OPERAND_DEPTH))
            .flatten()
            .ok_or(RuleProblem::Operand(shown))
    }

    /// Whether it is about the response.
    pub(super) fn needs_response(&self) -> bool {
        match self {
            Self::Body(direction, _) | Self::Header(direction, _) => {
                *direction == Direction::Response
            }
            Self::Count(operand)
            | Self::Default(operand, _)
            | Self::PathOf(operand)
            | Self::QueryOf(operand, _) => operand.needs_response(),
            Self::Pages(operands) => operands.0.needs_response() || operands.1.needs_response(),
            Self::Status => true,
            Self::Constant(_) | Self::Method | Self::RequestPath | Self::RequestQuery(_) => false,
        }
    }

    /// Whether a copy of a message does not tell it: see [`super::RuleSet::evaluate_copy`].
    pub(super) fn is_unseen_in_copies(&self, facts: &CallFacts<'_>) -> bool {
        match self {
            Self::Header(..) => true,
            Self::RequestQuery(_) => query_of(facts.target).is_none(),
            Self::Count(operand)
            | Self::Default(operand, _)
            | Self::PathOf(operand)
            | Self::QueryOf(operand, _) => operand.is_unseen_in_copies(facts),
            Self::Pages(operands) => {
                operands.0.is_unseen_in_copies(facts) || operands.1.is_unseen_in_copies(facts)
            }
            Self::Body(..)
            | Self::Constant(_)
            | Self::Method
            | Self::RequestPath
            | Self::Status => false,
        }
    }

    /// What it is in a call.
    pub(super) fn of<'a>(&'a self, facts: &CallFacts<'a>) -> Fact<'a> {
        match self {
            Self::Body(direction, pointer) => {
                let body = message(facts, *direction).and_then(|message| message.body);
                body.map_or(Fact::Unknown, |body| {
                    pointer.of(body).map_or(Fact::Absent, Fact::of_json)
                })
            }
            Self::Constant(constant) => constant.fact(),
            Self::Count(operand) => match operand.of(facts) {
                Fact::Array(length) => {
                    let length = i64::try_from(length).ok();
                    length.map_or(Fact::Unknown, |length| Fact::Number(Number::Integer(length)))
                }
                _ => Fact::Unknown,
            },
            Self::Default(operand, constant) => match operand.of(facts) {
                Fact::Absent => constant.fact(),
                Fact::Text(text) if text.bytes.is_empty() => constant.fact(),
                fact => fact,
            },
            Self::Header(direction, name) => message(facts, *direction)
                .map_or(Fact::Unknown, |message| Fact::of_headers(message.headers, name)),
            Self::Method => text(facts.method, Form::Field),
            Self::PathOf(operand) => {
                url(operand.of(facts)).map_or(Fact::Unknown, |url| text(path_of(url), Form::Path))
            }
            Self::Pages(operands) => {
                let (records, page_size) = &**operands;
                pages(records.of(facts), page_size.of(facts))
                    .map_or(Fact::Unknown, |pages| Fact::Number(Number::Integer(pages)))
            }
            Self::QueryOf(operand, name) => url(operand.of(facts))
                .map_or(Fact::Unknown, |url| Fact::of_query(query_of(url), name)),
            Self::RequestQuery(name) => Fact::of_query(query_of(facts.target), name),
            Self::RequestPath => text(path_of(facts.target), Form::Path),
            Self::Status => facts.response.map_or(Fact::Unknown, |(status, _)| {
                Fact::Number(Number::Integer(i64::from(status)))
            }),
        }
    }
}

impl Constant {
    pub(super) fn parse(tree: &Tree) -> Option<Self> {
        match tree {
            Tree::Bool(boolean) => Some(Self::Boolean(*boolean)),
            Tree::Number(number) => number.as_i64().map(Self::Integer),
            Tree::String(text) => Some(Self::Text(text.as_str().into())),
            Tree::Array(_) | Tree::Null | Tree::Object(_) => None,
        }
    }

    pub(super) fn fact(&self) -> Fact<'_> {
        match self {
            Self::Boolean(boolean) => Fact::Boolean(*boolean),
            Self::Integer(integer) => Fact::Number(Number::Integer(*integer)),
            Self::Text(constant) => text(constant, Form::Json),
        }
    }
}

impl Pointer {
    /// From its text, empty for the whole.
    pub(super) fn parse(pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(Self(Box::default()));
        }
        let tokens = pointer.strip_prefix('/')?.split('/').map(|token| {
            let name = token.replace("~1", "/").replace("~0", "~");
            Token { position: name.parse().ok(), name: name.into() }
        });
        Some(Self(tokens.collect()))
    }

    fn of<'a>(&self, body: Value<'a>) -> Option<Value<'a>> {
        self.0.iter().try_fold(body, |at, token| match at.kind() {
            Kind::Array => at.elements().nth(token.position?),
            Kind::Object => at.member(&token.name),
            Kind::Boolean | Kind::Integer | Kind::Null | Kind::Number | Kind::String => None,
        })
    }
}

fn parse(text: &str, depth: usize) -> Option<Operand> {
    let text = text.trim();
    if let Some((function, arguments)) =
        text.strip_suffix(')').and_then(|call| call.split_once('('))
    {
        let depth = depth.checked_sub(1)?;
        let whole = |text| parse(text, depth).map(Box::new);
        return match function {
            "count" => whole(arguments).map(Operand::Count),
            "path" => whole(arguments).map(Operand::PathOf),
            "query" => {
                let (url, name) = arguments.rsplit_once(',')?;
                Some(Operand::QueryOf(whole(url)?, word(name.trim())?))
            }
            "default" => {
                let (operand, constant) = arguments.rsplit_once(',')?;
                let constant = constant.trim().parse().ok()?;
                Some(Operand::Default(whole(operand)?, Constant::Integer(constant)))
            }
            "pages" => {
                let (records, page_size) = split_arguments(arguments)?;
                Some(Operand::Pages(Box::new((parse(records, depth)?, parse(page_size, depth)?))))
            }
            _ => None,
        };
    }
    match text {
        "request.method" => return Some(Operand::Method),
        "request.path" => return Some(Operand::RequestPath),
        "response.status" => return Some(Operand::Status),
        _ => {}
    }
    let (message, place) = text.split_once('.')?;
    let direction = match message {
        "request" => Direction::Request,
        "response" => Direction::Response,
        _ => return None,
    };
    if let Some(pointer) = place.strip_prefix("body") {
        let pointer = if pointer.contains(is_sign) { None } else { Pointer::parse(pointer) };
        return pointer.map(|pointer| Operand::Body(direction, pointer));
    }
    match (direction, place.split_once('.')?) {
        (_, ("header", name)) => word(name).map(|name| Operand::Header(direction, name)),
        (Direction::Request, ("query", name)) => word(name).map(Operand::RequestQuery),
        _ => None,
    }
}

/// At the comma that is in no parentheses.
fn split_arguments(arguments: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (place, character) in arguments.char_indices() {
        match character {
            '(' => open += 1,
            ')' => open = open.checked_sub(1)?,
            ',' if open == 0 => {
                return Some((arguments.get(..place)?, arguments.get(place + 1..)?));
            }
            _ => {}
        }
    }
    None
}

/// A name without any sign that means something to operands.
fn word(text: &str) -> Option<Box<str>> {
    (!text.is_empty() && !text.contains(is_sign)).then(|| text.into())
}

fn is_sign(sign: char) -> bool {
    sign.is_whitespace() || matches!(sign, '(' | ')' | ',')
}

fn message<'a>(facts: &CallFacts<'a>, direction: Direction) -> Option<MessageFacts<'a>> {
    match direction {
        Direction::Request => facts.request,
        Direction::Response => facts.response.map(|(_, message)| message),
    }
}

fn text(text: &str, form: Form) -> Fact<'_> {
    Fact::Text(Text { bytes: text.as_bytes(), form })
}

/// A text that is a URL, or begins with a path.
fn url(fact: Fact<'_>) -> Option<&str> {
    let Fact::Text(Text { bytes, form: Form::Field | Form::Json }) = fact else { return None };
    let text = std::str::from_utf8(bytes).ok()?;
    (text.starts_with('/') || text.contains("://")).then_some(text)
}

fn pages(records: Fact<'_>, page_size: Fact<'_>) -> Option<i64> {
    let (records, page_size) = (records.integer()?, page_size.integer()?);
    if records < 0 || page_size < 1 {
        return None;
    }
    Some(records / page_size + i64::from(records % page_size > 0))
}

/// The longest operand of any use has some hundred.
pub const MAX_OPERAND_BYTES: usize = 512;

/// `query(response.body/links/self, page)` has one; nothing useful needs more than three.
pub const MAX_OPERAND_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_operand_is_refused() {
        for text in [
            "",
            "status",
            "request",
            "request.status",
            "response.method",
            "response.query.page",
            "request.query.",
            "request.header.a b",
            "request.bodyx",
            "request.body.x",
            "reply.body",
            "count(",
            "count()",
            "count(request.method",
            "sum(request.method)",
            "query(response.body)",
            "query(response.body, )",
            "default(request.query.page, x)",
            "pages(response.body)",
            "pages(response.body, 25)",
            "pages(response.body),(1)",
            "count(response.body/a),count(response.body/b)",
            "count(count(count(count(count(response.body)))))",
            &format!("response.body/{}", "a".repeat(MAX_OPERAND_BYTES)),
        ] {
            assert!(matches!(Operand::parse(text), Err(RuleProblem::Operand(_))), "{text}");
        }
    }

    #[test]
    fn pages_are_rounded_up() {
        let integer = |integer| Fact::Number(Number::Integer(integer));
        for (records, page_size, expected) in [
            (0, 25, Some(0)),
            (1, 25, Some(1)),
            (25, 25, Some(1)),
            (26, 25, Some(2)),
            (26, 0, None),
            (26, -5, None),
            (-1, 25, None),
            (i64::MAX, 1, Some(i64::MAX)),
        ] {
            assert_eq!(pages(integer(records), integer(page_size)), expected);
        }
        assert_eq!(pages(Fact::Absent, integer(1)), None);
    }
}
