//! Whatever stands in a schema or in a message, reading it ends and does not panic.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_contract::{
    format::Format,
    pattern::{Engine, Pattern},
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_is_compiled_or_refused(source in "\\PC{0,24}", text in "\\PC{0,24}") {
        if let Ok(pattern) = Pattern::compile(&source) {
            prop_assert_eq!(pattern.source(), source);
            let answer = pattern.is_match(&text);
            prop_assert!(answer.is_ok() || pattern.engine() == Engine::Backtracking);
        }
    }

    #[test]
    fn a_pattern_of_syntax_is_compiled_or_refused(
        source in r"[\\()\[\]{}?*+|^$.,:=!<>&~0-9a-dux-]{0,24}",
        text in "[0-9a-dux-]{0,24}",
    ) {
        if let Ok(pattern) = Pattern::compile(&source) {
            let answer = pattern.is_match(&text);
            prop_assert!(answer.is_ok() || pattern.engine() == Engine::Backtracking);
        }
    }

    #[test]
    fn an_escaped_text_matches_itself_only(text in "\\PC{0,24}", other in "\\PC{0,24}") {
        let escaped: String = text
            .chars()
            .map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() })
            .collect();
        let pattern = Pattern::compile(&format!("^{escaped}$")).unwrap();
        prop_assert_eq!(pattern.is_match(&text), Ok(true));
        prop_assert_eq!(pattern.is_match(&other), Ok(text == other));
    }

    #[test]
    fn any_text_has_a_format_or_has_not(name in "[a-z0-9-]{2,9}", text in "\\PC{0,40}") {
        for format in NAMES.iter().copied().chain([name.as_str()]).filter_map(Format::parse) {
            let _answer = format.accepts(&text);
        }
    }
}

const NAMES: [&str; 9] =
    ["byte", "date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];
