//! The published contracts of Open Insurance Brasil: every known defect is found where it is, and
//! every correction is used.
//!
//! The documents are not part of this repository. They are read from `MOP_OPIN_SPECS`, or from
//! `../shared/opin/specs` beside the checkout; where there are none, the tests say so and pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mop_contract::{
    Document,
    lint::{Code, Severity, lint},
    overlay::{Effect, Overlay, apply},
};

#[test]
fn every_known_defect_is_found_where_it_is() {
    let Some(documents) = documents() else { return };
    let mut found: BTreeMap<(Code, &str), Vec<String>> = BTreeMap::new();
    for document in &documents {
        let report = lint(document);
        assert_eq!(report.omitted, 0, "{}", document.name);
        for finding in report.findings {
            assert!(document.tree.pointer(&finding.pointer).is_some(), "{}", finding.pointer);
            found.entry((finding.code, &document.name)).or_default().push(finding.pointer);
        }
    }
    for (code, documents, places) in [
        (Code::AmbiguousOneOf, 17, 63),
        (Code::ArrayWithoutItems, 1, 1),
        (Code::BodyOnEmptyStatus, 37, 43),
        (Code::DateTimePatternTooNarrow, 29, 169),
        (Code::ExampleBreaksSchema, 1, 3),
        (Code::HeaderLengthBelowUsualValues, 33, 33),
        (Code::KeywordOfAnotherType, 32, 189),
        (Code::LengthTooShortForFormat, 33, 158),
        (Code::NamePatternTooNarrow, 18, 169),
        (Code::OptionalRequestBody, 14, 37),
        (Code::PatternDoesNotCompile, 50, 50),
        (Code::PatternNeedsBacktracking, 17, 17),
        (Code::RequiredNotDeclared, 2, 2),
        (Code::ResponseHeaderInRequest, 34, 34),
        (Code::UnanchoredAlternation, 20, 65),
        (Code::UnknownFormat, 12, 24),
    ] {
        let of_code: Vec<_> = found.iter().filter(|((other, _), _)| *other == code).collect();
        let counted: usize = of_code.iter().map(|(_, pointers)| pointers.len()).sum();
        assert_eq!((of_code.len(), counted), (documents, places), "{code}");
    }
    for (code, name, pointer) in [
        (
            Code::KeywordOfAnotherType,
            "consents_v2",
            "/components/schemas/422ResponseErrorCreateConsents/properties/errors/minItems",
        ),
        (
            Code::KeywordOfAnotherType,
            "quote-financial-risk",
            "/components/schemas/422ResponseErrorCreateQuote/properties/errors/required",
        ),
        (
            Code::KeywordOfAnotherType,
            "life-pension",
            "/components/schemas/LifePensionDefferalPeriod/properties/interestRate/multipleOf",
        ),
        (
            Code::RequiredNotDeclared,
            "quote-life-pension",
            "/components/schemas/QuoteFirmInfoLifePension/properties/quotes/items/required",
        ),
    ] {
        let pointers = found.get(&(code, name)).map_or(&[][..], Vec::as_slice);
        assert!(pointers.iter().any(|other| other == pointer), "{code} {name} {pointer}");
    }
}

#[test]
fn every_correction_is_used_and_leaves_no_error_behind() {
    let Some(documents) = documents() else { return };
    let overlays = overlays();
    let mut unused: BTreeSet<&str> = BTreeSet::new();
    for correction in overlays.iter().flat_map(Overlay::corrections) {
        // Corrections for versions that are not at hand cannot be tried on them.
        if documents.iter().any(|document| correction.covers(document)) {
            unused.insert(&correction.id);
        }
    }
    for document in &documents {
        let corrected = apply(&overlays, document);
        assert_eq!(corrected.not_searched, 0, "{}", document.name);
        for applied in &corrected.applied {
            unused.remove(applied.id.as_str());
        }
        let errors: Vec<_> = lint(&corrected.document)
            .findings
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", document.name);
        let again = apply(&overlays, &corrected.document);
        assert_eq!(again.document, corrected.document, "{}", document.name);
    }
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_wrong_example_is_named_and_no_other() {
    let Some(documents) = documents() else { return };
    let overlays = overlays();
    let named: BTreeSet<_> = overlays
        .iter()
        .flat_map(Overlay::wrong_examples)
        .map(|example| (example.document.clone(), example.version.clone(), example.pointer.clone()))
        .collect();
    let mut found = BTreeSet::new();
    for document in &documents {
        for finding in lint(&apply(&overlays, document).document).findings {
            if finding.code == Code::ExampleBreaksSchema {
                let pointer = format!("#{}", finding.pointer);
                found.insert((document.name.clone(), document.version.clone(), pointer));
            }
        }
    }
    assert_eq!(found, named);
}

#[test]
fn names_times_and_coordinates_of_brazil_pass_the_corrected_patterns() {
    let mut patterns = BTreeMap::new();
    for correction in overlays().iter().flat_map(Overlay::corrections) {
        if let Effect::ReplacePattern { with, .. } = &correction.effect {
            patterns.insert(correction.id.clone(), with.clone());
        }
    }
    for (id, value, expected) in [
        ("amount-with-an-octal-escape", "100.00", true),
        ("amount-with-an-octal-escape", "100.000", false),
        ("latitude-with-two-digits-only", "-3.7319", true),
        ("latitude-with-two-digits-only", "-23.5475000", true),
        ("latitude-with-two-digits-only", "-91.0", false),
        ("names-without-apostrophe-or-hyphen", "Santa Bárbara d'Oeste", true),
        ("names-without-apostrophe-or-hyphen", "Sant’Ana do Livramento", true),
        ("names-without-apostrophe-or-hyphen", "Xangri-lá", true),
        ("names-without-apostrophe-or-hyphen", "Àlvaro Müller Jr.", true),
        ("names-without-apostrophe-or-hyphen", "João 2", false),
        ("names-without-apostrophe-or-hyphen", "<b>", false),
        ("time-without-fraction", "2021-05-21T08:30:00Z", true),
        ("time-without-fraction", "2021-05-21T08:30:00.123Z", true),
        ("time-without-fraction", "2021-05-21T08:30:00", false),
        ("time-without-fraction", "2021-05-21T08:30:00-03:00", false),
        ("town-code-with-eight-digits", "3550308", true),
        ("town-code-with-eight-digits", "355030", false),
    ] {
        let pattern = patterns.get(id).unwrap_or_else(|| panic!("no correction {id}"));
        let pattern = regex::Regex::new(pattern).expect("corrected patterns compile");
        assert_eq!(pattern.is_match(value), expected, "{id}: {value}");
    }
}

fn overlays() -> Vec<Overlay> {
    let mut files = yaml_files(&repository().join("rules/opin/overlays"));
    files.sort();
    assert!(!files.is_empty(), "there are overlays");
    files
        .iter()
        .map(|(name, text)| Overlay::parse(name, text).expect("overlays are valid"))
        .collect()
}

fn documents() -> Option<Vec<Document>> {
    let folder = std::env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| repository().join("../shared/opin/specs"), PathBuf::from);
    let mut files = yaml_files(&folder);
    if files.is_empty() {
        eprintln!("SKIPPED: no published contracts in {}; set MOP_OPIN_SPECS", folder.display());
        return None;
    }
    files.sort();
    let parse = |(name, text): &(String, String)| {
        Document::parse(name.trim_end_matches(".yaml"), text).expect("published contracts are read")
    };
    Some(files.iter().map(parse).collect())
}

fn yaml_files(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a folder is listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a file is read"))
        })
        .collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}
