//! The claims of a message, with those that are added when it is sent.

use jiff::Timestamp;
use serde::Serialize;

/// Added to the claims of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Added<'a> {
    org_id: &'a str,
    iat: i64,
    exp: i64,
}

/// All claims of a message, which is an object of JSON; `None` when it is not.
pub(super) fn claims(message: &str, organisation_id: &str, now: Timestamp) -> Option<String> {
    let issued = now.as_second();
    let added =
        Added { org_id: organisation_id, iat: issued, exp: issued.saturating_add(VALID_SECONDS) };
    joined(message, &serde_json::to_string(&added).ok()?)
}

/// Two objects as one: the members of the first, then those of the second.
fn joined(first: &str, second: &str) -> Option<String> {
    let first = first.trim().strip_prefix('{')?.strip_suffix('}')?;
    let second = second.strip_prefix('{')?;
    let comma = if first.trim().is_empty() { "" } else { "," };
    Some(format!("{{{first}{comma}{second}"))
}

/// What the official client gives.
const VALID_SECONDS: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_added_behind_those_of_the_message() {
        let added = r#"{"orgId":"o"}"#;
        assert_eq!(joined(r#" {"a":1} "#, added).as_deref(), Some(r#"{"a":1,"orgId":"o"}"#));
        assert_eq!(joined("{ }", added).as_deref(), Some(r#"{ "orgId":"o"}"#));
        assert_eq!(joined("[1]", added), None);
        assert_eq!(joined("{", added), None);
    }
}
