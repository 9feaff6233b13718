//! Published documents, compiled, and skipping when there are none.
#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use mop_contract::{Contract, ContractBuilder, Document, check::Checker, json::Reader};
use serde_json::Value;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// One published document, or none with a note that the test is skipped.
pub(crate) fn document(test: &str, name: &str) -> Option<Document> {
    let folder = env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| root().join("../shared/opin/specs"), PathBuf::from);
    let Ok(text) = fs::read_to_string(folder.join(name).with_extension("yaml")) else {
        skip(test, "no published documents; MOP_OPIN_SPECS names their folder");
        return None;
    };
    Some(Document::parse(name, &text).unwrap())
}

/// A document, compiled.
pub(crate) fn contract(document: &Document) -> Contract {
    let mut builder = ContractBuilder::default();
    builder.add(document, None);
    let contract = builder.build();
    let problems = contract.documents()[0].problems.len();
    assert_eq!(problems, 0, "the document does not compile in full");
    contract
}

/// Whether a body is what the operation takes (`status` none) or answers with.
pub(crate) fn is_valid(
    contract: &Contract,
    method: &str,
    path: &str,
    status: Option<u16>,
    body: &Value,
) -> bool {
    let (_, operation) = contract.route(method, path).unwrap();
    let rules = &operation.published;
    let content = match status {
        None => &rules.request_body.as_ref().unwrap().content,
        Some(status) => &rules.response(status).unwrap().content,
    };
    let schema = content.iter().find_map(|media| media.schema).unwrap();
    let text = body.to_string();
    let mut reader = Reader::default();
    let json = reader.read(text.as_bytes()).unwrap();
    Checker::new(contract.schemas(), text.len()).is_valid(schema, json.root()).unwrap()
}

/// A schema of this repository's records.
pub(crate) fn record_schema(kind: &str) -> jsonschema::Validator {
    let path = root().join("rules/schemas").join(format!("{kind}.schema.json"));
    let schema = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Reports a test as skipped: on the terminal, and in the file that `cargo xtask test` reads.
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    // Past the capture of the test harness, so that it is seen without --nocapture.
    let _shown = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = env::var_os("MOP_SKIPPED_TESTS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _noted = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}
