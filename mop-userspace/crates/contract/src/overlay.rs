//! Corrections of published documents, as data.
//!
//! Published contracts hold defects that make correct traffic fail: a demanded header that nobody
//! can send, a property that is demanded under a wrong name. An overlay says for each of them
//! where it is, what it does, and what is read instead, so that every message can be judged twice:
//! by the contract as it was published and by the contract as it was meant.
//!
//! Invariants: a correction touches only documents and versions of its scope; the published tree
//! is never changed, [`apply`] works on a copy; a correction that changes nothing is reported as
//! unused, for then the document was repaired or the correction is wrong.

mod correction;
mod effects;
mod selector;

use std::{
    collections::BTreeSet,
    fmt::{Display, Formatter},
};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

pub use self::{
    correction::{Alternatives, Correction, Effect, Scope, WrongExample},
    selector::Selector,
};
use crate::Document;

/// One file of corrections.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    corrections: Vec<Correction>,
    wrong_examples: Vec<WrongExample>,
}

/// Why a text is no overlay: where, and what is wrong there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}: {place}: {problem}")]
pub struct OverlayError {
    /// Name of the file, as it was given.
    pub file: String,
    /// Which part of it.
    pub place: OverlayPlace,
    /// What is wrong there.
    pub problem: String,
}

/// Part of an overlay that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayPlace {
    /// A correction, by its id or, when it has none, by its position from 1.
    Correction(String),
    /// The file as a whole.
    File,
    /// A wrong example, by its position from 1.
    WrongExample(usize),
}

/// A document after the corrections of its scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrected {
    /// The corrected copy.
    pub document: Document,
    /// What changed it, in the order of application.
    pub applied: Vec<Applied>,
    /// Ids of corrections whose scope holds the document, and which found nothing to change.
    pub unused: Vec<String>,
    /// Parts of the document that were not searched, because they are beyond the limits.
    pub not_searched: usize,
}

/// A correction that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The correction.
    pub id: String,
    /// In how many places.
    pub places: usize,
}

/// Applies every correction whose scope holds the document, in the order given.
pub fn apply(overlays: &[Overlay], document: &Document) -> Corrected {
    let mut corrected = Corrected {
        document: document.clone(),
        applied: Vec::new(),
        unused: Vec::new(),
        not_searched: 0,
    };
    for correction in overlays.iter().flat_map(Overlay::corrections) {
        if !correction.covers(document) {
            continue;
        }
        let outcome = effects::apply(&correction.effect, &mut corrected.document);
        corrected.not_searched = corrected.not_searched.max(outcome.not_searched);
        if outcome.places == 0 {
            corrected.unused.push(correction.id.clone());
        } else {
            corrected.applied.push(Applied { id: correction.id.clone(), places: outcome.places });
        }
    }
    corrected
}

impl Overlay {
    /// Reads a file of corrections.
    pub fn parse(file_name: &str, yaml: &str) -> Result<Self, OverlayError> {
        let error = |place, problem: String| OverlayError {
            file: file_name.to_owned(),
            place,
            problem: problem.lines().next().unwrap_or_default().to_owned(),
        };
        if yaml.len() > MAX_OVERLAY_BYTES {
            let problem = format!("it is longer than {MAX_OVERLAY_BYTES} bytes");
            return Err(error(OverlayPlace::File, problem));
        }
        let tree: Value = serde_saphyr::from_str(yaml)
            .map_err(|problem| error(OverlayPlace::File, problem.to_string()))?;
        let sections: Sections = serde_json::from_value(tree)
            .map_err(|problem| error(OverlayPlace::File, problem.to_string()))?;
        let Sections { corrections: entries, wrong_examples: examples } = sections;
        if entries.len() + examples.len() > MAX_ENTRIES {
            let problem = format!("it has more than {MAX_ENTRIES} entries");
            return Err(error(OverlayPlace::File, problem));
        }
        let mut corrections: Vec<Correction> = Vec::with_capacity(entries.len());
        let mut wrong_examples = Vec::with_capacity(examples.len());
        let mut ids = BTreeSet::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let place = OverlayPlace::Correction(id_or_position(&entry, index));
            let correction: Correction = serde_json::from_value(entry)
                .map_err(|problem| error(place.clone(), problem.to_string()))?;
            correction.check().map_err(|problem| error(place.clone(), problem.to_owned()))?;
            if !ids.insert(correction.id.clone()) {
                return Err(error(place, "the id is used twice".to_owned()));
            }
            corrections.push(correction);
        }
        for (index, entry) in examples.into_iter().enumerate() {
            let place = OverlayPlace::WrongExample(index + 1);
            wrong_examples.push(
                serde_json::from_value(entry)
                    .map_err(|problem| error(place, problem.to_string()))?,
            );
        }
        Ok(Self { corrections, wrong_examples })
    }

    /// The corrections, in the order of the file.
    pub fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// Published examples that their own schema refuses with reason.
    pub fn wrong_examples(&self) -> &[WrongExample] {
        &self.wrong_examples
    }
}

impl Display for OverlayPlace {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Correction(id) => write!(formatter, "correction {id}"),
            Self::File => formatter.write_str("the file"),
            Self::WrongExample(position) => write!(formatter, "wrong example {position}"),
        }
    }
}

/// The file, with its entries not yet read, so that an error can name the entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    corrections: Vec<Value>,
    #[serde(default)]
    wrong_examples: Vec<Value>,
}

fn id_or_position(entry: &Value, index: usize) -> String {
    let id = entry.get("id").and_then(Value::as_str);
    id.map_or_else(|| (index + 1).to_string(), str::to_owned)
}

/// An overlay is written by hand; the published ones stay below 40 KiB.
pub const MAX_OVERLAY_BYTES: usize = 1 << 20;

/// Entries of one overlay; each correction may walk the whole document.
pub const MAX_ENTRIES: usize = 256;

#[cfg(test)]
mod tests;
