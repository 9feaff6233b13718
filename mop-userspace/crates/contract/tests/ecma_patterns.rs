//! Published patterns and random ones, compared with a real ECMA-262 engine.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use common::{SEED, patterns, root, skip};
use mop_contract::{
    fuzzing::sample,
    pattern::{Engine, Pattern, PatternError},
};
use mop_corpus::Random;
use serde_json::{Value, json};

#[test]
fn every_published_pattern_compiles() {
    let Some(patterns) = patterns("every_published_pattern_compiles") else { return };
    let mut backtracking = Vec::new();
    for source in &patterns {
        let pattern = Pattern::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        if pattern.engine() == Engine::Backtracking {
            backtracking.push(source.as_str());
        }
    }
    assert_eq!(backtracking, WITH_LOOK_AROUND);
}

#[test]
fn published_patterns_match_what_they_match_in_node() {
    let test = "published_patterns_match_what_they_match_in_node";
    let Some(patterns) = patterns(test) else { return };
    let mut random = Random::new(SEED);
    let questions: Vec<_> = patterns
        .into_iter()
        .map(|pattern| {
            let made = || near(&pattern, &mut random);
            let mut texts: Vec<_> = std::iter::repeat_with(made).take(TEXTS_NEAR).collect();
            texts.extend(VALUES.iter().map(|&value| value.to_owned()));
            Question { pattern, texts }
        })
        .collect();
    let Some(compared) = compare(test, &questions) else { return };
    assert!(compared.matches * 5 > compared.texts, "too few of the texts match: {compared:?}");
    assert!(compared.matches * 5 < compared.texts * 4, "too few do not: {compared:?}");
    println!("{} patterns: {compared:?}", questions.len());
}

#[test]
fn random_patterns_mean_what_they_mean_in_node() {
    let test = "random_patterns_mean_what_they_mean_in_node";
    let mut random = Random::new(SEED);
    let questions: Vec<_> = std::iter::repeat_with(|| {
        let tokens = 1 + random.below(12);
        let pattern: String = (0..tokens).map(|_| *random.pick(TOKENS)).collect();
        let texts = (0..TEXTS_OF_RANDOM).map(|_| near(&pattern, &mut random)).collect();
        Question { pattern, texts }
    })
    .take(RANDOM_PATTERNS)
    .collect();
    let Some(compared) = compare(test, &questions) else { return };
    assert!(compared.refused * 10 > RANDOM_PATTERNS, "too few are no patterns: {compared:?}");
    assert!(compared.texts * 3 > RANDOM_PATTERNS * TEXTS_OF_RANDOM, "too few are: {compared:?}");
    println!("{RANDOM_PATTERNS} patterns: {compared:?}");
}

struct Question {
    pattern: String,
    texts: Vec<String>,
}

#[derive(Debug, Default)]
struct Compared {
    /// Texts on which both engines had an answer, and the same one.
    texts: usize,
    /// Of these, those that match.
    matches: usize,
    /// Patterns that both refuse.
    refused: usize,
    /// Patterns that only we refuse, because they are not supported.
    unsupported: usize,
}

/// Asks both; panics on the first difference. Without Node, notes that the test is skipped.
fn compare(test: &str, questions: &[Question]) -> Option<Compared> {
    let answers = ask_node(questions);
    let Some(answers) = answers else {
        skip(test, "no Node");
        return None;
    };
    assert_eq!(answers.len(), questions.len());
    let mut compared = Compared::default();
    for (Question { pattern, texts }, answers) in questions.iter().zip(answers) {
        let ours = match Pattern::compile(pattern) {
            Ok(ours) => ours,
            Err(PatternError::Syntax { reason, .. }) => {
                assert!(answers.is_null(), "only we refuse {pattern:?}: {reason}");
                compared.refused += 1;
                continue;
            }
            Err(_) => {
                compared.unsupported += 1;
                continue;
            }
        };
        let answers = answers.as_array().unwrap_or_else(|| panic!("only Node refuses {pattern:?}"));
        for (text, theirs) in texts.iter().zip(answers) {
            let (Ok(ours), Some(theirs)) = (ours.is_match(text), theirs.as_bool()) else {
                continue;
            };
            assert_eq!(ours, theirs, "{pattern:?} on {text:?}");
            compared.texts += 1;
            compared.matches += usize::from(ours);
        }
    }
    Some(compared)
}

fn ask_node(questions: &[Question]) -> Option<Vec<Value>> {
    let questions: Vec<_> = questions
        .iter()
        .map(|Question { pattern, texts }| json!({ "pattern": pattern, "texts": texts }))
        .collect();
    let mut node = Command::new("node")
        .arg(root().join("tests/fixtures/contract/ecma_patterns.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    // Node reads all of it before it answers, so nothing waits for nothing here.
    node.stdin.take().unwrap().write_all(json!(questions).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node failed: {}", output.status);
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A text that the pattern matches, or almost.
fn near(pattern: &str, random: &mut Random) -> String {
    let made = sample(pattern, &mut |bound| random.below(bound)).unwrap_or_default();
    let mut text: Vec<char> = made.chars().collect();
    for _ in 0..random.below(3) {
        let at = random.below(text.len() + 1);
        match random.below(3) {
            0 => text.insert(at, *random.pick(CHARACTERS)),
            1 if at < text.len() => text[at] = *random.pick(CHARACTERS),
            _ if at < text.len() => drop(text.remove(at)),
            _ => {}
        }
    }
    text.into_iter().collect()
}

/// Their look-ahead has no linear engine.
const WITH_LOOK_AROUND: [&str; 2] = [
    r"^(?!\s)(.*)(\S)$",
    r"^P(?!$)(\d+(?:\.\d+)?Y)?(\d+(?:\.\d+)?M)?(\d+(?:\.\d+)?W)?(\d+(?:\.\d+)?D)?(T(?=\d)(\d+(?:\.\d+)?H)?(\d+(?:\.\d+)?M)?(\d+(?:\.\d+)?S)?)?$",
];

/// Made from each published pattern.
const TEXTS_NEAR: usize = 300;

const RANDOM_PATTERNS: usize = 20_000;
const TEXTS_OF_RANDOM: usize = 20;

/// Characters on which dialects differ, and the ones that published patterns are about.
const CHARACTERS: &[char] = &[
    '0',
    '9',
    'a',
    'Z',
    '_',
    '-',
    '.',
    ':',
    '/',
    ' ',
    '@',
    '+',
    '\\',
    '&',
    '~',
    '[',
    ']',
    '{',
    '}',
    '\0',
    '\u{1}',
    '\u{8}',
    '\t',
    '\n',
    '\u{b}',
    '\r',
    '\u{1f}',
    '\u{7f}',
    '\u{85}',
    '\u{a0}',
    'é',
    'Ç',
    '٣',
    '\u{180e}',
    '\u{2028}',
    '\u{2029}',
    '\u{3000}',
    '\u{feff}',
    '\u{ffff}',
    '\u{1F600}',
];

/// Values that fields under published patterns have, well formed and not.
const VALUES: &[&str] = &[
    "",
    " ",
    "NA",
    "2024-02-29",
    "2024-13-01",
    "2024-02-29T12:00:00Z",
    "2024-02-29T12:00:00.000Z",
    "23:59:59Z",
    "100.00",
    "100.\0",
    "99.99",
    "-0.10",
    "1234567890.12",
    "12345678901",
    "12345678000195",
    "São Paulo",
    "Embu-Guaçu",
    "BRL",
    "name@example.com",
    "urn:example:C1DD33123",
    "https://api.example.com/open-insurance/consents/v2/consents",
    "d78fc4e5-37ca-4da3-adf2-9b082bf92280",
    "P3Y6M4DT12H30M5S",
    "PT",
    "Sun, 10 Sep 2017 19:43:31 UTC",
];

/// What random patterns are made of.
const TOKENS: &[&str] = &[
    "a",
    "b",
    "é",
    "0",
    "1",
    "7",
    "8",
    "9",
    "-",
    "&",
    "&&",
    "--",
    "~~",
    ",",
    ":",
    "=",
    "!",
    "<",
    ">",
    "_",
    "#",
    " ",
    "n",
    "x",
    "c",
    "^",
    "^",
    "$",
    "$",
    ".",
    "*",
    "+",
    "?",
    "??",
    "{2}",
    "{1,2}",
    "{,2}",
    "{2,1}",
    "{",
    "}",
    "(",
    ")",
    "(a)",
    "(?:",
    "(?=",
    "(?!",
    "(?<=a)",
    "(?<!b)",
    "(?<n>",
    "[",
    "[^",
    "]",
    "[]",
    "[^]",
    "[a-b]",
    "[\\w-a]",
    "|",
    "\\",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "\\0",
    "\\00",
    "\\1",
    "\\2",
    "\\7",
    "\\8",
    "\\18",
    "\\101",
    "\\377",
    "\\400",
    "\\c",
    "\\ca",
    "\\c1",
    "\\c_",
    "\\x",
    "\\x4",
    "\\x61",
    "\\u",
    "\\u00e9",
    "\\-",
    "\\/",
    "\\k",
    "\\a",
    "\\e",
    "\\z",
    "\\n",
    "\\v",
    "(?",
    "(?i)",
    "[[:word:]]",
];
