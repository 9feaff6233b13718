//! Makes the contract pack of the repository anew.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{build, shell};

/// Where the documents are.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Folder of OpenAPI documents, as they are published.
    documents: PathBuf,
}

/// Compiles the documents into `rules/opin/contracts/` and writes the table of their versions.
pub(crate) fn run(options: &Options) -> Result<()> {
    let documents = options
        .documents
        .canonicalize()
        .with_context(|| format!("no folder {}", options.documents.display()))?;
    let binary = build::mop(false)?;
    let opin = shell::workspace().join("rules/opin");
    let mut command = std::process::Command::new(binary);
    command
        .args(["contracts", "build"])
        .arg(documents)
        .arg("--out")
        .arg(opin.join("contracts/opin.contracts.jsonl"))
        .arg("--versions")
        .arg(opin.join("VERSIONS.md"));
    shell::run(&mut command)
}
