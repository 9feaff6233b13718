//! Consent identifiers: a URN (RFC 8141) as the metrics platform takes it.
//!
//! `^urn:[a-zA-Z0-9][a-zA-Z0-9-]{0,31}:[a-zA-Z0-9()+,\-.:=@;$_!*'%\/?#]+$`, at most 256 characters:
//! `consentId` of `additionalInfo` in the ingestion interface, version 1.0.13.

use std::sync::Arc;

/// An identifier of a consent that has the form of one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsentId(Arc<str>);

impl ConsentId {
    /// The identifier, when the text is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_CONSENT_BYTES {
            return None;
        }
        let (namespace, rest) = text.strip_prefix("urn:")?.split_once(':')?;
        let is_namespace = (1..=32).contains(&namespace.len())
            && !namespace.starts_with('-')
            && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_rest = !rest.is_empty() && rest.bytes().all(is_specific);
        (is_namespace && is_rest).then(|| Self(text.into()))
    }

    /// The consent that a list of OAuth scopes names: `consent:` and the identifier. `None` when
    /// there is none, or more than one, which nothing says how to read.
    #[must_use]
    pub fn from_scope(scope: &str) -> Option<Self> {
        let mut found =
            scope.split(' ').filter_map(|one| Self::parse(one.strip_prefix("consent:")?));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// As the wire has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_specific(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"()+,-.:=@;$_!*'%/?#".contains(&byte)
}

impl std::fmt::Debug for ConsentId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It stands for one person's decision: shown by its length only.
        write!(formatter, "ConsentId({} bytes)", self.0.len())
    }
}

/// `maxLength` of the interface.
pub const MAX_CONSENT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_form_that_the_platform_takes() {
        for (text, is_one) in [
            ("urn:bancoex:C1DD33123", true),
            ("urn:a-1:x/y?z#%2F", true),
            ("urn:-a:x", false),
            ("urn:a:", false),
            ("urn:a", false),
            ("URN:a:x", false),
            ("urn:a:x y", false),
            ("urn:a:é", false),
            ("urn:abcdefghijklmnopqrstuvwxyz0123456:x", false),
        ] {
            assert_eq!(ConsentId::parse(text).is_some(), is_one, "{text}");
        }
        let long = format!("urn:a:{}", "x".repeat(MAX_CONSENT_BYTES - 6));
        assert!(ConsentId::parse(&long).is_some());
        assert!(ConsentId::parse(&(long + "x")).is_none());
    }

    #[test]
    fn a_scope_names_one_consent_or_none() {
        let found = |scope| ConsentId::from_scope(scope).map(|id| id.as_str().to_owned());
        assert_eq!(found("openid consent:urn:a:1 resources"), Some("urn:a:1".into()));
        assert_eq!(found("openid consents"), None);
        assert_eq!(found("consent:urn:a:1 consent:urn:a:2"), None);
        assert_eq!(found("consent:urn:a:1 consent:urn:a:1"), Some("urn:a:1".into()));
    }
}
