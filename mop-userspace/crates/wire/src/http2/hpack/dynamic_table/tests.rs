use super::*;

fn insert(table: &mut Table, name: Name<'_>, value: &[u8]) {
    let entry = table.decode(name, plain(value)).unwrap();
    table.insert(entry);
}

fn plain(bytes: &[u8]) -> Coded<'_> {
    Coded { bytes, is_huffman: false }
}

fn named(name: &str) -> Name<'_> {
    Name::Coded(plain(name.as_bytes()))
}

/// Name and value of all entries, from the newest one.
fn entries(table: &Table) -> Vec<(Option<String>, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let entry = |index| {
        let (name, value) = table.texts(table.entry(index).unwrap());
        (name.map(text), text(value))
    };
    (0..table.len()).map(entry).collect()
}

fn values(table: &Table) -> Vec<String> {
    entries(table).into_iter().map(|(_name, value)| value).collect()
}

#[test]
fn the_oldest_entries_go_when_there_is_no_room() {
    let mut table = Table::from_start();
    table.resize(102).unwrap();
    for value in ["1", "2", "3"] {
        insert(&mut table, named("n"), value.as_bytes());
    }
    assert_eq!(values(&table), ["3", "2", "1"]);
    insert(&mut table, named("n"), b"four");
    assert_eq!(values(&table), ["four", "3"]);
    table.resize(70).unwrap();
    assert_eq!(values(&table), ["four"]);
    table.resize(4096).unwrap();
    assert_eq!(values(&table), ["four"]);
    table.resize(0).unwrap();
    assert!(values(&table).is_empty() && table.held_bytes == 0);
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut table = Table::from_start();
    table.resize(40).unwrap();
    insert(&mut table, named("n"), b"v");
    insert(&mut table, named("n"), b"12345678");
    assert!(values(&table).is_empty());
    assert!(table.is_whole());
    insert(&mut table, named("n"), b"v");
    assert_eq!(values(&table), ["v"]);
}

#[test]
fn an_entry_may_have_the_name_of_one_that_goes_for_it() {
    let mut table = Table::from_start();
    table.resize(50).unwrap();
    insert(&mut table, named("name"), b"1");
    insert(&mut table, Name::Entry(0), b"2");
    assert_eq!(entries(&table), [(Some("name".to_owned()), "2".to_owned())]);
}

#[test]
fn a_field_that_is_not_inserted_leaves_no_trace() {
    let mut table = Table::from_start();
    insert(&mut table, named("n"), b"kept");
    let field = table.decode(Name::Entry(0), plain(b"passing")).unwrap();
    assert_eq!(table.texts(field), (Some(&b"n"[..]), &b"passing"[..]));
    assert_eq!(values(&table), ["kept"]);
    insert(&mut table, Name::Static(":path"), b"next");
    assert_eq!(values(&table), ["next", "kept"]);
}

#[test]
fn entries_stay_what_they_are_when_they_move_to_the_front() {
    let mut table = Table::from_start();
    let mut expected = VecDeque::new();
    for number in 0..5000_usize {
        let value = "v".repeat(number % 97) + &number.to_string();
        let size = 1 + value.len() + 32;
        insert(&mut table, named("n"), value.as_bytes());
        expected.push_front((value, size));
        while expected.iter().map(|(_, size)| size).sum::<usize>() > 4096 {
            expected.pop_back();
        }
        if number % 100 == 0 {
            let expected: Vec<_> = expected.iter().map(|(value, _)| value.clone()).collect();
            assert_eq!(values(&table), expected);
        }
    }
    assert!(table.memory() <= 3 * 4096, "{}", table.memory());
}

#[test]
fn a_table_beyond_the_limit_is_not_whole_until_it_shrinks() {
    let mut table = Table::from_start();
    table.resize(1 << 20).unwrap();
    let value = [b'v'; 1000];
    let kept = MAX_HPACK_TABLE_BYTES / 1033;
    for _ in 0..kept {
        insert(&mut table, named("n"), &value);
        assert!(table.is_whole());
    }
    insert(&mut table, named("n"), &value);
    assert!(!table.is_whole());
    assert_eq!(table.len(), kept);
    // As large as what is kept: an older entry would have no room.
    table.resize((kept * 1033) as u32).unwrap();
    assert!(table.is_whole());
    table.resize(1 << 20).unwrap();
    assert!(table.is_whole());
    insert(&mut table, named("n"), &[b'v'; MAX_HPACK_TABLE_BYTES]);
    assert!(!table.is_whole() && table.len() == 0, "the sender has an entry");
}

#[test]
fn unknown_names_count_nothing_and_are_handed_on() {
    let mut table = Table::unknown();
    table.resize(100).unwrap();
    insert(&mut table, Name::Unknown, b"1");
    insert(&mut table, Name::Entry(0), b"2");
    assert_eq!(table.held_bytes, 66);
    assert!(!table.is_whole(), "there is room for an empty entry");
    insert(&mut table, Name::Unknown, b"34");
    assert_eq!(table.held_bytes, 100);
    assert!(table.is_whole());
    let unnamed = |value: &str| (None, value.to_owned());
    assert_eq!(entries(&table), [unnamed("34"), unnamed("2"), unnamed("1")]);
}

#[test]
fn nothing_is_known_after_forgetting() {
    let mut table = Table::from_start();
    insert(&mut table, named("n"), b"v");
    table.forget();
    assert!(!table.is_whole() && table.len() == 0);
    // Not even that it has 4096 bytes.
    insert(&mut table, named("n"), &[b'v'; 5000]);
    assert_eq!(table.len(), 1);
    table.insert_unseen();
    assert!(!table.is_whole() && table.len() == 0);
}

#[test]
fn a_string_that_is_broken_is_no_entry() {
    let mut table = Table::from_start();
    insert(&mut table, named("n"), b"v");
    let broken = Coded { bytes: b"\xff", is_huffman: true };
    assert_eq!(table.decode(named("n"), broken).err(), Some(HpackError::HuffmanPadding));
    assert_eq!(values(&table), ["v"]);
}
