//! Media types, as far as they choose a schema (RFC 9110, section 8.3.1).

use std::sync::Arc;

/// What a key of `content` stands for: a media type or range, its parameters left out.
///
/// Published documents write parameters into their keys (`application/json; charset=utf-8`) where
/// messages have others or none, so they play no part in the choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaRange(Arc<str>);

impl MediaRange {
    /// From a key of `content`.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(essence(key).to_ascii_lowercase().into())
    }

    /// Whether a `Content-Type` is of it.
    #[must_use]
    pub fn matches(&self, content_type: &str) -> bool {
        let essence = essence(content_type);
        match self.0.strip_suffix('*') {
            Some("*/") => true,
            Some(prefix) => {
                essence.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            }
            None => essence.eq_ignore_ascii_case(&self.0),
        }
    }

    /// Whether what it names is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        is_json(&self.0)
    }

    /// As it is written, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a `Content-Type` says JSON: `application/json` or a `+json` suffix (RFC 6839).
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype.eq_ignore_ascii_case("json")
        || subtype
            .len()
            .checked_sub("+json".len())
            .and_then(|start| subtype.get(start..))
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

/// The type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_play_no_part() {
        for (key, content_type, expected) in [
            ("application/json; charset=utf-8", "application/json", true),
            ("application/json", "Application/JSON;charset=UTF-8", true),
            ("application/json", "application/jwt", false),
            ("application/*", "application/jwt", true),
            ("application/*", "text/plain", false),
            ("*/*", "text/plain", true),
            ("application/json", "", false),
        ] {
            assert_eq!(
                MediaRange::new(key).matches(content_type),
                expected,
                "{key} {content_type}"
            );
        }
    }

    #[test]
    fn json_has_more_than_one_name() {
        for (content_type, expected) in [
            ("application/json", true),
            ("application/problem+JSON; a=b", true),
            ("text/json", true),
            ("application/jwt", false),
            ("json", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type), expected, "{content_type}");
        }
    }
}
