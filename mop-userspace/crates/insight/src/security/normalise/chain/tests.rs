use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

fn views(value: &[u8], kind: Kind) -> Vec<Vec<u8>> {
    let mut views = Vec::new();
    let mut chain = Chain::new();
    let given = chain.views(value, kind, &mut |view| views.push(view.bytes.to_vec()));
    assert_eq!(given.views, views.len());
    views
}

fn texts(value: &str, kind: Kind) -> Vec<String> {
    let views = views(value.as_bytes(), kind);
    views.into_iter().map(|view| String::from_utf8(view).unwrap()).collect()
}

fn percent(plain: &[u8]) -> String {
    plain.iter().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn each_different_view_is_given_once() {
    for (value, kind, expected) in [
        ("Maria da Gloria", Kind::Plain, &["Maria da Gloria"][..]),
        ("a+b", Kind::Plain, &["a+b"]),
        ("a+b", Kind::Form, &["a+b", "a b"]),
        ("%2527", Kind::Plain, &["%2527", "%27", "'"]),
        ("%2526lt%253b", Kind::Plain, &["%2526lt%253b", "%26lt%3b", "<"]),
        ("PHNjcmlwdD4=", Kind::Plain, &["PHNjcmlwdD4=", "<script>"]),
        ("UNION/**/SELECT", Kind::Plain, &["UNION/**/SELECT", "union select"]),
        ("/a/%2e%2e/b;c", Kind::Path, &["/a/%2e%2e/b;c", "/a/../b;c", "/b", "/a/%2e%2e/b"]),
        (r"..\..\x", Kind::Plain, &[r"..\..\x", "x", "....x"]),
        (r"\u003cb\u003e", Kind::Plain, &[r"\u003cb\u003e", "<b>", "/u003cb/u003e", "u003cbu003e"]),
    ] {
        assert_eq!(texts(value, kind), expected, "{value}");
    }
}

#[test]
fn steps_say_what_was_done() {
    let mut steps = Vec::new();
    let value = percent(STANDARD.encode("' or  1=1").as_bytes());
    let _given = Chain::new().views(value.as_bytes(), Kind::Plain, &mut |view| {
        steps.push((view.bytes.to_vec(), view.steps));
    });
    assert!(steps[0].1.is_empty());
    let (_, of_text) = steps.iter().find(|(bytes, _)| bytes == b"' or  1=1").unwrap();
    let taken: Vec<Step> = Step::ALL.into_iter().filter(|it| of_text.contains(*it)).collect();
    assert_eq!(taken, [Step::Base64, Step::Percent]);
    assert!(steps.iter().any(|(bytes, it)| bytes == b"' or 1=1" && it.contains(Step::Squash)));
}

#[test]
fn limits_of_a_value_and_of_an_exchange_hold() {
    let mut chain = Chain::new();
    let value = percent(&vec![b'x'; 100 << 10]);
    let mut decoded = 0;
    for _ in 0..20 {
        let mut of_value = 0;
        let mut given = 0;
        let outcome = chain.views(value.as_bytes(), Kind::Plain, &mut |view| {
            if !view.steps.is_empty() {
                of_value += view.bytes.len();
            }
            given += 1;
        });
        assert!(outcome.is_cut);
        assert!(of_value <= MAX_DECODED_VALUE_BYTES);
        assert!(given <= MAX_VIEWS);
        decoded += of_value;
    }
    assert_eq!(decoded, MAX_DECODED_EXCHANGE_BYTES);
    let mut views = 0;
    let _given = chain.views(b"%41", Kind::Plain, &mut |_| views += 1);
    assert_eq!(views, 1);
    chain.begin_exchange();
    let given = chain.views(b"%41", Kind::Plain, &mut |_| {});
    assert_eq!(given, Given { views: 2, is_cut: false });
}

#[test]
fn an_ordinary_word_in_base64_does_not_hide_double_encoding() {
    let word = STANDARD.encode("an ordinary word");
    let value = format!("{word},{}", percent(percent(b"<script>").as_bytes()));
    assert!(texts(&value, Kind::Plain).iter().any(|view| view.ends_with(",<script>")));
}

/// What is looked for by one decoder or another, in any order.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "%",
        "%25",
        "%2525",
        "&amp;",
        "&#x26;",
        "\\",
        "\\x5c",
        "\\u005c",
        "/../",
        "//",
        "/*",
        "*/",
        "PHNjcmlwdD4=",
        "UEhOamNtbHdkRDQ9",
        "+",
        " ",
        "\r\n",
        "\0",
        "\u{ff05}",
        "'",
        "aaaaaaaa",
    ]);
    (prop::collection::vec(piece, 1..20), 1_usize..400)
        .prop_map(|(pieces, times)| pieces.concat().repeat(times).into_bytes())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Form, Kind::Path, Kind::Plain])
}

proptest! {
    #[test]
    fn what_is_encoded_is_among_the_views(plain in "[ -$'-\\[\\]-~]{6,40}", layers in prop::collection::vec(0..5_u8, 1..=2)) {
        let mut value = plain.clone();
        for layer in layers {
            value = match layer {
                0 => percent(value.as_bytes()),
                1 => value.bytes().map(|byte| format!("&#{byte};")).collect(),
                2 => value.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
                3 => value.bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
                _ => STANDARD.encode(&value),
            };
        }
        prop_assert!(texts(&value, Kind::Plain).contains(&plain));
    }

    #[test]
    fn work_and_views_are_bounded(value in hostile(), kind in kinds()) {
        let mut chain = Chain::new();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut decoded = 0;
        let _given = chain.views(&value, kind, &mut |view| {
            decoded += if view.steps.is_empty() { 0 } else { view.bytes.len() };
            seen.push(view.bytes.to_vec());
        });
        prop_assert!(seen.len() <= MAX_VIEWS);
        prop_assert!(decoded <= MAX_DECODED_VALUE_BYTES);
        prop_assert_eq!(&seen[0], &value);
        for (index, view) in seen.iter().enumerate() {
            prop_assert!(!seen[..index].contains(view), "a view is given twice");
        }
        // One look, and of each of at most four views: a look and a decoding for each step, base64 twice, and the
        // folding: a look, the path and two passes.
        let passes = 1 + (1 + 2 * LAYER.len() + 2 + 4) * MAX_DECODED;
        let read = value.len().min(MAX_DECODED_VALUE_BYTES);
        prop_assert!(chain.work() <= (read * passes) as u64, "{} of {read}", chain.work());
    }

    #[test]
    fn any_bytes_are_taken(value in any::<Vec<u8>>(), kind in kinds()) {
        let views = views(&value, kind);
        prop_assert_eq!(&views[0], &value);
        prop_assert!(views.iter().all(|view| view.len() <= value.len()));
    }
}
