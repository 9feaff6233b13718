//! Examples that rules carry: calls that break them, and calls that do not.
//!
//! They are the tests of the rules, kept beside them, so that who writes a rule can try it without
//! building anything. Loading a set does not run them.

use std::{collections::BTreeMap, sync::Arc};

use mop_wire::Headers;
use serde::Deserialize;
use serde_json::Value as Tree;

use super::{
    CallFacts, MessageFacts, RuleError, RuleProblem, RuleSet,
    file::{self, ParsedRule},
    operands::Operands,
};
use crate::{
    json::{Json, Reader},
    route::path_of,
};

/// Calls that break a rule, and calls that do not.
pub(super) struct Examples {
    violating: Vec<RawExample>,
    conforming: Vec<RawExample>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawExamples {
    violating: Vec<RawExample>,
    conforming: Vec<RawExample>,
}

/// A call, small enough to be written by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExample {
    #[serde(default = "get")]
    method: String,
    target: String,
    /// The path of the target, when it has no parameters.
    template: Option<String>,
    #[serde(default)]
    document: String,
    #[serde(default)]
    request_headers: BTreeMap<String, FieldLines>,
    request_body: Option<Tree>,
    /// Without one, the response was not seen.
    status: Option<u16>,
    #[serde(default)]
    response_headers: BTreeMap<String, FieldLines>,
    response_body: Option<Tree>,
}

/// One field line, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldLines {
    One(String),
    Several(Vec<String>),
}

/// Judges the examples of all rules; the number of examples. Each rule must have examples of both
/// kinds, and each must be judged by its own rule as the file says.
pub fn check_examples(files: &[(&str, &str)]) -> Result<usize, RuleError> {
    let mut checked = 0;
    for file in files {
        let (rules, operands) = file::parse(std::slice::from_ref(file))?;
        let operands = Arc::new(operands);
        for parsed in rules {
            let id = parsed.rule.id.clone();
            checked += check(parsed, &operands).map_err(|problem| RuleError {
                file: file.0.to_owned(),
                rule: Some(id),
                problem,
            })?;
        }
    }
    Ok(checked)
}

fn check(mut parsed: ParsedRule, operands: &Arc<Operands>) -> Result<usize, RuleProblem> {
    let Examples { violating, conforming } =
        std::mem::replace(&mut parsed.examples, Examples::of(RawExamples::default()));
    let rules = RuleSet::of(vec![parsed], Arc::clone(operands));
    let mut checked = 0;
    for (kind, examples, expected) in [("violating", violating, 1), ("conforming", conforming, 0)] {
        if examples.is_empty() {
            return Err(RuleProblem::NoExample(kind));
        }
        for (place, example) in examples.iter().enumerate() {
            if example.broken_rules(&rules) != expected {
                return Err(RuleProblem::Example { kind, number: place + 1 });
            }
            checked += 1;
        }
    }
    Ok(checked)
}

impl Examples {
    pub(super) fn of(raw: RawExamples) -> Self {
        let RawExamples { violating, conforming } = raw;
        Self { violating, conforming }
    }
}

impl RawExample {
    fn broken_rules(&self, rules: &RuleSet) -> usize {
        let request_text = self.request_body.as_ref().map(Tree::to_string);
        let response_text = self.response_body.as_ref().map(Tree::to_string);
        let (mut request_reader, mut response_reader) = (Reader::default(), Reader::default());
        let request_body =
            request_text.as_ref().and_then(|text| request_reader.read(text.as_bytes()).ok());
        let response_body =
            response_text.as_ref().and_then(|text| response_reader.read(text.as_bytes()).ok());
        let request_headers = headers(&self.request_headers);
        let response_headers = headers(&self.response_headers);
        let response = MessageFacts {
            headers: &response_headers,
            body: response_body.as_ref().map(Json::root),
        };
        let facts = CallFacts {
            method: &self.method,
            target: &self.target,
            template: self.template.as_deref().unwrap_or(path_of(&self.target)),
            document: &self.document,
            request: Some(MessageFacts {
                headers: &request_headers,
                body: request_body.as_ref().map(Json::root),
            }),
            response: self.status.map(|status| (status, response)),
        };
        let mut broken = Vec::new();
        rules.evaluate(&facts, &mut broken);
        broken.len()
    }
}

fn headers(lines: &BTreeMap<String, FieldLines>) -> Headers {
    let mut headers = Headers::default();
    for (name, values) in lines {
        match values {
            FieldLines::One(value) => headers.push(name, value.as_bytes()),
            FieldLines::Several(values) => {
                for value in values {
                    headers.push(name, value.as_bytes());
                }
            }
        }
    }
    headers
}

fn get() -> String {
    "GET".to_owned()
}
