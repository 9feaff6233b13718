//! Replays the corpus of the fuzz targets, and mutations of it that are the same in every run.

use std::path::Path;

use mop_corpus::replay_folder;
use mop_wire::fuzzing::{
    fuzz_content, fuzz_flow, fuzz_hpack, fuzz_http2_frames, fuzz_mopcap, fuzz_tls_hello,
};

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 20_000;

#[test]
fn flow() {
    replay("flow", fuzz_flow);
}

#[test]
fn hpack() {
    replay("hpack", fuzz_hpack);
}

#[test]
fn http2_frames() {
    replay("http2_frames", fuzz_http2_frames);
}

#[test]
fn content() {
    replay("content", fuzz_content);
}

#[test]
fn mopcap() {
    replay("mopcap", fuzz_mopcap);
}

#[test]
fn tls_hello() {
    replay("tls_hello", fuzz_tls_hello);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    replay_folder(&folder, run, MUTATIONS);
}
