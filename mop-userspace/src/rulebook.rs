//! What messages are judged by: contracts, corrections and rules, as one generation.
//!
//! The program carries the current documents of the ecosystem; a folder of the same form replaces
//! them, and single documents come on top. A generation is made as a whole or not at all: when one
//! file is bad, the generation before stays in use.

mod embedded;
mod files;
mod rules;
mod watcher;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use mop_contract::{
    Contract, ContractBuilder, Document,
    overlay::{self, Applied, Overlay},
    pack,
    rules::RuleSet,
};

use mop_insight::security::rules as detections;

use crate::failure::Failure;

pub(crate) use files::{Text, documents};
pub(crate) use rules::Rules;
pub(crate) use watcher::RuleBooks;

/// Where contracts and rules come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RuleArguments {
    /// Folder that replaces the built-in rules: `contracts/` (packs, YAML or JSON), `overlays/`,
    /// `rules/` and, for detections, `security/`; without the last the built-in ones stay. Read again
    /// when a file in it changes, or at SIGHUP.
    #[arg(long, value_name = "FOLDER", env = "MOP_RULES")]
    pub(crate) rules: Option<PathBuf>,
    /// A contract pack, an OpenAPI document, or a folder of them, to be judged by before all
    /// others; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) contracts: Vec<PathBuf>,
    /// A rule beyond the documents that does not hold here, such as one on header fields that a
    /// gateway adds later; may be given several times.
    #[arg(long, value_name = "RULE")]
    pub(crate) without_rule: Vec<String>,
    /// A file of Sigma rules and filters, or a folder of them, beside the other detections; may be
    /// given several times. Read again as `--rules` is.
    #[arg(long, value_name = "PATH")]
    pub(crate) detections: Vec<PathBuf>,
}

/// One generation of contracts and rules.
pub(crate) struct RuleBook {
    pub(crate) contract: Contract,
    pub(crate) rules: RuleSet,
    /// The documents as they were published, in the order of the contract.
    pub(crate) documents: Vec<Loaded>,
    /// What is looked for in calls.
    pub(crate) detections: Arc<detections::RuleSet>,
}

/// A document and what was corrected in it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) applied: Vec<Applied>,
    /// The file it is from.
    pub(crate) file: String,
}

/// Documents and rules before they are compiled.
pub(crate) struct Sources {
    pub(crate) documents: Vec<Text>,
    pub(crate) overlays: Vec<Overlay>,
    rules: RuleSet,
    detections: Vec<Text>,
}

impl RuleBook {
    /// Reads and compiles everything.
    pub(crate) fn load(arguments: &RuleArguments) -> Result<Self, Failure> {
        Sources::read(arguments)?.compile()
    }
}

impl Sources {
    /// Reads everything that the arguments name.
    pub(crate) fn read(arguments: &RuleArguments) -> Result<Self, Failure> {
        let mut texts = Vec::new();
        for path in &arguments.contracts {
            texts.extend(documents(path)?);
        }
        let (overlays, rules);
        let mut detections = Vec::new();
        match &arguments.rules {
            Some(folder) => {
                files::check_folder(folder)?;
                texts.extend(files::documents_in(&folder.join("contracts"))?);
                overlays = files::yaml_in(&folder.join("overlays"))?;
                rules = files::yaml_in(&folder.join("rules"))?;
                let folder = folder.join("security");
                detections =
                    if folder.exists() { files::yaml_in(&folder)? } else { embedded::detections() };
            }
            None => {
                texts.extend(embedded::contracts());
                overlays = embedded::overlays();
                rules = embedded::rules();
                detections.extend(embedded::detections());
            }
        }
        for path in &arguments.detections {
            detections.extend(files::yaml(path)?);
        }
        let overlays = overlays
            .iter()
            .map(|text| Overlay::parse(&text.file, &text.text).map_err(Failure::configuration))
            .collect::<Result<_, _>>()?;
        let rules: Vec<(&str, &str)> =
            rules.iter().map(|text| (text.file.as_str(), &*text.text)).collect();
        let mut rules = RuleSet::parse(&rules).map_err(Failure::configuration)?;
        for id in &arguments.without_rule {
            if !rules.rules().any(|rule| rule.id == *id) {
                return Err(Failure::usage(format!("--without-rule: no rule is called {id}")));
            }
        }
        rules.retain(|rule| !arguments.without_rule.contains(&rule.id));
        Ok(Self { documents: texts, overlays, rules, detections })
    }

    fn compile(self) -> Result<RuleBook, Failure> {
        let Self { documents, overlays, rules, detections } = self;
        let detections = compiled(&detections)?;
        let mut builder = ContractBuilder::default();
        let mut loaded = Vec::new();
        for text in &documents {
            each_document(text, &mut |document| {
                let corrected = overlay::apply(&overlays, &document);
                let is_corrected = !corrected.applied.is_empty();
                builder.add(&document, is_corrected.then_some(&corrected.document));
                loaded.push(Loaded {
                    name: document.name,
                    version: document.version,
                    applied: corrected.applied,
                    file: text.file.clone(),
                });
            })?;
        }
        Ok(RuleBook { contract: builder.build(), rules, documents: loaded, detections })
    }
}

/// The texts of detection rules: of these files and folders, or the built-in ones.
pub(crate) fn detection_texts(paths: &[PathBuf]) -> Result<Vec<Text>, Failure> {
    if paths.is_empty() {
        return Ok(embedded::detections());
    }
    let mut texts = Vec::new();
    for path in paths {
        texts.extend(files::yaml(path)?);
    }
    Ok(texts)
}

/// The documents of detection rules, file by file.
pub(crate) fn detection_documents(
    texts: &[Text],
) -> Result<Vec<(String, Vec<detections::Document>)>, Failure> {
    let parsed = texts.iter().map(|text| {
        let documents = detections::parse_documents(&text.file, &text.text);
        documents.map(|documents| (text.file.clone(), documents)).map_err(Failure::configuration)
    });
    parsed.collect()
}

fn compiled(texts: &[Text]) -> Result<Arc<detections::RuleSet>, Failure> {
    let documents: Vec<detections::Document> =
        detection_documents(texts)?.into_iter().flat_map(|(_, documents)| documents).collect();
    detections::RuleSet::compile(&documents).map(Arc::new).map_err(Failure::configuration)
}

/// Hands over the documents of a pack, or the one of an OpenAPI file, one by one.
pub(crate) fn each_document(text: &Text, each: &mut dyn FnMut(Document)) -> Result<(), Failure> {
    let Text { file, name, text } = text;
    let bad = |error: &dyn std::fmt::Display| Failure::configuration(format!("{file}: {error}"));
    if pack::is_pack(text) {
        for packed in pack::documents(text).map_err(|error| bad(&error))? {
            each(packed.map_err(|error| bad(&error))?.document);
        }
    } else {
        each(Document::parse(name, text).map_err(|error| bad(&error))?);
    }
    Ok(())
}
