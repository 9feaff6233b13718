//! What rules look at: the values of a call, by field.

use super::{
    error::{Fault, Problem},
    field::{Field, FieldName},
    node::Node,
};

/// A call, as rules see it: normalised values by field.
///
/// A field may have many values, such as a text as it was sent and each of its decoded forms. A test
/// of a field holds when it holds for any of them.
pub trait Event {
    /// Gives each value of a field.
    fn values<'e>(&'e self, field: &Field, each: &mut dyn FnMut(&'e [u8]));
}

/// A small event that is written out, as the tests of rules are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EventMap(Vec<(Field, Vec<u8>)>);

impl EventMap {
    /// Adds a value.
    pub fn push(&mut self, field: Field, value: impl Into<Vec<u8>>) {
        self.0.push((field, value.into()));
    }

    /// Reads a mapping of fields to a value or a list of values.
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        let mut event = Self::default();
        if node.value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(event);
        }
        for (name, below) in node.entries()? {
            let Ok(field) = FieldName::new(name).resolve() else {
                return Err(node.fault(Problem::UnknownKey(name.to_owned())));
            };
            for value in below.one_or_more(MAX_EVENT_VALUES)? {
                let is_empty = value.value.as_str() == Some("");
                let text = if is_empty { String::new() } else { value.text(MAX_VALUE_BYTES)? };
                event.push(field.clone(), text);
            }
        }
        Ok(event)
    }

    /// The same with `{n}` replaced by a number in each value.
    pub(super) fn numbered(&self, number: u64) -> Self {
        let number = number.to_string();
        let replace = |(field, value): &(Field, Vec<u8>)| {
            let text = String::from_utf8_lossy(value).replace("{n}", &number);
            (field.clone(), text.into_bytes())
        };
        Self(self.0.iter().map(replace).collect())
    }
}

impl Event for EventMap {
    fn values<'e>(&'e self, field: &Field, each: &mut dyn FnMut(&'e [u8])) {
        for (known, value) in &self.0 {
            if known == field || *field == Field::Anywhere {
                each(value);
            }
        }
    }
}

/// Its fields only.
impl std::fmt::Debug for EventMap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(field, _)| field)).finish()
    }
}

/// Values of a field of a written event.
const MAX_EVENT_VALUES: usize = 64;

/// Bytes of a value of a written event.
const MAX_VALUE_BYTES: usize = 16 << 10;
