//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

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
    let mut random = Random(0x0069_6e73_6967_6874);
    for _ in 0..MUTATIONS {
        let mut bytes = random.pick(&corpus).clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &corpus, &mut random);
        }
        run(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(64)).min(bytes.len());
    match random.below(6) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => bytes.insert(at, random.below(256) as u8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let other = random.pick(corpus);
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        4 => bytes.get_mut(at..end).unwrap_or_default().fill(0),
        _ => {
            let part = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.splice(at..at, part);
        }
    }
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &'a [Vec<u8>]) -> &'a Vec<u8> {
        &from[self.below(from.len())]
    }
}
