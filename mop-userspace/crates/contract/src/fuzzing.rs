//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can replay the corpus on a stable
//! compiler without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use serde_json::Value as Tree;

use crate::{
    contract::ContractBuilder,
    document::Document,
    format::Format,
    json::{Json, Kind, Reader},
    lint, pack,
    pattern::{
        Engine, Pattern,
        sample::{MAX_SAMPLE_BYTES, asserts},
    },
};

pub use crate::pattern::sample::sample;

/// Reads the bytes as JSON. What is read must be equal to itself, be JSON to another reader too,
/// and lead to the same value again once that reader has written it.
pub fn fuzz_json(data: &[u8]) {
    let (mut reader, mut again) = (Reader::default(), Reader::default());
    let Ok(json) = reader.read(data) else { return };
    check(json.root().equals(json.root()), "a value is not equal to itself");
    // The other reader has a limit of depth of its own.
    let Ok(tree) = serde_json::from_slice::<Tree>(data) else { return };
    let written = tree.to_string();
    let read = again.read(written.as_bytes());
    check(read.is_ok(), "what another library writes is not read");
    let other_kind = read.as_ref().ok().map(Json::root).map(|root| root.kind());
    let kind = json.root().kind();
    // It writes an integer that is too large for it as a number with an exponent.
    let is_beyond = kind == Kind::Integer && tree.is_f64();
    check(is_beyond || other_kind == Some(kind), "a value of another kind");
}

/// Reads the bytes as an OpenAPI document, compiles it, looks for its defects and packs it.
///
/// Packing what was packed must change nothing, and the packed document must compile to the same
/// number of operations.
pub fn fuzz_document(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(document) = Document::parse("fuzz", text) else { return };
    let facts = pack::facts(&document.tree);
    check(pack::facts(&facts) == facts, "packing twice changes something");
    let _ = lint::lint(&document);
    let operations = |document: &Document| {
        let mut builder = ContractBuilder::default();
        builder.add(document, Some(document));
        builder.build().operations().len()
    };
    if let Ok(packed) = Document::from_tree("fuzz", facts) {
        check(operations(&packed) == operations(&document), "a pack has other operations");
    }
}

/// Reads the bytes as a pattern, a line feed, and a text that it is tried on.
///
/// A text that was made from the pattern must match it, and neither engine may go over its limits.
pub fn fuzz_pattern(data: &[u8]) {
    let Ok(input) = str::from_utf8(data) else { return };
    let (source, text) = input.split_once('\n').unwrap_or((input, ""));
    let Ok(pattern) = Pattern::compile(source) else { return };
    check(pattern.source() == source, "another pattern");
    let answer = pattern.is_match(text);
    check(answer.is_ok() || pattern.engine() == Engine::Backtracking, "a linear engine gave up");
    if asserts(source) == Ok(false) {
        let mut state = data.len();
        let mut choose = |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) % below
        };
        let made = sample(source, &mut choose).unwrap_or_default();
        let is_whole = made.len() <= MAX_SAMPLE_BYTES;
        check(
            !is_whole || pattern.is_match(&made) == Ok(true),
            "a text made from the pattern does not match",
        );
    }
}

/// Reads the first byte as a format and the rest as a text that may have it; checks what formats
/// have to do with each other.
pub fn fuzz_format(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let name = FORMATS.get(usize::from(*choice) % FORMATS.len()).copied().unwrap_or_default();
    let Some(format) = Format::parse(name) else { panic!("{name} is unknown") };
    let is_of_integers = matches!(format, Format::Int32 | Format::Int64);
    if is_of_integers || !format.accepts(text) {
        check(!is_of_integers || format.accepts(text), "a format of integers refuses a text");
        return;
    }
    check(text.is_ascii(), "a format beyond ASCII");
    let upper = text.to_ascii_uppercase();
    let also = match format {
        Format::Byte => format.accepts(&text.repeat(2)) || text.ends_with('='),
        Format::Date => Format::DateTime.accepts(&format!("{text}T23:59:59.9-23:59")),
        Format::DateTime => {
            let date = text.get(..10).is_some_and(|date| Format::Date.accepts(date));
            date && format.accepts(&text.to_ascii_lowercase()) && format.accepts(&upper)
        }
        Format::Email => text.rsplit_once('@').is_some_and(|(_, domain)| {
            domain.starts_with('[') || Format::Uri.accepts(&format!("http://{domain}"))
        }),
        Format::Hostname | Format::Uuid => format.accepts(&upper),
        Format::Int32 | Format::Int64 => true,
        Format::Ipv4 => {
            Format::Hostname.accepts(text) && Format::Ipv6.accepts(&format!("::{text}"))
        }
        Format::Ipv6 => Format::Uri.accepts(&format!("x://[{text}]:0/")),
        Format::Uri => text.contains('#') || format.accepts(&format!("{text}#%20")),
    };
    check(also, "formats contradict each other");
}

fn check(holds: bool, otherwise: &str) {
    if !holds {
        panic!("{otherwise}");
    }
}

/// In the order of the first byte of a corpus file.
const FORMATS: [&str; 11] = [
    "byte",
    "date",
    "date-time",
    "email",
    "hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "uri",
    "uuid",
];
