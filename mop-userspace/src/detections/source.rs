//! The documents that a command looks at.

use std::path::PathBuf;

use clap::Args;
use mop_insight::security::rules::Document;

use crate::{
    failure::Failure,
    rulebook::{detection_documents, detection_texts},
};

/// Which rules.
#[derive(Args, Clone, Debug)]
pub(super) struct SourceArguments {
    /// Files of Sigma documents, or folders of them. Without any: the built-in ones.
    paths: Vec<PathBuf>,
}

/// Documents, each with the file that it is from.
pub(super) struct Documents {
    pub(super) documents: Vec<Document>,
    /// For each document, its file.
    pub(super) files: Vec<String>,
}

impl SourceArguments {
    pub(super) fn read(&self) -> Result<Documents, Failure> {
        let mut read = Documents { documents: Vec::new(), files: Vec::new() };
        for (file, documents) in detection_documents(&detection_texts(&self.paths)?)? {
            read.files.extend(documents.iter().map(|_| file.clone()));
            read.documents.extend(documents);
        }
        Ok(read)
    }
}
