//! Files of rules: from YAML to rules that are ready to be compiled into a set.

use std::{collections::HashSet, sync::Arc};

use serde::Deserialize;
use serde_json::Value as Tree;

use super::{
    Rule, RuleError, RuleProblem,
    condition::Condition,
    example::{Examples, RawExamples},
    operands::Operands,
    scope::{RawScope, Scope},
};
use crate::violation::{Direction, Keyword, Location, Severity};

/// A rule of a file.
pub(super) struct ParsedRule {
    pub(super) rule: Rule,
    /// That of the file, then its own.
    pub(super) scopes: Box<[Scope]>,
    pub(super) when: Box<[Condition]>,
    pub(super) require: Box<[Condition]>,
    pub(super) examples: Examples,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    scope: RawScope,
    rules: Vec<Tree>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    severity: RawSeverity,
    direction: RawDirection,
    location: String,
    /// Only where the location does not say it.
    attribute: Option<String>,
    title: String,
    explanation: String,
    explanation_pt: String,
    source: String,
    #[serde(default)]
    scope: RawScope,
    #[serde(default)]
    when: Vec<Tree>,
    require: Vec<Tree>,
    #[serde(default)]
    tests: RawExamples,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawSeverity {
    Info,
    Warning,
    Error,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawDirection {
    Request,
    Response,
}

/// All rules of all files, in their order, and their operands.
pub(super) fn parse(files: &[(&str, &str)]) -> Result<(Vec<ParsedRule>, Operands), RuleError> {
    let mut rules = Vec::new();
    let mut operands = Operands::default();
    let mut ids = HashSet::new();
    for (number, (name, text)) in files.iter().enumerate() {
        let refused = |problem| RuleError { file: (*name).to_owned(), rule: None, problem };
        if number >= MAX_FILES {
            return Err(refused(RuleProblem::TooManyFiles));
        }
        if text.len() > MAX_FILE_BYTES {
            return Err(refused(RuleProblem::FileTooLong));
        }
        let RawFile { scope, rules: trees } = serde_saphyr::from_str(text)
            .map_err(|error| refused(RuleProblem::Syntax(first_line(&error.to_string()))))?;
        let scope = Scope::parse(scope).map_err(refused)?;
        if rules.len() + trees.len() > MAX_RULES {
            return Err(refused(RuleProblem::TooManyRules));
        }
        for (place, tree) in trees.into_iter().enumerate() {
            let id = tree.get("id").and_then(Tree::as_str);
            let known_as = id.map_or_else(|| format!("number {}", place + 1), str::to_owned);
            let parsed = rule(tree, &scope, &mut operands).and_then(|parsed| {
                let is_new = ids.insert(parsed.rule.id.clone());
                if is_new { Ok(parsed) } else { Err(RuleProblem::DuplicateId) }
            });
            rules.push(parsed.map_err(|problem| RuleError {
                file: (*name).to_owned(),
                rule: Some(known_as),
                problem,
            })?);
        }
    }
    Ok((rules, operands))
}

fn rule(
    tree: Tree,
    file_scope: &Scope,
    operands: &mut Operands,
) -> Result<ParsedRule, RuleProblem> {
    let RawRule {
        id,
        severity,
        direction,
        location,
        attribute,
        title,
        explanation,
        explanation_pt,
        source,
        scope,
        when,
        require,
        tests,
    } = serde_json::from_value(tree).map_err(|error| RuleProblem::Syntax(error.to_string()))?;
    check_id(&id)?;
    let location = parse_location(&location).ok_or(RuleProblem::Location(location))?;
    let rule = Rule {
        id,
        severity: match severity {
            RawSeverity::Info => Severity::Info,
            RawSeverity::Warning => Severity::Warning,
            RawSeverity::Error => Severity::Error,
        },
        direction: match direction {
            RawDirection::Request => Direction::Request,
            RawDirection::Response => Direction::Response,
        },
        attribute: match attribute {
            Some(attribute) => checked("attribute", &attribute)?,
            None => attribute_of(&location),
        },
        location,
        title: checked("title", &title)?,
        explanation: checked("explanation", &explanation)?,
        explanation_pt: checked("explanation_pt", &explanation_pt)?,
        source: checked("source", &source)?,
    };
    if require.is_empty() {
        return Err(RuleProblem::NothingRequired);
    }
    let mut scopes = vec![file_scope.clone(), Scope::parse(scope)?];
    scopes.retain(|scope| *scope != Scope::default());
    Ok(ParsedRule {
        rule,
        scopes: scopes.into(),
        when: conditions("when", &when, operands)?,
        require: conditions("require", &require, operands)?,
        examples: Examples::of(tests),
    })
}

fn check_id(id: &str) -> Result<(), RuleProblem> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|sign| matches!(sign, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if id.len() > MAX_ID_BYTES || !id.contains('.') || !id.split('.').all(is_word) {
        return Err(RuleProblem::Id);
    }
    let is_reserved = id.split_once('.').is_some_and(|(part, code)| {
        PARTS.contains(&part) && Keyword::ALL.iter().any(|keyword| keyword.code() == code)
    });
    if is_reserved { Err(RuleProblem::ReservedId) } else { Ok(()) }
}

/// The form in which locations are displayed, such as `header:retry-after` or `body:/meta`.
fn parse_location(text: &str) -> Option<Location> {
    match text {
        "content_type" => return Some(Location::ContentType),
        "status" => return Some(Location::Status),
        _ => {}
    }
    let (part, rest) = text.split_once(':')?;
    let name = || (!rest.is_empty()).then(|| Arc::from(rest));
    match part {
        "body" if rest.is_empty() || rest.starts_with('/') => Some(Location::Body(rest.to_owned())),
        "cookie" => name().map(Location::Cookie),
        "header" => name().map(Location::Header),
        "path" => name().map(Location::Path),
        "query" => name().map(Location::Query),
        _ => None,
    }
}

/// As violations of contracts name it.
fn attribute_of(location: &Location) -> String {
    match location {
        Location::Body(pointer) => pointer.trim_start_matches('/').replace('/', "."),
        Location::ContentType => "content-type".to_owned(),
        Location::Cookie(name)
        | Location::Header(name)
        | Location::Path(name)
        | Location::Query(name) => name.to_string(),
        Location::Status => "status".to_owned(),
    }
}

fn checked(what: &'static str, text: &str) -> Result<String, RuleProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(RuleProblem::Empty(what));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(RuleProblem::TextTooLong(what));
    }
    Ok(text.to_owned())
}

fn conditions(
    what: &'static str,
    trees: &[Tree],
    operands: &mut Operands,
) -> Result<Box<[Condition]>, RuleProblem> {
    if trees.len() > MAX_CONDITIONS {
        return Err(RuleProblem::TooManyConditions(what));
    }
    trees.iter().map(|tree| Condition::parse(tree, operands)).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Parts that begin the codes of violations of contracts.
const PARTS: [&str; 7] = ["body", "content_type", "cookie", "header", "path", "query", "status"];

/// Files of one set: one a subject, and those of a participant.
pub const MAX_FILES: usize = 64;

/// Of one file. Rules with their explanations and examples have some two thousand each.
pub const MAX_FILE_BYTES: usize = 512 << 10;

/// Rules of one set: each that applies to a call costs it some tenths of a microsecond.
pub const MAX_RULES: usize = 512;

/// Conditions of one `when` or `require`.
pub const MAX_CONDITIONS: usize = 16;

/// Of one id, which is a label of metrics.
pub const MAX_ID_BYTES: usize = 64;

/// Of one text for people.
pub const MAX_TEXT_BYTES: usize = 2000;
