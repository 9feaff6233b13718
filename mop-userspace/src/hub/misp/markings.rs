//! What rules say of their findings for MISP. Records do not say it: the hub reads the rules itself.

use std::{collections::BTreeMap, path::PathBuf};

use mop_insight::security::{
    finding::{FindingFacts, Owasp},
    misp::{marking::Marking, tag::Tlp},
    profile::RULE_PREFIX,
    rules::Document,
};

use crate::{
    failure::Failure,
    rulebook::{detection_documents, detection_texts},
};

/// Markings by the name that findings give of their rule.
pub(super) struct Markings(BTreeMap<String, Option<Marking>>);

impl Markings {
    /// Those of the rules that come with the program, and of further files and folders.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is none of rules.
    pub(super) fn load(further: &[PathBuf]) -> Result<Self, Failure> {
        let mut texts = detection_texts(&[])?;
        if !further.is_empty() {
            texts.extend(detection_texts(further)?);
        }
        let mut markings = BTreeMap::new();
        for document in detection_documents(&texts)?.into_iter().flat_map(|(_, it)| it) {
            let (head, extension) = match document {
                Document::Detection(rule) => (rule.head, rule.extension),
                Document::Correlation(rule) => (rule.head, rule.extension),
                Document::Filter(_) => continue,
            };
            let marking = extension.misp.and_then(|misp| Marking::of(&misp).ok());
            markings.insert(head.told_as().to_owned(), marking);
        }
        Ok(Self(markings))
    }

    /// How a finding is told. A rule that only a node knows may be for fewer than those of the
    /// section, so it is told to the own organisation alone.
    pub(super) fn of(&self, facts: &FindingFacts) -> Marking {
        let by_class = Marking::of_class(facts.owasp.first().copied().unwrap_or(Owasp::Api8));
        match self.0.get(&facts.rule) {
            Some(Some(marking)) => *marking,
            Some(None) => by_class,
            None if is_own(&facts.rule) => by_class,
            None => Marking { tlp: Some(Tlp::AmberStrict), ..by_class },
        }
    }
}

/// Whether the program itself makes findings by this name.
fn is_own(rule: &str) -> bool {
    rule.starts_with(RULE_PREFIX)
        || ["mop_client_points", "mop_first_seen_client", "mop_indicator"].contains(&rule)
}
