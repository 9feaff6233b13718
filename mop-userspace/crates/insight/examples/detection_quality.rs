//! What the rules of injection find of known attacks, and of ordinary texts.
//!
//! ```text
//! cargo run -p mop-insight --example detection_quality -- --list
//! ```
//!
//! Every text stands in each field that can carry it, in the encodings that belong there. Printed
//! are, at paranoia 1: of each class, how many attacks had a finding in at least one field and how
//! many of all carried ones had; of each rule, how many ordinary texts it took for an attack. The
//! bars are nine attacks in ten of each class and no ordinary text. `--list` prints what was missed
//! and what was taken for an attack.
#![expect(clippy::unwrap_used, reason = "a measurement reports by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mop_insight::security::rules::{
    Document, EventMap, FieldName, Reading, RuleSet, Scratch, parse_documents,
};

fn main() {
    let is_listed = std::env::args().any(|argument| argument == "--list");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let rules = RuleSet::compile(&documents(&root.join("rules/security"))).unwrap();
    let mut inspection = Inspection::new(&rules);

    let mut classes: BTreeMap<String, Score> = BTreeMap::new();
    let attacks = fs::read_to_string(root.join("tests/corpus/attacks.tsv")).unwrap();
    for (number, line) in attacks.lines().enumerate() {
        let (class, written) = line.split_once('\t').unwrap();
        let text = unescaped(written);
        let score = classes.entry(class.to_owned()).or_default();
        let found: Vec<bool> =
            carried(&text).iter().map(|event| !inspection.rules_of(event).is_empty()).collect();
        score.texts += 1;
        score.texts_found += usize::from(found.contains(&true));
        score.carried += found.len();
        score.carried_found += found.iter().filter(|is_found| **is_found).count();
        if is_listed && !found.contains(&true) {
            println!("missed {class} {number}: {written}");
        }
    }
    for (class, score) in &classes {
        let Score { texts, texts_found, carried, carried_found } = score;
        println!("{class}: {texts_found} of {texts} attacks, {carried_found} of {carried} carried");
    }

    let mut alarms: BTreeMap<String, usize> = BTreeMap::new();
    let mut alarmed = 0;
    let texts = fs::read_to_string(root.join("tests/corpus/ordinary-texts.txt")).unwrap();
    for (number, text) in texts.lines().enumerate() {
        let found: BTreeSet<String> =
            carried(text).iter().flat_map(|event| inspection.rules_of(event)).collect();
        alarmed += usize::from(!found.is_empty());
        if is_listed && !found.is_empty() {
            println!("false alarm {number} of {found:?}: {text}");
        }
        for rule in found {
            *alarms.entry(rule).or_default() += 1;
        }
    }
    println!("ordinary: {alarmed} of {} texts", texts.lines().count());
    for (rule, count) in &alarms {
        println!("{rule}: {count} ordinary texts");
    }
}

#[derive(Default)]
struct Score {
    texts: usize,
    texts_found: usize,
    carried: usize,
    carried_found: usize,
}

/// What it takes to inspect one call after the other.
struct Inspection<'r> {
    rules: &'r RuleSet,
    reading: Reading,
    scratch: Scratch,
}

impl<'r> Inspection<'r> {
    fn new(rules: &'r RuleSet) -> Self {
        Self { rules, reading: Reading::default(), scratch: Scratch::default() }
    }

    /// Names of the rules that a call matches.
    fn rules_of(&mut self, written: &EventMap) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let event = self.reading.read_written(written);
        self.rules.evaluate(event, &mut self.scratch, &mut |found| {
            names.insert(found.rule.head.told_as().to_owned());
        });
        names
    }
}

/// Calls that carry a text, one in each field and encoding.
fn carried(text: &str) -> Vec<EventMap> {
    let (quoted, flat) = (quoted(text), STANDARD.encode(text));
    let path = |segment: &str| format!("/claims/v1/notes/{segment}/claim");
    let mut events = Vec::new();
    let mut carry = |field: &str, value: String| {
        let mut event = EventMap::default();
        event.push(FieldName::new("http.request.method").resolve().unwrap(), "POST");
        event.push(FieldName::new(field).resolve().unwrap(), value);
        events.push(event);
    };
    carry("url.query.values", quoted.clone());
    carry("url.query.values", self::quoted(&quoted));
    carry("url.query.values", self::quoted(&flat));
    carry("url.path", path(&quoted));
    carry("url.path", path(&self::quoted(&flat)));
    carry("http.request.body.values", text.to_owned());
    carry("http.request.body.values", flat.clone());
    carry("http.request.body.content", text.to_owned());
    carry("http.request.header.x-note", flat);
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text {
        carry("http.request.header.x-note", text.to_owned());
        carry("user_agent.original", text.to_owned());
    }
    events
}

/// With all but letters, digits and `-._~` percent-encoded.
fn quoted(text: &str) -> String {
    text.bytes().fold(String::new(), |mut quoted, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            write!(quoted, "%{byte:02X}").unwrap();
        }
        quoted
    })
}

/// A text of the corpus: `\t`, `\n`, `\r` and `\\` stand for what they do elsewhere.
fn unescaped(written: &str) -> String {
    let mut text = String::new();
    let mut rest = written;
    while let Some(first) = rest.chars().next() {
        let known = [("\\t", '\t'), ("\\n", '\n'), ("\\r", '\r'), ("\\\\", '\\')];
        let pair =
            known.into_iter().find_map(|(pair, meant)| Some((rest.strip_prefix(pair)?, meant)));
        let (after, character) = pair.unwrap_or((&rest[first.len_utf8()..], first));
        text.push(character);
        rest = after;
    }
    text
}

/// All rules of a folder, but those about personal data in addresses: some texts have a number of a
/// person, which does not belong there whatever the text is.
fn documents(folder: &Path) -> Vec<Document> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "personal-data" {
            documents.extend(parse_documents(&name, &fs::read_to_string(&file).unwrap()).unwrap());
        }
    }
    documents
}
