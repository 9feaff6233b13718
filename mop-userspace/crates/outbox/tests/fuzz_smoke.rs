//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.

use std::path::Path;

use mop_corpus::replay_folder;
use mop_outbox::fuzzing::{fuzz_entry, fuzz_segment};

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 20_000;

#[test]
fn segment() {
    replay("segment", fuzz_segment);
}

#[test]
fn entry() {
    replay("entry", fuzz_entry);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    replay_folder(&folder, run, MUTATIONS);
}
