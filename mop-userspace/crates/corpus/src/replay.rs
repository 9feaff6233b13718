//! What a target is run on.

use std::{fs, io, path::Path};

use crate::{
    Random,
    mutate::{change_digit, mutate},
};

/// Runs the target on every file of the folder and on its beginnings, then on as many mutations as
/// asked for.
///
/// # Panics
///
/// If the folder cannot be read or is empty, for then nothing would be tested; and if the target
/// panics.
pub fn replay_folder(folder: &Path, run: impl FnMut(&[u8]), mutations: usize) {
    let corpus = read(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!corpus.is_empty(), "no corpus in {}", folder.display());
    replay(&corpus, run, mutations);
}

/// Runs the target on every entry and on its beginnings, then on as many mutations as asked for.
///
/// # Panics
///
/// If the corpus is empty, and if the target panics.
pub fn replay(corpus: &[Vec<u8>], mut run: impl FnMut(&[u8]), mutations: usize) {
    assert!(!corpus.is_empty(), "the corpus is empty");
    for bytes in corpus {
        run(bytes);
        for end in 0..bytes.len().min(MAX_BEGINNING) {
            run(&bytes[..end]);
        }
    }
    let mut random = Random::new(SEED);
    for _ in 0..mutations {
        run(&mutated(corpus, &mut random));
    }
}

/// In the order of their names: that of the file system is another one on every machine.
fn read(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.pick(corpus).clone();
    // Where nothing but digits changes, a text keeps its form, and the target gets beyond reading
    // it to what the values mean.
    let only_digits = random.below(4) == 0;
    for _ in 0..=random.below(4) {
        if !(only_digits && change_digit(&mut bytes, random)) {
            mutate(&mut bytes, corpus, random);
        }
    }
    bytes
}

/// No beginning is longer. The entries of a corpus are small, and of these every beginning is run;
/// a large one shall not take longer than all mutations.
const MAX_BEGINNING: usize = 8192;

/// Any; another one gives other mutations.
const SEED: u64 = 0x6d6f_7063_6f72_7075;
