//! Conditions of detections: selections joined by `and`, `or` and `not`.
//!
//! ```text
//! any      = all *("or" all)
//! all      = negation *("and" negation)
//! negation = *"not" operand
//! operand  = "(" any ")" / quantity "of" ("them" / name with "*") / name
//! quantity = "1" / "any" / "all"
//! ```
//!
//! `them` is every selection whose name does not begin with `_`.

use super::{atom::Expression, error::Problem};

/// A condition as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of these.
    All(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// A selection.
    Name(String),
    /// Not this.
    Not(Box<Self>),
    /// Several selections.
    Of {
        /// How many of them.
        quantity: Quantity,
        /// Their names, with `*` for anything; `them` for all.
        names: String,
    },
}

/// How many of several selections must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// All of them.
    All,
    /// One of them, or more.
    Any,
}

/// Reads a condition.
pub fn parse(text: &str) -> Result<Condition, Problem> {
    if text.len() > MAX_CONDITION_BYTES {
        return Err(Problem::ConditionLength);
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    let condition = reader.any()?;
    if reader.peek().is_empty() {
        return Ok(condition);
    }
    if reader.peek() == "|" {
        return Err(Problem::Aggregation);
    }
    Err(reader.expected("`and`, `or` or the end"))
}

impl Condition {
    /// Puts selections in the place of their names.
    pub(super) fn expand<A: Clone>(
        &self,
        selections: &[(String, Expression<A>)],
    ) -> Result<Expression<A>, Problem> {
        let each = |several: &[Self]| {
            several.iter().map(|condition| condition.expand(selections)).collect::<Result<_, _>>()
        };
        Ok(match self {
            Self::All(all) => Expression::All(each(all)?),
            Self::Any(any) => Expression::Any(each(any)?),
            Self::Not(condition) => Expression::Not(Box::new(condition.expand(selections)?)),
            Self::Name(name) => {
                let selection = selections.iter().find(|(known, _)| known == name);
                let selection = selection.ok_or_else(|| Problem::NoSelection(name.clone()))?;
                selection.1.clone()
            }
            Self::Of { quantity, names } => {
                let named: Vec<_> = selections
                    .iter()
                    .filter(|(name, _)| is_named(name, names))
                    .map(|(_, selection)| selection.clone())
                    .collect();
                if named.is_empty() {
                    return Err(Problem::NoSelection(names.clone()));
                }
                match quantity {
                    Quantity::All => Expression::All(named),
                    Quantity::Any => Expression::Any(named),
                }
            }
        })
    }
}

/// Reads a condition word by word.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Open parentheses and negations.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<Condition, Problem> {
        let first = self.all()?;
        let mut several = vec![first];
        while self.takes("or") {
            several.push(self.all()?);
        }
        Ok(joined(several, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, Problem> {
        let first = self.negation()?;
        let mut several = vec![first];
        while self.takes("and") {
            several.push(self.negation()?);
        }
        Ok(joined(several, Condition::All))
    }

    fn negation(&mut self) -> Result<Condition, Problem> {
        if !self.takes("not") {
            return self.operand();
        }
        self.deeper()?;
        let negated = self.negation()?;
        self.depth -= 1;
        Ok(Condition::Not(Box::new(negated)))
    }

    fn operand(&mut self) -> Result<Condition, Problem> {
        if self.takes("(") {
            self.deeper()?;
            let inner = self.any()?;
            self.depth -= 1;
            if !self.takes(")") {
                return Err(self.expected("`)`"));
            }
            return Ok(inner);
        }
        let word = self.peek();
        let is_name = word.bytes().all(is_name_byte);
        if word.is_empty() || !is_name || is_word_of(word, &["and", "or", "not", "of"]) {
            return Err(self.expected("the name of a selection, `not`, `1 of`, `all of` or `(`"));
        }
        self.at += word.len();
        let is_quantity = is_word_of(word, &["1", "any", "all"]);
        if is_quantity && self.takes("of") {
            let names = self.peek();
            if names.is_empty() || !names.bytes().all(is_name_byte) {
                return Err(self.expected("`them` or the beginning of names with `*`"));
            }
            self.at += names.len();
            let is_all = word.eq_ignore_ascii_case("all");
            let quantity = if is_all { Quantity::All } else { Quantity::Any };
            return Ok(Condition::Of { quantity, names: names.to_owned() });
        }
        Ok(Condition::Name(word.to_owned()))
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > MAX_CONDITION_DEPTH { Err(Problem::ConditionDepth) } else { Ok(()) }
    }

    fn takes(&mut self, word: &str) -> bool {
        let next = self.peek();
        let is_next = next.eq_ignore_ascii_case(word);
        if is_next {
            self.at += next.len();
        }
        is_next
    }

    /// The next word, after spaces: a run of bytes of names, or one other character.
    fn peek(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = rest.trim_start();
        self.at += rest.len() - word.len();
        let names = word.bytes().take_while(|byte| is_name_byte(*byte)).count();
        let first = word.chars().next().map_or(0, char::len_utf8);
        word.get(..names.max(first)).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> Problem {
        Problem::Condition { at: self.at, expected }
    }
}

fn joined(mut several: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match (several.len(), several.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            several.extend(last);
            join(several)
        }
    }
}

fn is_word_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.*".contains(&byte)
}

/// Whether a name is one of these: `*` stands for any characters, and `them` for all names that do
/// not begin with `_`.
fn is_named(name: &str, names: &str) -> bool {
    if names.eq_ignore_ascii_case("them") {
        return !name.starts_with('_');
    }
    let mut parts = names.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// The longest published conditions have a few hundred bytes.
pub const MAX_CONDITION_BYTES: usize = 4096;

/// Parentheses and negations within each other; published conditions have up to five. Bounds the
/// recursion of reading, compiling and evaluating.
pub const MAX_CONDITION_DEPTH: usize = 32;

#[cfg(test)]
mod tests;
