//! What of a configuration may be shown.
//!
//! Secrets are never written into a configuration, only the names of the files that hold them. But
//! an address may carry a password, and somebody may have put one where it does not belong.

/// A text as it may be shown. `key` is the last part of its path.
pub(super) fn masked(key: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    if is_secret(key) {
        return MASK.to_owned();
    }
    match text.split_once("://") {
        Some((scheme, rest)) => masked_address(scheme, rest),
        None => text.to_owned(),
    }
}

/// Whether a key holds something secret itself, rather than saying where it lies.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let names_a_place = PLACES.iter().any(|place| key.ends_with(place));
    !names_a_place && SECRETS.iter().any(|word| key.contains(word))
}

/// The user's password, and what follows the path: a query often holds a token.
fn masked_address(scheme: &str, rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => {
            match user.split_once(':') {
                Some((user, _)) => format!("{user}:{MASK}@{host}"),
                // A name alone is shown, but where addresses carry tokens it may be one.
                None if scheme.starts_with("http") => format!("{MASK}@{host}"),
                None => format!("{user}@{host}"),
            }
        }
        None => authority.to_owned(),
    };
    let rest = match rest.find(['?', '#']) {
        Some(at) => format!("{}?{MASK}", rest.get(..at).unwrap_or_default()),
        None => rest.to_owned(),
    };
    format!("{scheme}://{authority}{rest}")
}

/// As many as any password: its length is nobody's business.
const MASK: &str = "***";

/// Parts of the names of keys whose values are secret.
const SECRETS: [&str; 8] =
    ["password", "passphrase", "secret", "token", "credential", "authorization", "cookie", "key"];

/// Ends of the names of keys that say where a secret lies or what it is called.
const PLACES: [&str; 6] = ["_file", "_folder", "_path", "_id", "_url", "routing_key"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (key, text, shown) in [
            (
                "url",
                "amqps://mop:hidden@broker.example:5671/mop",
                "amqps://mop:***@broker.example:5671/mop",
            ),
            ("url", "amqps://mop@broker.example/", "amqps://mop@broker.example/"),
            (
                "url",
                "https://user:a@b@host.example/x?token=hidden",
                "https://user:***@host.example/x?***",
            ),
            ("url", "https://host.example", "https://host.example"),
            ("password", "hidden", "***"),
            ("x-api-key", "hidden", "***"),
            ("password_file", "/run/secrets/mop", "/run/secrets/mop"),
            ("name", "node-1", "node-1"),
            ("password", "", ""),
        ] {
            assert_eq!(masked(key, text), shown, "{key}");
        }
    }
}
