//! From the tree to the types of the configuration.
//!
//! A deserializer of its own because of its errors: each knows the keys that lead to it and the
//! place it stands at. What is wrong is taken out of the tree and the rest is read again, so that
//! everything that is wrong is found in one go.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    problem::Problem,
    tree::{Node, Value},
};

/// Reads a tree. `Err`: everything that is wrong with it.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(tree: &Node) -> Result<T, Vec<Problem>> {
    let mut left = tree.clone();
    let mut problems: Vec<Problem> = Vec::new();
    loop {
        let problem = match T::deserialize(&left) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => return Err(problems),
            Err(problem) => problem,
        };
        let is_stood_in =
            left.at(problem.path()).is_some_and(|node| matches!(node.value, Value::StandIn));
        let goes_on = match problem.missing() {
            // What was taken out because it is wrong is not missing: it was reported.
            Some(key) => {
                let mut path = problem.path().to_vec();
                path.push(key.to_owned());
                if tree.at(&path).is_none() {
                    problems.push(problem.clone());
                }
                left.stand_in(problem.path(), key)
            }
            None if is_stood_in => {
                // Nothing fits this key: give up its table.
                let table = problem.path().split_last().map_or(&[][..], |(_, table)| table);
                left.remove(table)
            }
            None => {
                problems.push(problem.clone());
                left.remove(problem.path())
            }
        };
        if !goes_on || problems.len() >= MAX_PROBLEMS {
            return Err(problems);
        }
    }
}

/// Whoever mends so many looks again.
const MAX_PROBLEMS: usize = 50;

impl<'de> Deserializer<'de> for &Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let Node { origin, value } = self;
        match value {
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Value::List(list) => visitor.visit_seq(Items { nodes: list.iter(), number: 0 }),
            Value::Moment | Value::StandIn => {
                Err(Problem::invalid_type(Unexpected::Other(value.kind()), &visitor))
            }
            Value::Table(table) => visitor.visit_map(Keys { nodes: table.iter(), current: None }),
            Value::Text(text) => visitor.visit_str(text),
        }
        .map_err(|problem| problem.at(origin))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if let Value::StandIn = self.value {
            return visitor.visit_str("");
        }
        // `MOP__NODE__NAME=1` names a node 1: a variable has no quotes that could say so.
        match (self.origin.text(), &self.value) {
            (
                Some(text),
                Value::Boolean(_) | Value::Float(_) | Value::Integer(_) | Value::Moment,
            ) => visitor.visit_str(text).map_err(|problem: Problem| problem.at(&self.origin)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::StandIn => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::StandIn => visitor.visit_u64(1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::StandIn => visitor.visit_seq(Items { nodes: [].iter(), number: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let (name, content) = match &self.value {
            Value::Text(text) => (text.as_str(), None),
            Value::Table(table) if table.len() == 1 => match table.iter().next() {
                Some((name, node)) => (name.as_str(), Some(node)),
                None => ("", None),
            },
            Value::StandIn => (variants.first().copied().unwrap_or_default(), None),
            other => {
                let text =
                    format!("one of {} is wanted, not {}", variants.join(", "), other.kind());
                return Err(Problem::new("", text).at(&self.origin));
            }
        };
        visitor.visit_enum(Variant { name, content }).map_err(|problem| problem.at(&self.origin))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The keys of a table.
struct Keys<'n> {
    nodes: std::collections::btree_map::Iter<'n, String, Node>,
    current: Option<(&'n String, &'n Node)>,
}

impl<'de> MapAccess<'de> for Keys<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        self.current = self.nodes.next();
        let Some((key, node)) = self.current else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(key))
            .map(Some)
            .map_err(|problem: Problem| problem.within(key).at(&node.origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, node)) = self.current else {
            return Err(Problem::new("", "a value was asked for before its key"));
        };
        seed.deserialize(node).map_err(|problem| problem.within(key).at(&node.origin))
    }
}

/// The values of a list.
struct Items<'n> {
    nodes: std::slice::Iter<'n, Node>,
    number: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.nodes.next() else { return Ok(None) };
        let number = self.number;
        self.number += 1;
        seed.deserialize(node)
            .map(Some)
            .map_err(|problem| problem.within(&number.to_string()).at(&node.origin))
    }
}

/// A word of a choice, and what comes with it.
struct Variant<'n> {
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let name: StrDeserializer<'_, Problem> = StrDeserializer::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Problem::new("", "a word is wanted, not a table")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        let Self { name, content } = self;
        let node = content.ok_or_else(|| Problem::new("", format!("{name} needs a value")))?;
        seed.deserialize(node).map_err(|problem| problem.within(name).at(&node.origin))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Problem> {
        let Self { name, content } = self;
        let node = content.ok_or_else(|| Problem::new("", format!("{name} needs a list")))?;
        node.deserialize_seq(visitor).map_err(|problem| problem.within(name).at(&node.origin))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let Self { name, content } = self;
        let node = content.ok_or_else(|| Problem::new("", format!("{name} needs a table")))?;
        node.deserialize_any(visitor).map_err(|problem| problem.within(name).at(&node.origin))
    }
}
