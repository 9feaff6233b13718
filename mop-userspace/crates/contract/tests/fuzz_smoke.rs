//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.

use std::path::Path;

use mop_contract::fuzzing::{fuzz_document, fuzz_format, fuzz_json, fuzz_pattern};
use mop_corpus::replay_folder;

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 20_000;

/// A document takes a hundred times as long as a text.
const DOCUMENT_MUTATIONS: usize = 2_000;

#[test]
fn document() {
    replay("document", fuzz_document, DOCUMENT_MUTATIONS);
}

#[test]
fn format() {
    replay("format", fuzz_format, MUTATIONS);
}

#[test]
fn json() {
    replay("json", fuzz_json, MUTATIONS);
}

#[test]
fn pattern() {
    replay("pattern", fuzz_pattern, MUTATIONS);
}

fn replay(target: &str, run: fn(&[u8]), mutations: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    replay_folder(&folder, run, mutations);
}
