//! Of which responses only the beginning is kept.

use crate::headers::Headers;

/// Keeps no more than the first bytes of a response that nobody reads to its end. A response with a
/// content coding is kept as any other, since its beginning alone says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Where a path has this in it, the response is kept as any other.
    pub unless_path_has: &'static str,
    /// Bytes that are kept.
    pub bytes: usize,
}

impl Excerpt {
    /// Whether only the beginning is kept of the response to a request for this target.
    pub(crate) fn is_of(self, target: &str, response: &Headers) -> bool {
        let end = target.bytes().position(|byte| matches!(byte, b'?' | b'#'));
        let path = end.and_then(|end| target.get(..end)).unwrap_or(target);
        !path.contains(self.unless_path_has) && response.first("content-encoding").is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_interest_and_what_is_coded_is_kept_as_any_other() {
        let excerpt = Excerpt { unless_path_has: "/open-insurance/", bytes: 4 };
        let plain = Headers::default();
        let mut coded = Headers::default();
        coded.push("Content-Encoding", b"gzip");
        for (target, is_of) in [
            ("/images/a.png", true),
            ("/open-insurance", true),
            ("/a?to=/open-insurance/x", true),
            ("/open-insurance/consents/v2/consents", false),
            ("/brand/open-insurance/consents/v2/consents?a=b", false),
            ("https://a.example/open-insurance/x", false),
        ] {
            assert_eq!(excerpt.is_of(target, &plain), is_of, "{target}");
            assert!(!excerpt.is_of(target, &coded), "{target}");
        }
    }
}
