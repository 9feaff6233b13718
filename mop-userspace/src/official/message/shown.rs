//! Values of header fields that may leave.

use mop_wire::Headers;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::mask;

/// The value of a field as it may leave, else nothing.
pub(super) fn shown(name: &str, value: &[u8]) -> String {
    let is_shown = SHOWN_FIELDS.iter().any(|shown| shown.eq_ignore_ascii_case(name))
        && value.len() <= MAX_VALUE_BYTES
        && value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match std::str::from_utf8(value) {
        // An identifier is shown in the form of one only.
        Ok(text)
            if is_shown && (!name.eq_ignore_ascii_case(INTERACTION) || mask::is_uuid(text)) =>
        {
            text.to_owned()
        }
        _ => String::new(),
    }
}

/// Field lines as they may leave: names in lower case, each once.
#[derive(Debug)]
pub(super) struct ShownHeaders<'a>(pub(super) &'a Headers);

impl Serialize for ShownHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut written: Vec<String> = Vec::new();
        for (name, value) in self.0.iter().take(MAX_FIELDS) {
            let name = name.to_ascii_lowercase();
            if written.contains(&name) {
                continue;
            }
            map.serialize_entry(&name, &shown(&name, value))?;
            written.push(name);
        }
        map.end()
    }
}

pub(super) const HOST: &str = "host";
pub(super) const INTERACTION: &str = "x-fapi-interaction-id";

/// Fields that say how a message is sent, and nothing about a person or a credential. Values of all
/// others stay.
const SHOWN_FIELDS: [&str; 22] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    HOST,
    "pragma",
    "retry-after",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    INTERACTION,
    "x-frame-options",
    "x-min-v",
    "x-v",
];

/// Longer values of these fields are not what the fields are for.
const MAX_VALUE_BYTES: usize = 512;

/// Field lines that are listed; what is decoded has no more than twice as many.
const MAX_FIELDS: usize = 64;
