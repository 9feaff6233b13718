//! All published patterns together stay small: they live as long as the observer does.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{
    env, fs,
    io::{self, Read, Write},
    process::{Command, Stdio},
};

use common::{SEED, patterns};
use mop_contract::{fuzzing::sample, pattern::Pattern};
use mop_corpus::Random;
use serde_json::json;

/// Reading the documents leaves free memory behind, in which patterns would find room unseen, so
/// another process compiles and runs them.
#[test]
fn published_patterns_stay_small() {
    let Some(patterns) = patterns("published_patterns_stay_small") else { return };
    let mut measured = Command::new(env::current_exe().unwrap())
        .args(["--exact", "measure", "--nocapture"])
        .env(MEASURED, "1")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    measured.stdin.take().unwrap().write_all(json!(patterns).to_string().as_bytes()).unwrap();
    assert!(measured.wait().unwrap().success());
}

#[test]
fn measure() {
    if env::var_os(MEASURED).is_none() {
        return;
    }
    let mut input = String::new();
    io::stdin().read_to_string(&mut input).unwrap();
    let sources: Vec<String> = serde_json::from_str(&input).unwrap();
    let before = private_kib();
    let patterns: Vec<_> = sources.iter().map(|source| Pattern::compile(source).unwrap()).collect();
    let compiled = private_kib() - before;
    let mut random = Random::new(SEED);
    for pattern in &patterns {
        for _ in 0..300 {
            let text = sample(pattern.source(), &mut |bound| random.below(bound)).unwrap();
            pattern.is_match(&text).unwrap();
            pattern.is_match(&text.replace(char::is_alphanumeric, "0é")).unwrap();
        }
    }
    let used = private_kib() - before;
    println!("{} patterns: {compiled} KiB compiled, {used} KiB used", patterns.len());
    assert!(used < MAX_KIB, "patterns take {used} KiB");
}

fn private_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Tells the process that measures from the one that starts it.
const MEASURED: &str = "MOP_MEASURE_PATTERNS";

/// 138 patterns take 2.7 MiB when they are compiled, and 4.8 MiB when each of them has run.
const MAX_KIB: u64 = 6 << 10;
