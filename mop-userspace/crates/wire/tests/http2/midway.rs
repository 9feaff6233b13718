//! What an observer knows that comes later than the first block.

use std::collections::VecDeque;

use mop_wire::http2::hpack::{Decoder, HpackError};
use proptest::prelude::*;

use crate::{
    encoded::{Decoded, decode, known},
    generated::{Block, config, connections},
};

/// The table of the sender, with what the observer can know of it.
struct Sender {
    size: usize,
    entries: VecDeque<(usize, Seen)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Never,
    WithoutName,
    Whole,
}

impl Sender {
    fn new() -> Self {
        Self { size: 4096, entries: VecDeque::new() }
    }

    fn block(&mut self, block: &Block, decoded: Option<&[Decoded]>) {
        for size in &block.table_sizes {
            self.size = *size as usize;
            self.evict();
        }
        for (index, line) in block.lines.iter().enumerate() {
            if block.is_inserted[index] {
                let seen = match decoded.map(|decoded| &decoded[index]) {
                    None | Some(Decoded::Unknown) => Seen::Never,
                    Some(Decoded::UnknownName { .. }) => Seen::WithoutName,
                    Some(Decoded::Known(_)) => Seen::Whole,
                };
                self.entries.push_front((line.size(), seen));
                self.evict();
            }
        }
    }

    fn has(&self, seen: Seen) -> bool {
        self.entries.iter().any(|entry| entry.1 == seen)
    }

    fn evict(&mut self) {
        while self.entries.iter().map(|(size, _)| size).sum::<usize>() > self.size {
            self.entries.pop_back();
        }
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn what_is_known_midway_is_exact(
        blocks in connections(),
        join in 0..12_usize,
        is_forgotten in any::<bool>(),
    ) {
        let join = join % blocks.len();
        let (missed, seen) = blocks.split_at(join);
        let mut sender = Sender::new();
        let mut decoder = Decoder::joined_midway();
        if is_forgotten {
            decoder = Decoder::from_start();
            for block in missed {
                decode(&mut decoder, &block.bytes).unwrap();
            }
            decoder.forget();
        }
        missed.iter().for_each(|block| sender.block(block, None));
        for block in seen {
            let was_exact = !sender.has(Seen::Never) && !sender.has(Seen::WithoutName);
            let decoded = decode(&mut decoder, &block.bytes);
            prop_assert!(decoded.is_ok(), "{:?}", decoded);
            let decoded = decoded.unwrap();
            prop_assert_eq!(decoded.len(), block.lines.len());
            for (field, line) in decoded.iter().zip(&block.lines) {
                prop_assert!(field.agrees_with(line), "{:?} {:?}", field, line);
            }
            let fits = block.table_sizes.iter().all(|size| *size <= 65_536);
            if was_exact && fits {
                prop_assert_eq!(&decoded, &known(&block.lines));
            }
            sender.block(block, Some(&decoded));
            prop_assert!(!decoder.is_whole() || !sender.has(Seen::Never));
            let is_turned_over = block.table_sizes.contains(&0) && block.lines.is_empty();
            prop_assert!(decoder.is_whole() || !is_turned_over);
        }
    }
}

#[test]
fn after_a_turnover_every_field_is_known_and_a_wrong_index_is_an_error() {
    let mut decoder = Decoder::joined_midway();
    // Size 200 of the table, then entries of 35 bytes each.
    decode(&mut decoder, b"\x3f\xa9\x01").unwrap();
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(vec![Decoded::Unknown]));
    for inserted in 1..=5_u8 {
        assert!(!decoder.is_whole(), "{inserted}");
        decode(&mut decoder, &[0x40, 1, b'n', 2, b'v', b'0' + inserted]).unwrap();
    }
    // There is no room for an entry in the rest of 25 bytes.
    assert!(decoder.is_whole());
    let fields = decode(&mut decoder, b"\xbe\xc2").unwrap();
    let values: Vec<_> = fields
        .iter()
        .map(|field| match field {
            Decoded::Known(line) => line.value.as_slice(),
            Decoded::UnknownName { .. } | Decoded::Unknown => b"",
        })
        .collect();
    assert_eq!(values, [b"v5", b"v1"]);
    assert_eq!(decode(&mut decoder, b"\xc3"), Err(HpackError::IndexBeyondTable));
    // What the sender has in mind is not known from there on.
    assert!(!decoder.is_whole());
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(vec![Decoded::Unknown]));
}

#[test]
fn a_table_is_known_to_be_whole_by_its_size_and_not_by_what_was_offered() {
    let mut decoder = Decoder::joined_midway();
    decoder.offer_table_size(99);
    // A sender that has not obeyed still has what it had before.
    for _ in 0..3 {
        decode(&mut decoder, b"\x40\x01n\x01v").unwrap();
        assert!(!decoder.is_whole());
    }
    assert_eq!(decode(&mut decoder, b"\xc4"), Ok(vec![Decoded::Unknown]));
    // Size 99.
    decode(&mut decoder, b"\x3f\x44").unwrap();
    assert!(decoder.is_whole());
    assert_eq!(decode(&mut decoder, b"\x3f\x46"), Err(HpackError::TableSizeNotOffered));
}

#[test]
fn an_entry_without_a_known_name_is_known_by_its_value() {
    let mut decoder = Decoder::joined_midway();
    let unnamed = Decoded::UnknownName { value: b"v".to_vec(), is_never_indexed: false };
    // A literal whose name is in an entry that was not seen becomes one itself.
    assert_eq!(decode(&mut decoder, b"\x7e\x01v"), Ok(vec![unnamed.clone()]));
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(vec![unnamed]));
    let secret = Decoded::UnknownName { value: b"s".to_vec(), is_never_indexed: true };
    assert_eq!(decode(&mut decoder, b"\x1f\x2f\x01s"), Ok(vec![secret]));
}
