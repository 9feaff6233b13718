//! A value of a document that knows where it stands.

use serde_json::{Map, Value};

use super::error::{Fault, Problem};

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) place: String,
}

impl<'a> Node<'a> {
    /// The root of a document.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    /// The value below a key, when there is one that is not null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.below(key, value))
    }

    /// The value below a key.
    pub(super) fn required(&self, key: &'static str) -> Result<Self, Fault> {
        self.get(key).ok_or_else(|| self.fault(Problem::Missing(key)))
    }

    /// The entries of a mapping, of which there is at least one.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, Fault> {
        let map = self.map()?;
        if map.is_empty() {
            return Err(self.fault(Problem::Empty));
        }
        Ok(map.iter().map(|(key, value)| (key.as_str(), self.below(key, value))).collect())
    }

    /// The entries of a list, or the one value that stands there instead; at least one, at most
    /// `limit`.
    pub(super) fn one_or_more(&self, limit: usize) -> Result<Vec<Self>, Fault> {
        let Value::Array(values) = self.value else { return Ok(vec![self.clone()]) };
        if values.is_empty() {
            return Err(self.fault(Problem::Empty));
        }
        if values.len() > limit {
            return Err(self.fault(Problem::TooMany(limit)));
        }
        let numbered = values.iter().enumerate();
        Ok(numbered.map(|(number, value)| self.below(&(number + 1).to_string(), value)).collect())
    }

    /// A text of 1 to `limit` bytes; numbers and truth values are taken as they are written.
    pub(super) fn text(&self, limit: usize) -> Result<String, Fault> {
        let text = match self.value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(self.fault(Problem::WrongType("a text")));
            }
        };
        if text.is_empty() {
            return Err(self.fault(Problem::Empty));
        }
        if text.len() > limit { Err(self.fault(Problem::TooLong(limit))) } else { Ok(text) }
    }

    /// The texts of a list, or the one that stands there instead.
    pub(super) fn texts(&self, entries: usize, bytes: usize) -> Result<Vec<String>, Fault> {
        self.one_or_more(entries)?.iter().map(|node| node.text(bytes)).collect()
    }

    /// A truth value.
    pub(super) fn truth(&self) -> Result<bool, Fault> {
        let value = self.value.as_bool();
        value.ok_or_else(|| self.fault(Problem::WrongType("true or false")))
    }

    /// A whole number that is not negative.
    pub(super) fn whole_number(&self) -> Result<u64, Fault> {
        let number = self.value.as_u64();
        number.ok_or_else(|| self.fault(Problem::WrongType("a whole number that is not negative")))
    }

    /// One of the words of a closed set.
    pub(super) fn word<T: Copy>(
        &self,
        words: &[(&str, T)],
        allowed: &'static str,
    ) -> Result<T, Fault> {
        let found = self.text(MAX_WORD_BYTES)?;
        let known = words.iter().find(|(word, _)| *word == found);
        known.map(|(_, value)| *value).ok_or_else(|| self.fault(Problem::NoneOf { found, allowed }))
    }

    /// Refuses keys that are not known.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Fault> {
        match self.map()?.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.fault(Problem::UnknownKey(key.clone()))),
            None => Ok(()),
        }
    }

    /// A fault of this place.
    pub(super) fn fault(&self, problem: Problem) -> Fault {
        Fault::at(&self.place, problem)
    }

    fn map(&self) -> Result<&'a Map<String, Value>, Fault> {
        self.value.as_object().ok_or_else(|| self.fault(Problem::WrongType("a mapping")))
    }

    fn below(&self, key: &str, value: &'a Value) -> Self {
        let place =
            if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Self { value, place }
    }
}

/// The longest word of a closed set has a third of this.
const MAX_WORD_BYTES: usize = 64;
