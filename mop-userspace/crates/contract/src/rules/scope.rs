//! Which calls a rule is for.

use serde::Deserialize;
use serde_json::Value as Tree;

use super::{CallFacts, RuleProblem};
use crate::operation::Status;

/// Which calls; an empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    paths: Paths,
    methods: Box<[Box<str>]>,
    statuses: Box<[Status]>,
    documents: Box<[Box<str>]>,
}

/// Which path templates. Apart from the rest, since comparing paths costs most, and scopes share
/// their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Paths {
    allowed: Box<[Glob]>,
    excepted: Box<[Glob]>,
}

/// A scope as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawScope {
    paths: Vec<String>,
    except_paths: Vec<String>,
    methods: Vec<String>,
    statuses: Vec<Tree>,
    documents: Vec<String>,
}

/// A pattern of path templates: `*` stands for any characters of one segment, `**` for any number
/// of whole segments. Parameters of templates are segments like others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Segments,
    Segment {
        prefix: Box<str>,
        /// What follows a `*`; without one, the prefix is the whole segment.
        suffix: Option<Box<str>>,
    },
}

impl Scope {
    pub(super) fn parse(raw: RawScope) -> Result<Self, RuleProblem> {
        let RawScope { paths, except_paths, methods, statuses, documents } = raw;
        let lengths = [paths.len(), except_paths.len(), methods.len(), documents.len()];
        if lengths.iter().chain([&statuses.len()]).any(|length| *length > MAX_SCOPE_ENTRIES) {
            return Err(RuleProblem::TooManyScopeEntries);
        }
        let globs = |paths: Vec<String>| -> Result<Box<[Glob]>, RuleProblem> {
            paths.iter().map(|path| Glob::parse(path)).collect()
        };
        Ok(Self {
            paths: Paths { allowed: globs(paths)?, excepted: globs(except_paths)? },
            methods: methods.into_iter().map(Into::into).collect(),
            statuses: statuses.iter().map(status).collect::<Result<_, _>>()?,
            documents: documents.into_iter().map(Into::into).collect(),
        })
    }

    /// Whether it is for responses only.
    pub(super) fn needs_response(&self) -> bool {
        !self.statuses.is_empty()
    }

    /// Whether it is for some status of a class.
    pub(super) fn allows_class(&self, class: u16) -> bool {
        self.statuses.is_empty()
            || self.statuses.iter().any(|status| match status {
                Status::Code(code) => code / 100 == class,
                Status::Class(known) => u16::from(*known) == class,
                Status::Default => true,
            })
    }

    /// Its paths.
    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Whether it is for this call, if its paths are.
    pub(super) fn allows(&self, facts: &CallFacts<'_>) -> bool {
        let Self { paths: _, methods, statuses, documents } = self;
        let has = |names: &[Box<str>], name: &str| {
            names.is_empty() || names.iter().any(|known| **known == *name)
        };
        let status = facts.response.map(|(status, _)| status);
        has(methods, facts.method)
            && (statuses.is_empty()
                || status.is_some_and(|code| statuses.iter().any(|known| known.matches(code))))
            && has(documents, facts.document)
    }
}

impl Paths {
    /// Whether they are all paths.
    pub(super) fn are_all(&self) -> bool {
        self.allowed.is_empty() && self.excepted.is_empty()
    }

    /// Whether a template is among them.
    pub(super) fn allow(&self, template: &str) -> bool {
        let Self { allowed, excepted } = self;
        (allowed.is_empty() || allowed.iter().any(|glob| glob.matches(template)))
            && !excepted.iter().any(|glob| glob.matches(template))
    }
}

impl Glob {
    fn parse(text: &str) -> Result<Self, RuleProblem> {
        let refused = || RuleProblem::Glob(text.to_owned());
        let path = text.strip_prefix('/').ok_or_else(refused)?;
        let parts: Box<[Part]> = path
            .split('/')
            .map(|segment| match segment.split_once('*') {
                _ if segment == "**" => Some(Part::Segments),
                None => Some(Part::Segment { prefix: segment.into(), suffix: None }),
                Some((_, suffix)) if suffix.contains('*') => None,
                Some((prefix, suffix)) => {
                    Some(Part::Segment { prefix: prefix.into(), suffix: Some(suffix.into()) })
                }
            })
            .collect::<Option<_>>()
            .ok_or_else(refused)?;
        let open = parts.iter().filter(|part| **part == Part::Segments).count();
        if open > MAX_OPEN_PARTS { Err(refused()) } else { Ok(Self(parts)) }
    }

    fn matches(&self, template: &str) -> bool {
        template.strip_prefix('/').is_some_and(|path| matches(&self.0, Some(path)))
    }
}

/// Whether the segments that are left fit the parts that are left.
fn matches(parts: &[Part], left: Option<&str>) -> bool {
    let Some((part, parts)) = parts.split_first() else { return left.is_none() };
    let next = left.map(|left| match left.split_once('/') {
        Some((segment, left)) => (segment, Some(left)),
        None => (left, None),
    });
    match (part, next) {
        (Part::Segment { .. }, None) => false,
        (Part::Segment { prefix, suffix }, Some((segment, left))) => {
            let fits = match (segment.strip_prefix(&**prefix), suffix) {
                (Some(rest), Some(suffix)) => rest.ends_with(&**suffix),
                (Some(rest), None) => rest.is_empty(),
                (None, _) => false,
            };
            fits && matches(parts, left)
        }
        (Part::Segments, _) => matches_open(parts, left),
    }
}

/// The same behind a `**`, which may take any number of the segments.
fn matches_open(parts: &[Part], mut left: Option<&str>) -> bool {
    loop {
        if matches(parts, left) {
            return true;
        }
        let Some(path) = left else { return false };
        left = path.split_once('/').map(|(_, shorter)| shorter);
    }
}

fn status(tree: &Tree) -> Result<Status, RuleProblem> {
    let text = match tree {
        Tree::String(text) => text.clone(),
        other => other.to_string(),
    };
    Status::parse(&text)
        .filter(|status| *status != Status::Default)
        .ok_or(RuleProblem::Status(text))
}

/// Entries of one list of a scope: an ecosystem has some seventy documents.
pub const MAX_SCOPE_ENTRIES: usize = 128;

/// `**` in one pattern: each more multiplies the readings of a path.
const MAX_OPEN_PARTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_templates() {
        for (glob, template, expected) in [
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", true),
            ("/a/**", "/ab", false),
            ("/**", "/", true),
            ("/a/*/c", "/a/{x}/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/insurance-*/c", "/a/insurance-auto/c", true),
            ("/a/insurance-*/c", "/a/quote-auto/c", false),
            ("/a/*-auto", "/a/quote-auto", true),
            ("/a/ab*ba", "/a/aba", false),
            ("/**/claim", "/a/b/claim", true),
            ("/**/claim", "/claim", true),
            ("/**/claim", "/a/claims", false),
            ("/**/b/**", "/a/b", true),
            ("/**/b/**", "/b/c/d", true),
            ("/**/b/**", "/a/c", false),
            ("/a", "/a/", false),
            ("/a", "a", false),
        ] {
            let parsed = Glob::parse(glob).expect("well-formed");
            assert_eq!(parsed.matches(template), expected, "{glob} {template}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for text in ["", "a/b", "/a*b*c", "/***", "/**/a/**/b/**"] {
            assert_eq!(Glob::parse(text), Err(RuleProblem::Glob(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for (tree, expected) in [
            (Tree::from(429), Some(Status::Code(429))),
            (Tree::from("429"), Some(Status::Code(429))),
            (Tree::from("4xx"), Some(Status::Class(4))),
            (Tree::from("6xx"), None),
            (Tree::from(99), None),
            (Tree::from("default"), None),
            (Tree::from(true), None),
        ] {
            assert_eq!(status(&tree).ok(), expected, "{tree}");
        }
    }
}
