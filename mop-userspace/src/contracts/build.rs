//! `mop contracts build`.

use std::{fmt::Write as _, fs, path::Path, process::ExitCode};

use mop_contract::{
    ContractBuilder,
    pack::{self, PackedDocument},
};
use sha2::{Digest as _, Sha256};

use crate::{
    failure::Failure,
    rulebook::{Text, documents, each_document},
    stdout::print_line,
};

pub(super) fn run(from: &Path, out: &Path, versions: Option<&Path>) -> Result<ExitCode, Failure> {
    let mut packed = Vec::new();
    for text in documents(from)? {
        packed.extend(pack_text(&text)?);
    }
    let mut builder = ContractBuilder::default();
    for packed in &packed {
        builder.add(&packed.document, None);
    }
    let contract = builder.build();
    for document in contract.documents() {
        for problem in &document.problems {
            eprintln!(
                "{} {}: {}: {}",
                document.name, document.version, problem.pointer, problem.detail
            );
        }
    }
    replace(out, &pack::write(&packed))?;
    if let Some(versions) = versions {
        let mut table = String::from(
            "# Versions\n\nMade by `cargo xtask rules`; the documents that calls are judged by.\n\n\
             | API | version | operations | base path | SHA-256 of the source |\n|---|---|---|---|---|\n",
        );
        for (document, packed) in contract.documents().iter().zip(&packed) {
            let _ = writeln!(
                table,
                "| {} | {} | {} | `{}` | `{}` |",
                document.name,
                document.version,
                document.operations,
                document.base_paths.join("` `"),
                packed.source_sha256.get(..16).unwrap_or_default()
            );
        }
        replace(versions, &table)?;
    }
    print_line(&format!(
        "{}: {} documents, {} operations, {} distinct schemas.",
        out.display(),
        packed.len(),
        contract.operations().len(),
        contract.schemas().len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The documents of a text; those of a pack keep the digests that they have.
fn pack_text(text: &Text) -> Result<Vec<PackedDocument>, Failure> {
    if pack::is_pack(&text.text) {
        return pack::read(&text.text)
            .map_err(|error| Failure::configuration(format!("{}: {error}", text.file)));
    }
    let mut source_sha256 = String::new();
    for byte in Sha256::digest(text.text.as_bytes()) {
        let _ = write!(source_sha256, "{byte:02x}");
    }
    let mut packed = Vec::new();
    each_document(text, &mut |document| {
        packed.push(PackedDocument { document, source_sha256: source_sha256.clone() });
    })?;
    Ok(packed)
}

/// Writes beside the file and then in its place, so that a reader finds the old or the new one.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::runtime(format!("cannot write {}: {error}", path.display()))
    };
    let beside = path.with_extension("new");
    fs::write(&beside, text).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}
