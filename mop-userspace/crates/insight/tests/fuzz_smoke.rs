//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.

use std::path::Path;

use mop_corpus::replay_folder;
use mop_insight::fuzzing::{
    fuzz_call, fuzz_certificate, fuzz_directory, fuzz_forwarded, fuzz_inspection, fuzz_snapshot,
};

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 20_000;

#[test]
fn call() {
    replay("call", fuzz_call);
}

#[test]
fn certificate() {
    replay("certificate", fuzz_certificate);
}

#[test]
fn directory() {
    replay("directory", fuzz_directory);
}

#[test]
fn forwarded() {
    replay("forwarded", fuzz_forwarded);
}

#[test]
fn inspection() {
    replay("inspection", fuzz_inspection);
}

#[test]
fn snapshot() {
    replay("snapshot", fuzz_snapshot);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    replay_folder(&folder, run, MUTATIONS);
}
