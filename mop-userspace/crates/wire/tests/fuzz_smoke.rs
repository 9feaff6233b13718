//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use mop_wire::fuzzing::{fuzz_content, fuzz_http1_flow, fuzz_mopcap};

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 20_000;

#[test]
fn http1_flow() {
    replay("http1_flow", fuzz_http1_flow);
}

#[test]
fn content() {
    replay("content", fuzz_content);
}

#[test]
fn mopcap() {
    replay("mopcap", fuzz_mopcap);
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
    let mut random = Random { state: 0x6d6f_7077_6972_6531 };
    for _ in 0..MUTATIONS {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            random.mutate(&mut bytes, &corpus);
        }
        run(&bytes);
    }
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
struct Random {
    state: u64,
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound.max(1) as u64) as usize
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(5) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => bytes.insert(at, self.below(256) as u8),
            2 => drop(bytes.drain(at..(at + 1 + self.below(8)).min(bytes.len()))),
            3 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + 1 + self.below(64)).min(bytes.len());
                let part = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}
