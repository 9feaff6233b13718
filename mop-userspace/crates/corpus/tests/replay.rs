//! What is run: every entry, each of its beginnings, and the same mutations in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use mop_corpus::{replay, replay_folder};

#[test]
fn entries_and_their_beginnings_come_first() {
    assert_eq!(runs(&[b"ab".to_vec(), b"c".to_vec()], 0), [&b"ab"[..], b"", b"a", b"c", b""]);
}

#[test]
fn beginnings_of_large_entries_are_limited() {
    let runs = runs(&[vec![b'a'; 100_000]], 0);
    assert_eq!(runs.iter().map(Vec::len).max(), Some(100_000));
    assert!(runs.len() < 10_000, "{}", runs.len());
}

#[test]
fn mutations_are_as_many_as_asked_for_and_the_same_in_every_run() {
    let corpus = [b"timestamp,value\n".to_vec(), b"1,2\n".to_vec()];
    let (first, again) = (runs(&corpus, 1000), runs(&corpus, 1000));
    assert_eq!(first.len(), runs(&corpus, 0).len() + 1000);
    assert_eq!(first, again);
}

#[test]
fn many_mutations_change_nothing_but_digits() {
    let corpus = [b"{\"value\":1234}".to_vec()];
    let mutations = runs(&corpus, 1000).split_off(corpus[0].len() + 1);
    let kept = mutations.iter().filter(|bytes| {
        let value = bytes.strip_prefix(b"{\"value\":").and_then(|rest| rest.strip_suffix(b"}"));
        value.is_some_and(|value| value.len() == 4 && value.iter().all(u8::is_ascii_digit))
    });
    assert!((200..600).contains(&kept.count()));
}

#[test]
#[should_panic(expected = "the corpus is empty")]
fn an_empty_corpus_is_refused() {
    replay(&[], |_| {}, 1);
}

#[test]
fn files_come_in_the_order_of_their_names() {
    let folder = folder("ordered");
    for name in ["b", "c", "a"] {
        fs::write(folder.join(name), name).unwrap();
    }
    let mut runs = Vec::new();
    replay_folder(&folder, |bytes| runs.push(bytes.to_vec()), 0);
    assert_eq!(runs, [&b"a"[..], b"", b"b", b"", b"c", b""]);
}

#[test]
#[should_panic(expected = "no corpus in ")]
fn an_empty_folder_is_refused() {
    replay_folder(&folder("empty"), |_| {}, 1);
}

#[test]
#[should_panic(expected = "missing: ")]
fn a_folder_that_is_not_there_is_refused() {
    replay_folder(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing"), |_| {}, 1);
}

fn runs(corpus: &[Vec<u8>], mutations: usize) -> Vec<Vec<u8>> {
    let mut runs = Vec::new();
    replay(corpus, |bytes| runs.push(bytes.to_vec()), mutations);
    runs
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
