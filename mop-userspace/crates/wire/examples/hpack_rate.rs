//! Rate of the HPACK decoder on one core, against published crates on the same blocks; JSON lines.
//!
//! The blocks are those of public conformance stories: real heads, encoded by nghttp2. Each story
//! is a connection and gets a decoder of its own; every decoder passes its fields to a function or
//! to a vector, whichever it offers.
#![allow(clippy::unwrap_used, reason = "a program of a developer, on files that he chose")]

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mop_wire::http2::hpack;
use serde_json::{Value, json};

fn main() {
    let folder = env::var_os("MOP_HTTP2_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/http2"),
        PathBuf::from,
    );
    let stories = stories(&folder.join("hpack"));
    if stories.is_empty() {
        let reason = "no stories; MOP_HTTP2_CASES names the folder of hpack/*/story_*.json";
        println!("{}", json!({ "figure": "hpack", "skipped": reason }));
        return;
    }
    let quick = env::args().any(|argument| argument == "--quick");
    let time = if quick { Duration::from_millis(200) } else { Duration::from_secs(2) };
    let blocks: usize = stories.iter().map(Vec::len).sum();
    let read = SUBJECTS.map(|(_, decode)| stories.iter().map(|story| decode(story)).sum());
    let [fields, ..]: [usize; SUBJECTS.len()] = read;
    assert_eq!(read, [fields; SUBJECTS.len()], "the decoders do not agree");
    // Interleaved, and the best of each: the machine is shared.
    let mut best = [f64::INFINITY; SUBJECTS.len()];
    for _ in 0..ROUNDS {
        for (best, (_, decode)) in best.iter_mut().zip(SUBJECTS) {
            *best = best.min(measure(time, &stories, decode) / blocks as f64);
        }
    }
    let [ours, published @ ..] = best;
    let best_published = published.into_iter().fold(f64::INFINITY, f64::min);
    for ((subject, _), seconds) in SUBJECTS.iter().zip(best) {
        println!(
            "{}",
            json!({
                "figure": "hpack", "subject": subject,
                "us_per_block": rounded(seconds * 1e6),
                "ns_per_field": rounded(seconds * 1e9 * blocks as f64 / fields as f64),
                "times_as_slow_as_mop": rounded(seconds / ours),
            })
        );
    }
    println!(
        "{}",
        json!({
            "figure": "hpack_ratio", "of": "mop", "to": "best published crate",
            "blocks": blocks, "fields": fields, "ratio": rounded(best_published / ours),
        })
    );
}

/// The blocks of each story, in the order of their files.
fn stories(folder: &Path) -> Vec<Vec<Vec<u8>>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flat_map(|encoder| fs::read_dir(encoder.unwrap().path()).into_iter().flatten())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let blocks = |path: &PathBuf| {
        let story: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let cases = story["cases"].as_array().unwrap();
        cases.iter().map(|case| bytes(case["wire"].as_str().unwrap())).collect()
    };
    files.iter().map(blocks).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn with_mop(story: &[Vec<u8>]) -> usize {
    let mut decoder = hpack::Decoder::from_start();
    let mut fields = 0;
    for block in story {
        let extent = decoder.decode(black_box(block), |field| {
            black_box(field);
            fields += 1;
        });
        assert_eq!(extent, Ok(hpack::Extent::Whole));
    }
    fields
}

fn with_httlib(story: &[Vec<u8>]) -> usize {
    let mut decoder = httlib_hpack::Decoder::default();
    decoder.set_max_dynamic_size(u32::MAX);
    let mut fields = 0;
    let mut list = Vec::new();
    for block in story {
        // It takes the bytes that it reads out of the vector.
        decoder.decode(&mut black_box(block).clone(), &mut list).unwrap();
        fields += black_box(&list).len();
        list.clear();
    }
    fields
}

fn with_loona(story: &[Vec<u8>]) -> usize {
    let mut decoder = loona_hpack::Decoder::new();
    let mut fields = 0;
    for block in story {
        let decoded = decoder.decode_with_cb(black_box(block), |name, value| {
            black_box((name, value));
            fields += 1;
        });
        decoded.unwrap();
    }
    fields
}

/// Seconds of one pass over all stories.
fn measure(time: Duration, stories: &[Vec<Vec<u8>>], decode: fn(&[Vec<u8>]) -> usize) -> f64 {
    let begin = Instant::now();
    let mut passes = 0;
    while passes == 0 || begin.elapsed() < time {
        for story in stories {
            black_box(decode(story));
        }
        passes += 1;
    }
    begin.elapsed().as_secs_f64() / f64::from(passes)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

type Decode = fn(&[Vec<u8>]) -> usize;

const SUBJECTS: [(&str, Decode); 3] =
    [("mop", with_mop), ("httlib_hpack", with_httlib), ("loona_hpack", with_loona)];
const ROUNDS: usize = 3;
