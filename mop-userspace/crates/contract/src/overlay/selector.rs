//! Which schemas of a document a correction is about.

use serde::Deserialize;
use serde_json::Value;

use super::correction::matches;
use crate::{
    Document,
    places::{Kind, Places},
};

/// Conditions on a schema; all that are given must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// It stands at one of these pointers, such as `#/components/schemas/Amount`. A step `*`
    /// stands for any one step, and a step may hold `*` for any part of it.
    pub pointers: Vec<String>,
    /// It is the schema of a request header with one of these names, in any case.
    pub headers: Vec<String>,
    /// It is a property, a component or a parameter's schema with one of these names (`*` stands
    /// for any part).
    pub names: Vec<String>,
    /// Its `type`.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Its `format`.
    pub format: Option<String>,
    /// Its `pattern` is one of these, whole.
    pub patterns: Vec<String>,
    /// Its `minLength`.
    pub min_length: Option<u64>,
    /// Its `maxLength`.
    pub max_length: Option<u64>,
    /// It has these keywords.
    pub has: Vec<String>,
    /// It has none of these keywords.
    pub lacks: Vec<String>,
}

impl Selector {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the conditions hold the wrong text itself, so that a repaired schema is not selected.
    pub(super) fn names_wrong_text(&self) -> bool {
        !self.patterns.is_empty()
            || self.min_length.is_some()
            || self.max_length.is_some()
            || (!self.has.is_empty() && self.type_name.is_some())
            || (self.format.is_some() && self.type_name.is_some())
    }

    /// The pointers of the selected schemas, and how many parts were not searched.
    pub(super) fn select(&self, document: &Document) -> (Vec<String>, usize) {
        let places = Places::of(&document.tree);
        let headers = self.header_schemas(document, &places);
        let selected = places
            .of_kind(Kind::Schema)
            .filter(|place| self.pointers.is_empty() || self.points_to(&place.pointer))
            .filter(|place| self.headers.is_empty() || headers.contains(&place.pointer))
            .filter(|place| {
                self.names.is_empty() || self.names.iter().any(|glob| matches(glob, &place.name))
            })
            .filter(|place| {
                document.tree.pointer(&place.pointer).is_some_and(|schema| self.holds(schema))
            })
            .map(|place| place.pointer.clone())
            .collect();
        (selected, places.omitted)
    }

    fn points_to(&self, pointer: &str) -> bool {
        self.pointers.iter().filter_map(|wanted| wanted.strip_prefix('#')).any(|wanted| {
            let mut steps = pointer.split('/');
            wanted.split('/').all(|glob| steps.next().is_some_and(|step| matches(glob, step)))
                && steps.next().is_none()
        })
    }

    fn header_schemas(&self, document: &Document, places: &Places) -> Vec<String> {
        if self.headers.is_empty() {
            return Vec::new();
        }
        places
            .of_kind(Kind::Parameter)
            .filter(|place| {
                document
                    .tree
                    .pointer(&place.pointer)
                    .is_some_and(|parameter| is_header_parameter(parameter, &self.headers))
            })
            .map(|place| format!("{}/schema", place.pointer))
            .collect()
    }

    fn holds(&self, schema: &Value) -> bool {
        let text = |keyword| schema.get(keyword).and_then(Value::as_str);
        let number = |keyword| schema.get(keyword).and_then(Value::as_u64);
        (self.type_name.is_none() || text("type") == self.type_name.as_deref())
            && (self.format.is_none() || text("format") == self.format.as_deref())
            && (self.patterns.is_empty()
                || text("pattern")
                    .is_some_and(|pattern| self.patterns.iter().any(|p| p == pattern)))
            && (self.min_length.is_none() || number("minLength") == self.min_length)
            && (self.max_length.is_none() || number("maxLength") == self.max_length)
            && self.has.iter().all(|keyword| schema.get(keyword).is_some())
            && self.lacks.iter().all(|keyword| schema.get(keyword).is_none())
    }
}

/// Whether this is a header of a request with one of the names.
pub(super) fn is_header_parameter(parameter: &Value, names: &[String]) -> bool {
    parameter.get("in").and_then(Value::as_str) == Some("header")
        && parameter
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
}
