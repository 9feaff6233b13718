//! Formats, compared with a second implementation on texts that are almost well formed.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::SEED;
use mop_contract::format::Format;
use mop_corpus::Random;
use serde_json::json;

#[test]
fn formats_agree_with_a_second_implementation() {
    let mut random = Random::new(SEED);
    for &Compared { name, seeds, alphabet, differs } in COMPARED {
        let format = Format::parse(name).unwrap();
        let theirs = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&json!({ "format": name }))
            .unwrap();
        let alphabet: Vec<char> = alphabet.chars().collect();
        let (mut accepted, mut different) = (0, 0);
        for _ in 0..TEXTS {
            let text = mutated(seeds, &alphabet, &mut random);
            let ours = format.accepts(&text);
            accepted += usize::from(ours);
            if ours != theirs.is_valid(&json!(text)) {
                assert!(differs(&text, ours), "{name}: {text:?}: ours says {ours}");
                different += 1;
            }
        }
        println!("{name}: {TEXTS} texts, {accepted} accepted, {different} different");
        assert!((TEXTS / 20..TEXTS).contains(&accepted), "{name} accepts {accepted}");
    }
}

struct Compared {
    name: &'static str,
    seeds: &'static [&'static str],
    /// What is put into seeds.
    alphabet: &'static str,
    /// Whether it is known why only we accept a text, or only we refuse it.
    differs: fn(text: &str, ours: bool) -> bool,
}

const COMPARED: &[Compared] = &[
    Compared {
        name: "date",
        seeds: &["2024-02-29", "1900-02-28", "2023-12-31"],
        alphabet: "0123456789-",
        differs: never,
    },
    Compared {
        name: "date-time",
        seeds: &[
            "2024-02-29T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
            "1991-01-01T00:59:60.5+01:00",
        ],
        alphabet: "01235689-+:.TtZz",
        // They look at the minute of a leap second only, not at the day (RFC 3339, 5.7).
        differs: |text, ours| !ours && text.contains(":60"),
    },
    Compared {
        name: "uri",
        seeds: &[
            "https://user@example.com:80/a/b?q=1#top",
            "http://[2001:db8::1]/%20",
            "urn:example:a",
            "http://[v1.a]",
        ],
        alphabet: "a1:/?#[]@!%.-_ é\\{",
        differs: never,
    },
    Compared {
        name: "uuid",
        seeds: &["d78fc4e5-37ca-4da3-adf2-9b082bf92280"],
        alphabet: "0aFg-",
        differs: never,
    },
    Compared {
        name: "email",
        seeds: &["first.last@example.com", r#""a b"@example.com"#, "a@[192.0.2.1]", "a@[IPv6:::1]"],
        alphabet: "a1.@\"\\ []:-_é",
        // They refuse a space after a backslash, which `quoted-pairSMTP` allows.
        differs: |text, ours| ours && text.contains("\\ "),
    },
    Compared {
        name: "ipv4",
        seeds: &["192.0.2.1", "255.255.0.0"],
        alphabet: "01259.x",
        differs: never,
    },
    Compared {
        name: "ipv6",
        seeds: &["2001:db8::1", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"],
        alphabet: "01af:.%g",
        differs: never,
    },
    Compared {
        name: "hostname",
        seeds: &["api.example.com", "a-b.c", "xn--maana-pta.example"],
        alphabet: "a1.-_é",
        // They decode labels of IDNA2008 (RFC 5891, 4.2.3.1); RFC 1123 knows nothing of them.
        differs: |text, ours| ours && text.split('.').any(|label| label.get(2..4) == Some("--")),
    },
];

fn never(_text: &str, _ours: bool) -> bool {
    false
}

fn mutated(seeds: &[&str], alphabet: &[char], random: &mut Random) -> String {
    let mut text: Vec<char> = random.pick(seeds).chars().collect();
    for _ in 0..random.below(4) {
        let at = random.below(text.len());
        match random.below(3) {
            0 => text.insert(at, *random.pick(alphabet)),
            1 if !text.is_empty() => text[at] = *random.pick(alphabet),
            2 if !text.is_empty() => drop(text.remove(at)),
            _ => {}
        }
    }
    text.into_iter().collect()
}

const TEXTS: usize = 50_000;
