//! One correction: what is wrong, where, and what is read instead.

use serde::Deserialize;
use serde_json::Value;

use super::Selector;
use crate::Document;

/// A defect of published documents and its repair.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Stable name, in kebab case.
    pub id: String,
    /// Class of the defect: the code under which the search for defects finds it, where it does.
    pub defect: String,
    /// Why the published text is wrong, in English.
    pub reason: String,
    /// The same in Brazilian Portuguese.
    pub reason_pt: String,
    /// Which documents have it.
    pub scope: Vec<Scope>,
    /// What is read instead.
    pub effect: Effect,
}

/// A published example that is wrong, while the schema that refuses it is right.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct WrongExample {
    /// Name of the document.
    pub document: String,
    /// Its version.
    pub version: String,
    /// JSON pointer to the example, with a leading `#`.
    pub pointer: String,
    /// Why it is the example that is wrong, in English.
    pub reason: String,
    /// The same in Brazilian Portuguese.
    pub reason_pt: String,
}

/// Documents and the versions of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Names, with `*` for any part.
    pub documents: Vec<String>,
    /// Versions, with `*` for any part.
    pub versions: Vec<String>,
}

/// What a correction does. Pointers are JSON pointers with a leading `#`, into the document as the
/// corrections before this one left it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Requests are not asked for these headers.
    DropRequestHeaders {
        /// Names, in any case.
        names: Vec<String>,
    },
    /// Answers with these statuses have no body: what the document says of one is dropped.
    EmptyBody {
        /// Statuses, as written in the document.
        statuses: Vec<String>,
    },
    /// Nothing: the text is known to be odd, and what it says is still what is asked for.
    LeaveAsPublished {
        /// Where it is.
        select: Selector,
    },
    /// Sets `maxLength` where it has the published value.
    MaximumLength {
        /// Where.
        select: Selector,
        /// The published value.
        from: u64,
        /// The value that is read instead.
        to: u64,
    },
    /// Makes a schema a list whose items have the keywords that stand beside it by mistake.
    MoveToItems {
        /// Where.
        select: Selector,
        /// What belongs to the items.
        keywords: Vec<String>,
        /// What the document says is accepted as well: who took it at its word is not wrong.
        #[serde(default)]
        or_as_published: bool,
    },
    /// `oneOf` is read as `anyOf`.
    OneOfAsAnyOf {
        /// Which of them.
        alternatives: Alternatives,
    },
    /// A keyword is not there.
    RemoveKeyword {
        /// Where.
        select: Selector,
        /// Which.
        keyword: String,
    },
    /// Properties are not demanded.
    RemoveRequired {
        /// Where.
        select: Selector,
        /// Which.
        names: Vec<String>,
    },
    /// A property is demanded under its right name.
    RenameRequired {
        /// Where.
        select: Selector,
        /// The published name.
        from: String,
        /// The right name.
        to: String,
    },
    /// Another pattern is read where this one stands.
    ReplacePattern {
        /// The published patterns, whole.
        patterns: Vec<String>,
        /// What is read instead.
        with: String,
        /// Only there; everywhere when absent.
        #[serde(default)]
        select: Option<Selector>,
    },
    /// Another schema is read.
    ReplaceSchema {
        /// Where.
        select: Selector,
        /// The schema.
        with: Value,
    },
    /// A keyword has another value.
    SetKeyword {
        /// Where.
        select: Selector,
        /// Which.
        keyword: String,
        /// The value.
        value: Value,
    },
}

/// Which `oneOf` are meant.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Alternatives {
    /// Those with two branches that one instance may satisfy.
    Ambiguous,
    /// Those at these pointers.
    Pointers(Vec<String>),
}

impl Correction {
    /// Whether the scope holds this document.
    pub fn covers(&self, document: &Document) -> bool {
        self.scope.iter().any(|scope| {
            scope.documents.iter().any(|glob| matches(glob, &document.name))
                && scope.versions.iter().any(|glob| matches(glob, &document.version))
        })
    }

    /// What is wrong with the correction itself.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.id.is_empty() || !self.id.bytes().all(is_kebab) {
            return Err("the id is not in kebab case");
        }
        if [&self.defect, &self.reason, &self.reason_pt].iter().any(|text| text.trim().is_empty()) {
            return Err("the defect and both reasons must say something");
        }
        if self.scope.is_empty()
            || self
                .scope
                .iter()
                .any(|scope| scope.documents.is_empty() || scope.versions.is_empty())
        {
            return Err("the scope names no document or no version");
        }
        if self.selector().is_some_and(Selector::is_empty) {
            return Err("the selector selects everything");
        }
        if self.names_only_places() && self.scope.iter().any(Scope::holds_later_versions) {
            return Err("a correction that is tied to places must name the versions exactly");
        }
        Ok(())
    }

    fn selector(&self) -> Option<&Selector> {
        match &self.effect {
            Effect::DropRequestHeaders { .. }
            | Effect::EmptyBody { .. }
            | Effect::OneOfAsAnyOf { .. } => None,
            Effect::LeaveAsPublished { select }
            | Effect::MaximumLength { select, .. }
            | Effect::MoveToItems { select, .. }
            | Effect::RemoveKeyword { select, .. }
            | Effect::RemoveRequired { select, .. }
            | Effect::RenameRequired { select, .. }
            | Effect::ReplaceSchema { select, .. }
            | Effect::SetKeyword { select, .. } => Some(select),
            Effect::ReplacePattern { select, .. } => select.as_ref(),
        }
    }

    /// Whether a repaired version would be changed too, because only the place is named and not
    /// the wrong text.
    fn names_only_places(&self) -> bool {
        match &self.effect {
            Effect::MoveToItems { .. }
            | Effect::RemoveKeyword { .. }
            | Effect::RemoveRequired { .. }
            | Effect::ReplaceSchema { .. }
            | Effect::SetKeyword { .. } => {
                self.selector().is_some_and(|select| !select.names_wrong_text())
            }
            Effect::OneOfAsAnyOf { alternatives: Alternatives::Pointers(_) } => true,
            Effect::DropRequestHeaders { .. }
            | Effect::EmptyBody { .. }
            | Effect::LeaveAsPublished { .. }
            | Effect::MaximumLength { .. }
            | Effect::OneOfAsAnyOf { alternatives: Alternatives::Ambiguous }
            | Effect::RenameRequired { .. }
            | Effect::ReplacePattern { .. } => false,
        }
    }
}

impl Scope {
    fn holds_later_versions(&self) -> bool {
        self.versions.iter().any(|version| version.contains('*'))
    }
}

/// Whether a text matches a pattern in which `*` stands for any part.
pub(super) fn matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

fn is_kebab(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}
