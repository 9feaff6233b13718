//! Contracts for the independent reference of the contract engine, and who can run it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

/// The documents as they were published, where they are at hand; else those of the pack.
pub fn contract_documents(folder: &Path) -> Result<PathBuf> {
    let published = env::var_os("MOP_OPIN_SPECS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/opin/specs"),
        PathBuf::from,
    );
    if published.is_dir() { Ok(published) } else { unpacked_contracts(folder) }
}

/// What the repository's pack keeps of each document, a file each, in a new folder below this one.
pub fn unpacked_contracts(folder: &Path) -> Result<PathBuf> {
    let documents = folder.join("documents");
    fs::create_dir(&documents)?;
    let pack =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/opin/contracts/opin.contracts.jsonl");
    for line in fs::read_to_string(pack)?.lines().skip(1) {
        let packed: Value = serde_json::from_str(line)?;
        let name = packed["name"].as_str().context("a document of the pack has a name")?;
        // JSON is YAML too.
        fs::write(documents.join(format!("{name}.yaml")), packed["openapi"].to_string())?;
    }
    Ok(documents)
}

/// Where the scripts of the reference are.
#[must_use]
pub fn contract_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contract")
}

/// The first Python that can run the reference; the one on the path often lacks the modules that
/// the system's own has by package.
#[must_use]
pub fn python_with_jsonschema() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema, yaml; import re._parser"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
