//! Defects of a document, found without any message.
//!
//! A contract is judged before anything is judged by it: a demanded header that nobody can send or
//! a pattern that does not compile would turn into thousands of false violations. Each finding
//! says where it is and what can be done; the corrections overlay is written from them.
//!
//! Invariants: findings are sorted by place and code, so that two runs can be compared; they are
//! bounded by [`MAX_FINDINGS`] and the rest is counted; everything said is the document's own text.

mod alternatives;
mod bodies;
mod bounds;
mod closed;
mod code;
mod enums;
mod examples;
mod headers;
mod keywords;
mod operations;
mod patterns;
mod references;
mod required;

use serde_json::Value;

pub use self::code::{Code, Severity};
use self::patterns::Patterns;
use crate::{
    Document,
    places::{Kind, Places},
};

/// One defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its class.
    pub code: Code,
    /// What it does to the judgement of messages.
    pub severity: Severity,
    /// JSON pointer to the place, from the root of the document.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
    /// What can be done.
    pub remedy: &'static str,
}

/// The defects of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sorted by pointer, then by code.
    pub findings: Vec<Finding>,
    /// Findings beyond [`MAX_FINDINGS`].
    pub omitted: usize,
}

/// Finds the defects of a document.
#[must_use]
pub fn lint(document: &Document) -> Report {
    let places = Places::of(&document.tree);
    let patterns = Patterns::default();
    let context = Context { document, places: &places, patterns: &patterns };
    let mut report = Report::default();
    for check in CHECKS {
        check(&context, &mut report);
    }
    if places.omitted > 0 {
        let detail = format!("{} subtrees are beyond the limits", places.omitted);
        report.add(Code::NotSearched, "", detail);
    }
    report
        .findings
        .sort_by(|a, b| (&a.pointer, a.code, &a.detail).cmp(&(&b.pointer, b.code, &b.detail)));
    report
}

impl Report {
    fn add(&mut self, code: Code, pointer: &str, detail: String) {
        if self.findings.len() >= MAX_FINDINGS {
            self.omitted += 1;
            return;
        }
        self.findings.push(Finding {
            code,
            severity: code.severity(),
            pointer: pointer.to_owned(),
            detail,
            remedy: code.remedy(),
        });
    }
}

/// What every check reads.
struct Context<'a> {
    document: &'a Document,
    places: &'a Places,
    patterns: &'a Patterns,
}

impl<'a> Context<'a> {
    /// The nodes of one kind that are no references, with their pointers and names.
    fn nodes(&self, kind: Kind) -> impl Iterator<Item = Node<'a>> {
        let document = self.document;
        self.places.of_kind(kind).filter_map(move |place| {
            let value = document.tree.pointer(&place.pointer)?;
            let is_reference = value.get("$ref").is_some_and(Value::is_string);
            (!is_reference).then_some(Node { value, pointer: &place.pointer, name: &place.name })
        })
    }
}

/// A node of the document.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    pointer: &'a str,
    name: &'a str,
}

impl<'a> Node<'a> {
    fn text(&self, keyword: &str) -> Option<&'a str> {
        self.value.get(keyword)?.as_str()
    }

    fn list(&self, keyword: &str) -> &'a [Value] {
        self.value.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn names(&self, keyword: &str) -> impl Iterator<Item = &'a str> {
        self.list(keyword).iter().filter_map(Value::as_str)
    }

    fn at(&self, keyword: &str) -> String {
        format!("{}/{keyword}", self.pointer)
    }
}

type Check = fn(&Context<'_>, &mut Report);

/// One for each family of defects.
const CHECKS: [Check; 12] = [
    alternatives::check,
    bodies::check,
    bounds::check,
    closed::check,
    enums::check,
    examples::check,
    headers::check,
    keywords::check,
    operations::check,
    patterns::check,
    references::check,
    required::check,
];

/// Findings of one document; the published one with the most has fewer than 500.
pub const MAX_FINDINGS: usize = 4096;

#[cfg(test)]
mod tests;
