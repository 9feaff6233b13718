//! Blocks of a connection that another program encoded, with every choice that an encoder has.

use httlib_hpack::Encoder;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::encoded::Line;

/// A block and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) table_sizes: Vec<u32>,
    pub(crate) lines: Vec<Line>,
    /// Which of the lines became entries of the table.
    pub(crate) is_inserted: Vec<bool>,
}

/// What an encoder is told.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    table_sizes: Vec<u32>,
    lines: Vec<(Vec<u8>, Vec<u8>, u8)>,
}

pub(crate) fn connections() -> impl Strategy<Value = Vec<Block>> {
    vec(wishes(), 1..12).prop_map(|wishes| {
        let mut encoder = Encoder::default();
        wishes.iter().map(|wish| encode(&mut encoder, wish)).collect()
    })
}

pub(crate) fn lists() -> impl Strategy<Value = Vec<Vec<(Vec<u8>, Vec<u8>)>>> {
    vec(vec((names(), values()), 0..8), 1..12)
}

fn wishes() -> impl Strategy<Value = Wish> {
    let table_sizes = prop_oneof![
        8 => Just(Vec::new()),
        1 => vec(select(vec![0, 31, 60, 100, 300, 4096, 70_000, 1 << 20]), 1..3),
    ];
    // Most fields in the way that most encoders choose.
    let flags =
        prop_oneof![4 => Just(Encoder::BEST_FORMAT | Encoder::WITH_INDEXING | 3), 3 => 0..32_u8];
    (table_sizes, vec((names(), values(), flags), 0..8))
        .prop_map(|(table_sizes, lines)| Wish { table_sizes, lines })
}

/// Some of the static table, some that come again, some that do not.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let known = [":path", ":status", "content-type", "cookie", "x-fapi-interaction-id", "x", "y"];
    prop_oneof![
        6 => select(known.map(|name| name.as_bytes().to_vec()).to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    let known = ["", "/", "200", "application/json; charset=utf-8", "a=b", "\u{e7}\u{e3}o"];
    prop_oneof![
        4 => select(known.map(|value| value.as_bytes().to_vec()).to_vec()),
        4 => "[a-zA-Z0-9 =;/._-]{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..300),
        1 => vec(Just(b'x'), 1000..5000),
    ]
}

fn encode(encoder: &mut Encoder<'_>, wish: &Wish) -> Block {
    let Wish { table_sizes, lines } = wish;
    let mut block = Block {
        bytes: Vec::new(),
        table_sizes: table_sizes.clone(),
        lines: Vec::new(),
        is_inserted: Vec::new(),
    };
    for size in table_sizes {
        encoder.update_max_dynamic_size(*size, &mut block.bytes).unwrap();
    }
    for (name, value, flags) in lines {
        let start = block.bytes.len();
        encoder.encode((name.clone(), value.clone(), *flags), &mut block.bytes).unwrap();
        let first = block.bytes[start];
        let is_never_indexed = first >> 4 == 1;
        block.lines.push(Line { is_never_indexed, ..Line::new(name, value) });
        block.is_inserted.push(first >> 6 == 1);
    }
    block
}

pub(crate) fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
