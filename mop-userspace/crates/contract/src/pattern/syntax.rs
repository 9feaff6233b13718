//! Reads a pattern: ECMA-262, 22.2.1, with what Annex B.1.2 adds for the web.
//!
//! Annex B matters, because real patterns need it: `\-` outside of a class, a lone `{`, and the
//! octal escape `\00` are errors without it. What Annex B reads in one way and the `u` flag in
//! another (`\u{41}`, `\p{L}`) is refused and not guessed.
//!
//! Groups are not numbered and lazy quantifiers are not told from greedy ones: neither says
//! anything about whether there is a match, as long as there are no back-references, and those are
//! refused.

mod escape;

use super::{MAX_NESTING, PatternError, set::Set};

/// A pattern, or part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Alternatives; a single one stands for itself.
    Either(Vec<Node>),
    /// `$`
    End,
    /// An assertion about what comes next, or what came before.
    Look { behind: bool, negative: bool, node: Box<Node> },
    /// As many as `min..=max` times; without `max`, any number of times.
    Repeat { node: Box<Node>, min: u32, max: Option<u32> },
    /// One after another; none at all is the empty pattern.
    Sequence(Vec<Node>),
    /// One character.
    Set(Set),
    /// `^`
    Start,
    /// `\b`, or `\B` when negative.
    WordBoundary { negative: bool },
}

impl Node {
    /// Whether it surely matches the empty text at the start of any text, and hence every text.
    pub(super) fn matches_nothing_at_the_start(&self) -> bool {
        match self {
            Self::Start => true,
            Self::Repeat { min: 0, .. } => true,
            Self::Repeat { node, .. } => node.matches_nothing_at_the_start(),
            Self::Either(nodes) => nodes.iter().any(Self::matches_nothing_at_the_start),
            Self::Sequence(nodes) => nodes.iter().all(Self::matches_nothing_at_the_start),
            Self::End | Self::Look { .. } | Self::Set(_) | Self::WordBoundary { .. } => false,
        }
    }
}

/// Reads a whole pattern.
pub(super) fn parse(source: &str) -> Result<Node, PatternError> {
    let characters: Vec<char> = source.chars().collect();
    let (groups, has_names) = count_groups(&characters);
    let mut parser = Parser { characters, at: 0, depth: 0, groups, has_names, names: Vec::new() };
    let node = parser.disjunction()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.error("unmatched )")),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    depth: usize,
    /// Capturing groups in the whole pattern: what tells `\1` the reference from `\1` the octal.
    groups: usize,
    /// Whether a group has a name, which makes `\k` a reference.
    has_names: bool,
    names: Vec<String>,
}

/// What a class holds at one place: a character can be the end of a range, a set cannot.
enum ClassAtom {
    Character(u32),
    Set(Set),
}

impl Parser {
    fn disjunction(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(PatternError::TooDeep);
        }
        let mut alternatives = vec![self.alternative()?];
        while self.take('|') {
            alternatives.push(self.alternative()?);
        }
        self.depth -= 1;
        Ok(single_or(alternatives, Node::Either))
    }

    fn alternative(&mut self) -> Result<Node, PatternError> {
        let mut terms = Vec::new();
        while self.peek().is_some_and(|next| next != '|' && next != ')') {
            terms.push(self.term()?);
        }
        Ok(single_or(terms, Node::Sequence))
    }

    fn term(&mut self) -> Result<Node, PatternError> {
        let starts_here = self.at;
        if self.quantifier()?.is_some() {
            self.at = starts_here;
            return Err(self.error("nothing to repeat"));
        }
        let is_assertion = matches!(
            self.characters.get(self.at..),
            Some(['^' | '$', ..] | ['\\', 'b' | 'B', ..] | ['(', '?', '<', '=' | '!', ..])
        );
        let node = match self.next() {
            Some('^') => Node::Start,
            Some('$') => Node::End,
            Some('(') => self.group()?,
            Some('[') => Node::Set(self.class()?),
            Some('.') => Node::Set(Set::dot()),
            Some('\\') => self.escape()?,
            Some(literal) => Node::Set(Set::one(literal.into())),
            None => Node::Sequence(Vec::new()),
        };
        // Annex B lets a look-ahead be repeated, but no other assertion.
        let bounds = if is_assertion { None } else { self.quantifier()? };
        Ok(match bounds {
            None => node,
            Some((min, max)) => repeat(node, min, max),
        })
    }

    /// `*`, `+`, `?`, `{2}`, `{2,}` or `{2,3}`, lazy or not. Anything else in braces is literal.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let bounds = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.braces(),
            _ => return Ok(None),
        };
        self.at += 1;
        self.take('?');
        Ok(Some(bounds))
    }

    fn braces(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let starts_here = self.at;
        self.at += 1;
        let bounds = self.number().and_then(|min| {
            let max = if self.take(',') { self.number() } else { Some(min) };
            self.take('}').then_some((min, max))
        });
        let Some((min, max)) = bounds else {
            self.at = starts_here;
            return Ok(None);
        };
        if max.is_some_and(|max| max < min) {
            return Err(self.error("numbers out of order in {}"));
        }
        self.take('?');
        Ok(Some((min, max)))
    }

    /// A number, or the largest that fits; no number when there is no digit.
    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|next| next.to_digit(10)) {
            number = Some(number.unwrap_or(0u32).saturating_mul(10).saturating_add(digit));
            self.at += 1;
        }
        number
    }

    fn group(&mut self) -> Result<Node, PatternError> {
        let look =
            |behind, negative| move |node| Node::Look { behind, negative, node: Box::new(node) };
        if !self.take('?') {
            return self.group_body(|node| node);
        }
        match (self.next(), self.peek()) {
            (Some(':'), _) => self.group_body(|node| node),
            (Some('='), _) => self.group_body(look(false, false)),
            (Some('!'), _) => self.group_body(look(false, true)),
            (Some('<'), Some('=')) => {
                self.at += 1;
                self.group_body(look(true, false))
            }
            (Some('<'), Some('!')) => {
                self.at += 1;
                self.group_body(look(true, true))
            }
            (Some('<'), _) => {
                self.group_name()?;
                self.group_body(|node| node)
            }
            _ => Err(self.error("unknown kind of group")),
        }
    }

    fn group_name(&mut self) -> Result<(), PatternError> {
        let mut name = String::new();
        while let Some(next) = self.next() {
            match next {
                '>' if self.names.contains(&name) => {
                    return Err(PatternError::Unsupported("two groups of the same name"));
                }
                '>' if !name.is_empty() => {
                    self.names.push(name);
                    return Ok(());
                }
                '$' | '_' => name.push(next),
                first if first.is_alphabetic() => name.push(first),
                later if later.is_alphanumeric() && !name.is_empty() => name.push(later),
                _ => break,
            }
        }
        Err(self.error("a group's name is not an identifier"))
    }

    fn group_body(&mut self, wrap: impl FnOnce(Node) -> Node) -> Result<Node, PatternError> {
        let node = self.disjunction()?;
        if self.take(')') { Ok(wrap(node)) } else { Err(self.error("a group is not closed")) }
    }

    /// After `[`.
    fn class(&mut self) -> Result<Set, PatternError> {
        let negative = self.take('^');
        let mut set = Set::default();
        while !self.take(']') {
            let first = self.class_atom()?;
            let (Some('-'), Some(beyond)) = (self.peek(), self.characters.get(self.at + 1)) else {
                set.extend(&first.into_set());
                continue;
            };
            if *beyond == ']' {
                set.extend(&first.into_set());
                continue;
            }
            self.at += 1;
            match (first, self.class_atom()?) {
                (ClassAtom::Character(first), ClassAtom::Character(last)) if first <= last => {
                    set.extend(&Set::of(&[(first, last)]));
                }
                (ClassAtom::Character(_), ClassAtom::Character(_)) => {
                    return Err(self.error("range out of order in []"));
                }
                // Annex B: no range but three members.
                (first, last) => {
                    set.extend(&first.into_set());
                    set.extend(&Set::one('-'.into()));
                    set.extend(&last.into_set());
                }
            }
        }
        Ok(if negative { set.complement() } else { set })
    }

    fn class_atom(&mut self) -> Result<ClassAtom, PatternError> {
        match self.next() {
            None => Err(self.error("a class is not closed")),
            Some('\\') => match self.peek() {
                Some('b') => {
                    self.at += 1;
                    Ok(ClassAtom::Character(0x08))
                }
                Some('c') => {
                    self.at += 1;
                    let is_letter = |next: &char| next.is_ascii_alphanumeric() || *next == '_';
                    Ok(ClassAtom::Character(self.control_escape(is_letter)))
                }
                _ => self.common_escape(),
            },
            Some(literal) => Ok(ClassAtom::Character(literal.into())),
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn take(&mut self, expected: char) -> bool {
        let taken = self.peek() == Some(expected);
        self.at += usize::from(taken);
        taken
    }

    fn error(&self, reason: &'static str) -> PatternError {
        PatternError::Syntax { reason, at: self.at }
    }
}

impl ClassAtom {
    fn into_set(self) -> Set {
        match self {
            Self::Character(code_point) => Set::one(code_point),
            Self::Set(set) => set,
        }
    }
}

fn single_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            several(nodes)
        }
    }
}

/// An assertion is as true once as many times, and nothing remains nothing: no engine is asked to
/// repeat either.
fn repeat(node: Node, min: u32, max: Option<u32>) -> Node {
    match node {
        Node::Sequence(nodes) if nodes.is_empty() => Node::Sequence(nodes),
        Node::Look { .. } if min == 0 => Node::Sequence(Vec::new()),
        Node::Look { .. } => node,
        node => Node::Repeat { node: Box::new(node), min, max },
    }
}

/// How many groups capture, and whether one has a name: known before the first escape is read.
fn count_groups(characters: &[char]) -> (usize, bool) {
    let (mut groups, mut has_names, mut in_class) = (0, false, false);
    let mut rest = characters;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            ('\\', [_, tail @ ..]) => rest = tail,
            ('[', _) => in_class = true,
            (']', _) => in_class = false,
            ('(', ['?', '<', after, ..]) if !in_class && !matches!(after, '=' | '!') => {
                groups += 1;
                has_names = true;
            }
            ('(', ['?', ..]) => {}
            ('(', _) if !in_class => groups += 1,
            _ => {}
        }
    }
    (groups, has_names)
}
