//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{fs, path::Path};

use common::Random;
use mop_contract::fuzzing::{fuzz_document, fuzz_format, fuzz_json, fuzz_pattern};

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
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "no corpus for {target}");
    for bytes in &corpus {
        run(bytes);
        for end in 0..bytes.len().min(512) {
            run(&bytes[..end]);
        }
    }
    let mut random = Random::new();
    for _ in 0..mutations {
        let mut bytes = random.pick(&corpus).clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &corpus, &mut random);
        }
        run(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => bytes.insert(at, random.below(256) as u8),
        2 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
        3 => {
            let other = random.pick(corpus);
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            let part = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.splice(at..at, part);
        }
    }
}
