//! Stories of HPACK: the blocks of one direction, in order.

use std::ops::Range;

use mop_wire::http2::hpack::Decoder;
use serde_json::Value;

use crate::{
    cases::{bytes, documents},
    encoded::{Decoded, Line, decode, known},
};

struct Block {
    bytes: Vec<u8>,
    offered_table_size: Option<u32>,
    lines: Vec<Line>,
}

#[test]
fn stories_are_decoded_as_they_were_encoded() {
    for (name, story) in documents("hpack", "stories_are_decoded_as_they_were_encoded") {
        let mut decoder = Decoder::from_start();
        for (number, block) in blocks(&story).iter().enumerate() {
            if let Some(size) = block.offered_table_size {
                decoder.offer_table_size(size);
            }
            let decoded = decode(&mut decoder, &block.bytes).map(without_marks);
            assert_eq!(decoded, Ok(known(&block.lines)), "{name} {number}");
            assert!(decoder.is_whole(), "{name} {number}");
        }
    }
}

#[test]
fn stories_joined_midway_say_nothing_wrong() {
    for (name, story) in documents("hpack", "stories_joined_midway_say_nothing_wrong") {
        let blocks = blocks(&story);
        for join in joins(blocks.len()) {
            let mut decoder = Decoder::joined_midway();
            for (number, block) in blocks.iter().enumerate().skip(join) {
                let was_whole = decoder.is_whole();
                let decoded = without_marks(decode(&mut decoder, &block.bytes).unwrap());
                let place = format!("{name} {number}, joined at {join}");
                assert_eq!(decoded.len(), block.lines.len(), "{place}");
                for (field, line) in decoded.iter().zip(&block.lines) {
                    assert!(field.agrees_with(line), "{place}: {field:?} {line:?}");
                }
                // Names may be unknown for longer: they are handed on from entry to entry.
                assert!(!was_whole || !decoded.contains(&Decoded::Unknown), "{place}");
            }
        }
    }
}

/// Not every place of the long ones.
fn joins(blocks: usize) -> impl Iterator<Item = usize> {
    let all: Range<usize> = 0..blocks;
    all.step_by(blocks / 20 + 1)
}

fn blocks(story: &Value) -> Vec<Block> {
    let cases = story["cases"].as_array().unwrap().iter();
    let block = |case: &Value| Block {
        bytes: bytes(case["wire"].as_str().unwrap()),
        offered_table_size: case["header_table_size"].as_u64().map(|size| size as u32),
        lines: case["headers"].as_array().unwrap().iter().flat_map(lines).collect(),
    };
    cases.map(block).collect()
}

fn lines(header: &Value) -> Vec<Line> {
    let fields = header.as_object().unwrap().iter();
    fields.map(|(name, value)| Line::new(name.as_bytes(), text(value).as_bytes())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Stories do not say which fields are never to be indexed.
fn without_marks(mut fields: Vec<Decoded>) -> Vec<Decoded> {
    for field in &mut fields {
        match field {
            Decoded::Known(line) => line.is_never_indexed = false,
            Decoded::UnknownName { is_never_indexed, .. } => *is_never_indexed = false,
            Decoded::Unknown => {}
        }
    }
    fields
}
