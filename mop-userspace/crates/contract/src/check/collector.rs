//! Writes defects down.

use std::{fmt::Write as _, sync::Arc};

use super::{Sink, Step};
use crate::{
    document::escape_token,
    violation::{Direction, Keyword, Location, Severity, Violation},
};

/// Defects of one value and the way to the place that is being looked at.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    way: Vec<OwnedStep>,
    defects: Vec<Defect>,
    total: u32,
    /// Of these, defects that tell what kind of object was sent rather than what is wrong with it.
    structural: u32,
}

/// A defect, and how often the same rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Defect {
    keyword: Keyword,
    /// JSON Pointer to the first.
    pointer: String,
    attribute: String,
    schema_path: String,
    expected: String,
    occurrences: u32,
}

#[derive(Clone, Debug)]
enum OwnedStep {
    Property(Arc<str>),
    Undeclared,
    Element(usize),
    Alternative(Keyword, usize),
    Part(usize),
}

impl Collector {
    /// Number of defects, those that were not written down included.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Defects of an object of another kind: attributes missing or undeclared, and wrong types.
    pub(super) fn structural(&self) -> u32 {
        self.structural
    }

    /// Number of defects that were not written down.
    #[must_use]
    pub fn unlisted(&self) -> u32 {
        let listed = self.defects.iter().map(|defect| defect.occurrences).sum();
        self.total.saturating_sub(listed)
    }

    /// The defects as violations of the body of a message.
    pub fn into_body_violations(self, direction: Direction) -> impl Iterator<Item = Violation> {
        self.defects.into_iter().map(move |defect| {
            let location = Location::Body(defect.pointer.clone());
            defect.into_violation(direction, location, None)
        })
    }

    /// The defects as violations of one header or parameter.
    pub fn into_violations(
        self,
        direction: Direction,
        location: Location,
        name: &str,
    ) -> impl Iterator<Item = Violation> {
        self.defects.into_iter().map(move |defect| {
            defect.into_violation(direction, location.clone(), Some(name.into()))
        })
    }

    /// Keeps only defects that the other has too.
    pub(super) fn keep_common(&mut self, other: &Self) {
        self.defects.retain(|defect| {
            other.defects.iter().any(|theirs| {
                (theirs.keyword, &theirs.pointer, &theirs.attribute)
                    == (defect.keyword, &defect.pointer, &defect.attribute)
            })
        });
        self.total = self.defects.iter().map(|defect| defect.occurrences).sum();
    }

    fn add(&mut self, keyword: Keyword, missing: Option<&str>, expected: impl FnOnce() -> String) {
        self.total = self.total.saturating_add(1);
        let is_structural =
            matches!(keyword, Keyword::AdditionalProperties | Keyword::Required | Keyword::Type);
        self.structural = self.structural.saturating_add(u32::from(is_structural));
        if self.total > MAX_LOCATED {
            return;
        }
        let schema_path = self.schema_path(keyword, missing);
        let attribute = self.attribute(missing);
        if let Some(known) = self.defects.iter_mut().find(|known| {
            known.keyword == keyword
                && known.schema_path == schema_path
                && known.attribute == attribute
        }) {
            known.occurrences = known.occurrences.saturating_add(1);
        } else if self.defects.len() < MAX_VIOLATIONS {
            self.defects.push(Defect {
                keyword,
                pointer: self.pointer(),
                attribute,
                schema_path,
                expected: shortened(expected()),
                occurrences: 1,
            });
        }
    }

    /// JSON Pointer of the place.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.way {
            match step {
                OwnedStep::Property(name) => {
                    let _ = write!(pointer, "/{}", escape_token(name));
                }
                OwnedStep::Undeclared => pointer.push_str("/*"),
                OwnedStep::Element(place) => {
                    let _ = write!(pointer, "/{place}");
                }
                OwnedStep::Alternative(..) | OwnedStep::Part(_) => {}
            }
        }
        pointer
    }

    /// Names of the place, joined by dots.
    fn attribute(&self, missing: Option<&str>) -> String {
        let names = self.way.iter().filter_map(|step| match step {
            OwnedStep::Property(name) => Some(&**name),
            OwnedStep::Undeclared => Some("*"),
            OwnedStep::Element(_) | OwnedStep::Alternative(..) | OwnedStep::Part(_) => None,
        });
        names.chain(missing).collect::<Vec<_>>().join(".")
    }

    /// Place of the rule in the schema.
    fn schema_path(&self, keyword: Keyword, missing: Option<&str>) -> String {
        let mut path = String::new();
        for step in &self.way {
            let _ = match step {
                OwnedStep::Property(name) => {
                    write!(path, "/properties/{}", escape_token(name))
                }
                OwnedStep::Undeclared => write!(path, "/additionalProperties"),
                OwnedStep::Element(_) => write!(path, "/items"),
                OwnedStep::Alternative(keyword, place) => {
                    write!(path, "/{}/{place}", keyword.name())
                }
                OwnedStep::Part(place) => write!(path, "/allOf/{place}"),
            };
        }
        let _ = write!(path, "/{}", keyword.name());
        if let Some(name) = missing {
            let _ = write!(path, "/{}", escape_token(name));
        }
        path
    }
}

impl Defect {
    fn into_violation(
        self,
        direction: Direction,
        location: Location,
        attribute: Option<String>,
    ) -> Violation {
        let Self { keyword, pointer: _, attribute: own, schema_path, expected, occurrences } = self;
        Violation {
            direction,
            location,
            keyword,
            severity: Severity::Error,
            attribute: attribute.unwrap_or(own),
            schema_path,
            expected,
            occurrences,
        }
    }
}

impl Sink for Collector {
    const STOPS: bool = false;

    fn defect(&mut self, keyword: Keyword, expected: impl FnOnce() -> String) {
        self.add(keyword, None, expected);
    }

    fn missing(&mut self, name: &Arc<str>) {
        self.add(Keyword::Required, Some(name), || name.to_string());
    }

    fn enter(&mut self, step: Step<'_>) {
        self.way.push(match step {
            Step::Property(name) => OwnedStep::Property(Arc::clone(name)),
            Step::Undeclared => OwnedStep::Undeclared,
            Step::Element(place) => OwnedStep::Element(place),
            Step::Alternative(keyword, place) => OwnedStep::Alternative(keyword, place),
            Step::Part(place) => OwnedStep::Part(place),
        });
    }

    fn leave(&mut self) {
        self.way.pop();
    }

    fn is_full(&self) -> bool {
        self.total >= MAX_LOCATED
    }

    fn branch(&self) -> Collector {
        Self { way: self.way.clone(), ..Self::default() }
    }

    fn adopt(&mut self, branch: Collector) {
        self.total = self.total.saturating_add(branch.total);
        self.structural = self.structural.saturating_add(branch.structural);
        for defect in branch.defects {
            if let Some(known) = self.defects.iter_mut().find(|known| {
                known.keyword == defect.keyword
                    && known.schema_path == defect.schema_path
                    && known.attribute == defect.attribute
            }) {
                known.occurrences = known.occurrences.saturating_add(defect.occurrences);
            } else if self.defects.len() < MAX_VIOLATIONS {
                self.defects.push(defect);
            }
        }
    }
}

/// Cuts what a contract expects to a length that fits into a report.
fn shortened(expected: String) -> String {
    match expected.char_indices().nth(MAX_EXPECTED_CHARACTERS) {
        Some((end, _)) => format!("{}…", expected.get(..end).unwrap_or_default()),
        None => expected,
    }
}

/// Distinct defects that are written down for one value. The official list of validations holds
/// a hundred, and more tells nobody anything.
pub const MAX_VIOLATIONS: usize = 100;

/// Defects whose place is found out; a hostile body may have a million, which are only counted.
const MAX_LOCATED: u32 = 10_000;

/// The longest published pattern has some 200 characters.
const MAX_EXPECTED_CHARACTERS: usize = 240;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        check::Checker, compile::SchemaCompiler, document::Document, json::Reader,
        schema::SchemasBuilder,
    };

    #[test]
    fn what_is_only_counted_is_not_searched_for_what_was_meant() {
        let document = Document::from_tree(
            "a",
            json!({ "openapi": "3.0.0", "info": { "version": "1" }, "paths": {} }),
        )
        .expect("a document");
        let demanding = |name: &str| json!({ "type": "object", "required": [name] });
        let schema = json!({
            "type": "array",
            "items": { "oneOf": [demanding("a"), demanding("b"), demanding("c")] },
        });
        let mut builder = SchemasBuilder::default();
        let root = SchemaCompiler::new(&document, &mut builder).compile(&schema, "");
        let (schemas, _) = builder.finish();

        let elements = 5 * MAX_LOCATED;
        let body = format!("[{}]", vec!["{}"; elements as usize].join(","));
        let mut reader = Reader::default();
        let value = reader.read(body.as_bytes()).expect("JSON");
        let mut checker = Checker::new(&schemas, body.len());
        let before = checker.steps_left;
        let mut collector = Collector::default();
        assert_eq!(checker.collect(root, value.root(), &mut collector), Ok(false));
        assert_eq!(collector.total(), elements);
        // Each element and its three alternatives once, and again where defects are located.
        let steps = before - checker.steps_left;
        let located = u64::from(MAX_LOCATED);
        assert!(steps <= 1 + 4 * u64::from(elements) + 4 * located, "{steps} steps");
    }
}
