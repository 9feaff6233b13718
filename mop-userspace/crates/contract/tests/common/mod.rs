//! What the tests of this crate share: published documents, and skipping when there are none.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::{
    collections::BTreeSet,
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use mop_contract::Document;
use serde_json::Value;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Published documents, or none with a note that the test is skipped.
pub(crate) fn documents(test: &str) -> Option<Vec<Document>> {
    let folder = env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| root().join("../shared/opin/specs"), PathBuf::from);
    let Ok(entries) = fs::read_dir(&folder) else {
        skip(test, "no published documents; MOP_OPIN_SPECS names their folder");
        return None;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let documents = paths.iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy();
        Document::parse(&name, &fs::read_to_string(path).unwrap()).unwrap()
    });
    Some(documents.collect())
}

/// Every distinct `pattern` of the published documents.
pub(crate) fn patterns(test: &str) -> Option<Vec<String>> {
    let mut found = BTreeSet::new();
    for document in documents(test)? {
        collect_patterns(&document.tree, &mut found);
    }
    Some(found.into_iter().collect())
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

fn collect_patterns(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_patterns(item, found)),
        Value::Object(members) => {
            if let Some(Value::String(pattern)) = members.get("pattern") {
                found.insert(pattern.clone());
            }
            members.values().for_each(|member| collect_patterns(member, found));
        }
        _ => {}
    }
}

/// Random inputs follow from it, the same in every run.
pub(crate) const SEED: u64 = 0x6d6f_7063_6f6e_7472;
