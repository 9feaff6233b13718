//! Blocks that are larger than what is passed on.

use mop_wire::{
    http2::hpack::{Decoder, Extent, Field},
    limits::{MAX_FIELD_LIST_BYTES, MAX_FIELD_LIST_WORK_BYTES, MAX_HPACK_TABLE_BYTES},
};

use crate::encoded::{Decoded, Line, decode, known};

/// How many fields are passed on of a block, and how much of it they are.
fn count(decoder: &mut Decoder, block: &[u8]) -> (usize, Extent) {
    let mut fields = 0;
    let extent = decoder.decode(block, |_| fields += 1).unwrap();
    (fields, extent)
}

/// RFC 7541 section 5.1.
fn integer(first: u8, prefix_bits: u32, value: usize, block: &mut Vec<u8>) {
    let prefix = (1 << prefix_bits) - 1;
    if value < prefix {
        block.push(first | value as u8);
        return;
    }
    block.push(first | prefix as u8);
    let mut rest = value - prefix;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

/// A literal with this name and a value of this length.
fn literal(first: u8, name: &[u8], value_bytes: usize) -> Vec<u8> {
    let mut block = vec![first];
    integer(0, 7, name.len(), &mut block);
    block.extend_from_slice(name);
    integer(0, 7, value_bytes, &mut block);
    block.resize(block.len() + value_bytes, b'v');
    block
}

#[test]
fn the_beginning_of_a_long_list_is_passed_on_and_the_table_goes_on() {
    let mut decoder = Decoder::from_start();
    // Each field counts 7 + 3 + 32 bytes; the last one of all becomes an entry.
    let mut block = vec![0x82; MAX_FIELD_LIST_BYTES / 42 + 10];
    block.extend_from_slice(b"\x40\x01n\x01v");
    assert_eq!(count(&mut decoder, &block), (MAX_FIELD_LIST_BYTES / 42, Extent::Limited));
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(known(&[Line::new(b"n", b"v")])));
}

#[test]
fn a_field_behind_one_that_is_too_long_is_not_passed_on() {
    let mut decoder = Decoder::from_start();
    let mut block = literal(0x00, b"n", MAX_FIELD_LIST_BYTES);
    block.extend_from_slice(b"\x82\x40\x01n\x01v");
    assert_eq!(count(&mut decoder, &block), (0, Extent::Limited));
    assert_eq!(decode(&mut decoder, b"\x82\xbe").unwrap().len(), 2);
}

#[test]
fn an_entry_that_is_too_long_is_unknown() {
    let mut decoder = Decoder::from_start();
    decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
    let block = literal(0x40, b"n", MAX_FIELD_LIST_BYTES);
    assert_eq!(count(&mut decoder, &block), (0, Extent::Limited));
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(vec![Decoded::Unknown]));
    decode(&mut decoder, b"\x40\x01n\x01v").unwrap();
    let fields = decode(&mut decoder, b"\xbe\xbf").unwrap();
    assert_eq!(fields, [known(&[Line::new(b"n", b"v")]), vec![Decoded::Unknown]].concat());
}

#[test]
fn copies_of_a_long_name_come_to_an_end() {
    let mut decoder = Decoder::from_start();
    let mut resize = Vec::new();
    integer(0x20, 5, MAX_HPACK_TABLE_BYTES, &mut resize);
    decode(&mut decoder, &resize).unwrap();
    let name = [b'n'; MAX_FIELD_LIST_BYTES - 1000];
    decode(&mut decoder, &literal(0x40, &name, 1)).unwrap();
    let copies = MAX_FIELD_LIST_WORK_BYTES / name.len() + 1;
    let block = b"\x7e\x01v".repeat(copies - 1);
    assert_eq!(count(&mut decoder, &block), (1, Extent::Limited));
    assert!(decoder.is_whole());
    let block = b"\x7e\x01v".repeat(copies + 1);
    assert_eq!(count(&mut decoder, &block), (1, Extent::Limited));
    assert!(!decoder.is_whole(), "the table is given up");
    assert_eq!(decode(&mut decoder, b"\xbe"), Ok(vec![Decoded::Unknown]));
}

#[test]
fn memory_has_a_limit() {
    let mut decoder = Decoder::from_start();
    let mut resize = Vec::new();
    integer(0x20, 5, 1 << 30, &mut resize);
    decode(&mut decoder, &resize).unwrap();
    // Zeros are the shortest code: eight of them in five bytes.
    let mut coded = vec![0x40, 1, b'n'];
    integer(0x80, 7, 36_000, &mut coded);
    coded.resize(coded.len() + 36_000, 0);
    for _ in 0..10 {
        for number in 0..4000 {
            decode(&mut decoder, &literal(0x40, b"n", number % 50)).unwrap();
        }
        assert!(matches!(count(&mut decoder, &coded), (1, Extent::Whole)));
    }
    // Entries and as much room as the longest field needs; each entry with 16 bytes about it.
    let most = MAX_HPACK_TABLE_BYTES + MAX_FIELD_LIST_BYTES * 8 / 5 + 4096 * 16;
    assert!(decoder.buffered() <= most, "{}", decoder.buffered());
}

#[test]
fn fields_do_not_have_to_be_looked_at() {
    let extent = Decoder::joined_midway().decode(b"\x82\xbe", |field| {
        assert!(matches!(field, Field::Known { .. } | Field::Unknown));
    });
    assert_eq!(extent, Ok(Extent::Whole));
}
