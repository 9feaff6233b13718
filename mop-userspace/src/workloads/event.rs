//! What a watch tells: one JSON object a line.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pod::Pod;

/// Something happened to the pods of this node.
#[derive(Debug)]
pub(super) enum Event {
    /// Nothing; but whoever begins again may begin here.
    Bookmark {
        /// The version of the collection.
        version: String,
    },
    /// What happened since the version that was asked for is not known any more.
    Expired,
    /// The server cannot go on; the status it says.
    Failed(u16),
    /// A pod is no more, or is no longer of this node.
    Gone(Box<Pod>),
    /// A pod is there, or has changed.
    There(Box<Pod>),
}

/// A line is none of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// `Status` of the API group `meta`, version `v1`, as far as it is read.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Event {
    pub(super) fn parse(line: &[u8]) -> Result<Self, Unreadable> {
        let Envelope { kind, object } = read(line)?;
        let object = object.get().as_bytes();
        Ok(match &*kind {
            "ADDED" | "MODIFIED" => Self::There(Box::new(read(object)?)),
            "DELETED" => Self::Gone(Box::new(read(object)?)),
            "BOOKMARK" => {
                let Pod { metadata, .. } = read(object)?;
                Self::Bookmark { version: metadata.resource_version }
            }
            "ERROR" => match read::<Status>(object)?.code {
                GONE => Self::Expired,
                code => Self::Failed(code),
            },
            _ => return Err(Unreadable),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(text).map_err(|_may_quote_it| Unreadable)
}

/// RFC 9110, section 15.5.11; `Expired` in the words of the API.
pub(super) const GONE: u16 = 410;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> String {
        match Event::parse(line.as_bytes()) {
            Ok(Event::Bookmark { version }) => format!("bookmark {version}"),
            Ok(Event::Expired) => "expired".to_owned(),
            Ok(Event::Failed(code)) => format!("failed {code}"),
            Ok(Event::Gone(pod)) => format!("gone {}", pod.metadata.uid),
            Ok(Event::There(pod)) => format!("there {}", pod.metadata.uid),
            Err(Unreadable) => "unreadable".to_owned(),
        }
    }

    #[test]
    fn every_kind_of_event_is_understood() {
        for (line, expected) in [
            (r#"{"type":"ADDED","object":{"kind":"Pod","metadata":{"uid":"u"}}}"#, "there u"),
            (r#"{"object":{"metadata":{"uid":"u"},"spec":null},"type":"MODIFIED"}"#, "there u"),
            (r#"{"type":"DELETED","object":{"metadata":{"uid":"u"}}}"#, "gone u"),
            (
                r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12","creationTimestamp":null},"spec":{"containers":null},"status":{}}}"#,
                "bookmark 12",
            ),
            (
                r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}}"#,
                "expired",
            ),
            (r#"{"type":"ERROR","object":{"kind":"Status","code":500}}"#, "failed 500"),
            (r#"{"type":"ERROR","object":{}}"#, "failed 0"),
            (r#"{"type":"OTHER","object":{}}"#, "unreadable"),
            (r#"{"type":"ADDED","object":{"metadata":7}}"#, "unreadable"),
            (r#"{"type":"ADDED"}"#, "unreadable"),
            ("", "unreadable"),
            ("{", "unreadable"),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let line = format!(r#"{{"type":"ADDED","object":{}}}"#, "[".repeat(1 << 20));
        assert_eq!(parse(&line), "unreadable");
        let inside = format!(r#"{{"metadata":{{"managedFields":{}"#, "[".repeat(1 << 20));
        assert_eq!(parse(&format!(r#"{{"type":"ADDED","object":{inside}"#)), "unreadable");
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in any::<Vec<u8>>(), text in any::<String>(), cut in 0..90_usize) {
            let _ = Event::parse(&line);
            let whole = format!(
                r#"{{"type":"ADDED","object":{{"metadata":{{"uid":{},"labels":{{"a":"b"}}}}}}}}"#,
                serde_json::Value::from(text)
            );
            prop_assert!(Event::parse(whole.as_bytes()).is_ok());
            let cut = cut.min(whole.len() - 1);
            prop_assert!(Event::parse(&whole.as_bytes()[..cut]).is_err());
        }
    }
}
