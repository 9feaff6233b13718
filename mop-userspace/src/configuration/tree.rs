//! What was read, as one tree in which every value knows where it is from.
//!
//! Layers are laid over each other as trees, before anything is understood: tables are joined key
//! by key, anything else is replaced as a whole. So a value that is wrong can be reported with its
//! own file and line, however many files there are.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    path::PathBuf,
    sync::Arc,
};

use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A value and where it is from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// A value as TOML has them.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Boolean(bool),
    Float(f64),
    Integer(i64),
    List(Vec<Node>),
    /// A date or time, which no key takes.
    Moment,
    /// Stands in for a required key that is missing, so that what else is wrong can be found.
    StandIn,
    Table(BTreeMap<String, Node>),
    Text(String),
}

/// Where a value is from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    source: Arc<Source>,
    /// In its file, from 1; 0 where there are no lines.
    line: usize,
}

/// What a layer was read from.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    /// All layers together.
    Merged,
    /// An environment variable and its value as it stands there, for keys that take text.
    Variable {
        name: String,
        text: String,
    },
}

impl Node {
    /// A table without any key.
    pub(super) fn empty(source: Source) -> Self {
        let origin = Origin { source: Arc::new(source), line: 0 };
        Self { origin, value: Value::Table(BTreeMap::new()) }
    }

    /// The content of a file.
    pub(super) fn of_file(source: &Arc<Source>, text: &str, table: &DeTable<'_>) -> Self {
        let lines = Lines::of(text);
        let origin = Origin { source: Arc::clone(source), line: 0 };
        Self { origin, value: lines.table(source, table) }
    }

    /// The value of a variable: as TOML where it is some, else as text.
    pub(super) fn of_variable(name: &str, text: &str) -> Self {
        let source = Arc::new(Source::Variable { name: name.to_owned(), text: text.to_owned() });
        let value = match DeValue::parse(text) {
            Ok(value) => Lines::none().value(&source, value.get_ref()),
            Err(_) => Value::Text(text.to_owned()),
        };
        Self { origin: Origin { source, line: 0 }, value }
    }

    /// Puts this value at the end of a path of tables.
    pub(super) fn under(self, path: &[String]) -> Self {
        path.iter().rev().fold(self, |node, key| {
            let origin = node.origin.clone();
            Self { origin, value: Value::Table(BTreeMap::from([(key.clone(), node)])) }
        })
    }

    /// Lays another tree over this one.
    pub(super) fn overlay(&mut self, above: Self) {
        match (&mut self.value, above.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (key, node) in above {
                    match below.get_mut(&key) {
                        Some(old) => old.overlay(node),
                        None => {
                            below.insert(key, node);
                        }
                    }
                }
            }
            (_, value) => *self = Self { origin: above.origin, value },
        }
    }

    /// The value at the end of a path; places in lists are numbers.
    pub(super) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Table(table) => table.get(key),
            Value::List(list) => list.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Takes out the value at the end of a path; one inside a list takes the list with it, since
    /// the others would move.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, before)) = path.split_last() else { return false };
        match self.table_at(before) {
            Some(table) => table.remove(last).is_some(),
            None => self.remove(before),
        }
    }

    /// Says of a problem where it stands.
    pub(super) fn place(&self, problem: Problem) -> Problem {
        let path = problem.path();
        let nearest = (1..=path.len()).rev().find_map(|length| self.at(path.get(..length)?));
        match nearest.map(|node| node.origin.clone()) {
            Some(origin) => problem.at(&origin),
            None => problem,
        }
    }

    /// Puts a stand-in for a key of the table at the end of a path.
    pub(super) fn stand_in(&mut self, table: &[String], key: &str) -> bool {
        let Some(table) = self.table_at(table) else { return false };
        let node = Self::empty(Source::Merged);
        table.insert(key.to_owned(), Self { value: Value::StandIn, ..node }).is_none()
    }

    fn table_at(&mut self, path: &[String]) -> Option<&mut BTreeMap<String, Self>> {
        let mut node = self;
        for key in path {
            node = match &mut node.value {
                Value::Table(table) => table.get_mut(key)?,
                Value::List(list) => list.get_mut(key.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        match &mut node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    /// What kind of value it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "true or false",
            Self::Float(_) => "a number with a fraction",
            Self::Integer(_) => "a number",
            Self::List(_) => "a list",
            Self::Moment => "a date or time",
            Self::StandIn => "nothing",
            Self::Table(_) => "a table",
            Self::Text(_) => "text",
        }
    }
}

impl Origin {
    /// The text of a variable.
    pub(super) fn text(&self) -> Option<&str> {
        match &*self.source {
            Source::Variable { text, .. } => Some(text),
            Source::File(_) | Source::Merged => None,
        }
    }
}

impl Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, line } = self;
        match &**source {
            Source::File(path) if *line > 0 => write!(formatter, "{}:{line}", path.display()),
            Source::File(path) => write!(formatter, "{}", path.display()),
            Source::Merged => formatter.write_str("configuration"),
            Source::Variable { name, .. } => write!(formatter, "environment variable {name}"),
        }
    }
}

/// From byte offsets to lines.
pub(super) struct Lines {
    /// Offsets at which lines begin; empty where lines mean nothing.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { starts }
    }

    fn none() -> Self {
        Self { starts: Vec::new() }
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn table(&self, source: &Arc<Source>, table: &DeTable<'_>) -> Value {
        let nodes = table.iter().map(|(key, value)| {
            // A key says better than its value where the setting stands: tables have headings.
            let origin = Origin { source: Arc::clone(source), line: self.line(key.span().start) };
            let node = Node { origin, value: self.value(source, value.get_ref()) };
            (key.get_ref().clone().into_owned(), node)
        });
        Value::Table(nodes.collect())
    }

    fn value(&self, source: &Arc<Source>, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Float(value) => Value::Float(value.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Integer(value) => {
                // One that no 64 bits hold has to be wrong for every key.
                i64::from_str_radix(value.as_str(), value.radix())
                    .map_or(Value::Float(f64::INFINITY), Value::Integer)
            }
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(list) => Value::List(
                list.iter()
                    .map(|value| Node {
                        origin: Origin {
                            source: Arc::clone(source),
                            line: self.line(value.span().start),
                        },
                        value: self.value(source, value.get_ref()),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => self.table(source, table),
        }
    }
}
