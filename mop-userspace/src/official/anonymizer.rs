//! Takes the values out of a body that the official server does not want, exactly as its client
//! does.
//!
//! An attribute is known by its name alone, wherever it is, whatever its case:
//! - in `anonymized`, its value becomes Base64(SHA-256(salt + text)); of a container, the text is
//!   its compact JSON; a blank text and `null` become `""`. It wins over `exposed`.
//! - in `exposed`, a scalar stays as it is, and so do the scalars of an array; what is inside of
//!   objects goes by its own names.
//! - anything else that is no container becomes `""`; names and structure stay.
//!
//! Numbers and booleans are hashed as their text and exposed as they are. The text of a number with
//! fraction or exponent is what `Double.toString` gives since Java 19, the shortest digits; an older
//! platform may write other digits for some numbers, so that their hashes differ. No such attribute
//! is known to be in a list.
//!
//! The salt is public and the same for all, as the server has to recognise a person in the reports
//! of several participants. A hash of a document number can therefore be found by trying all numbers:
//! the result is pseudonymous, not anonymous.
//!
//! Pure. Depth and number of values are bounded by the reader of JSON, the result by
//! [`MAX_PAYLOAD_BYTES`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mop_contract::json::{Kind, Value};
use sha2::{Digest as _, Sha256};

use super::{field_policy::FieldPolicy, java};

/// The result would be larger than [`MAX_PAYLOAD_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// What the server gets of a body: its attribute `data`, and an empty object where there is none or
/// it is a scalar. Links, metadata and errors are left out.
pub(crate) fn payload_data(
    body: Option<Value<'_>>,
    policy: &FieldPolicy,
) -> Result<String, TooLarge> {
    let mut writer = Writer { policy, out: String::new(), scratch: String::new() };
    let data = body.and_then(|body| body.member(DATA)).filter(|data| is_container(*data));
    match data {
        // A list that names `data` itself takes all of it.
        Some(data) if !policy.anonymizes(DATA) => {
            writer.container(data, policy.exposes(DATA))?;
        }
        _ => writer.out.push_str("{}"),
    }
    Ok(writer.out)
}

/// All of a value, for those who compare with other implementations.
#[cfg(test)]
pub(crate) fn whole(value: Value<'_>, policy: &FieldPolicy) -> Result<String, TooLarge> {
    let mut writer = Writer { policy, out: String::new(), scratch: String::new() };
    if is_container(value) {
        writer.container(value, false)?;
    } else {
        writer.empty();
    }
    Ok(writer.out)
}

/// Writes the result as JSON.
struct Writer<'p> {
    policy: &'p FieldPolicy,
    out: String,
    /// Text of the value that is hashed next.
    scratch: String,
}

impl Writer<'_> {
    fn container(&mut self, value: Value<'_>, is_exposed: bool) -> Result<(), TooLarge> {
        self.check()?;
        if value.kind() == Kind::Array {
            self.out.push('[');
            for (place, element) in value.elements().enumerate() {
                if place > 0 {
                    self.out.push(',');
                }
                if is_container(element) {
                    self.container(element, is_exposed)?;
                } else if is_exposed && element.kind() != Kind::Null {
                    self.scalar(element);
                } else {
                    self.empty();
                }
                self.check()?;
            }
            self.out.push(']');
            return Ok(());
        }
        self.out.push('{');
        for (place, member) in value.members().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            java::string(&mut self.out, member.name);
            self.out.push(':');
            self.attribute(member.name, member.value)?;
            self.check()?;
        }
        self.out.push('}');
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: Value<'_>) -> Result<(), TooLarge> {
        if self.policy.anonymizes(name) {
            self.hash(value);
            return Ok(());
        }
        let is_exposed = self.policy.exposes(name);
        if is_container(value) {
            self.container(value, is_exposed)?;
        } else if is_exposed {
            self.scalar(value);
        } else {
            self.empty();
        }
        Ok(())
    }

    fn hash(&mut self, value: Value<'_>) {
        self.scratch.clear();
        match value.kind() {
            Kind::Null => {}
            Kind::String => self.scratch.push_str(value.as_str().unwrap_or_default()),
            Kind::Array | Kind::Boolean | Kind::Integer | Kind::Number | Kind::Object => {
                java::json(&mut self.scratch, value);
            }
        }
        if java::is_blank(&self.scratch) {
            return self.empty();
        }
        let digest = Sha256::new().chain_update(SALT).chain_update(&self.scratch).finalize();
        self.out.push('"');
        STANDARD.encode_string(digest, &mut self.out);
        self.out.push('"');
    }

    /// As it was sent: a number keeps its digits.
    fn scalar(&mut self, value: Value<'_>) {
        match value.as_number() {
            Some(number) => self.out.push_str(number.text),
            None => java::json(&mut self.out, value),
        }
    }

    fn empty(&mut self) {
        self.out.push_str("\"\"");
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.out.len() > MAX_PAYLOAD_BYTES { Err(TooLarge) } else { Ok(()) }
    }
}

fn is_container(value: Value<'_>) -> bool {
    matches!(value.kind(), Kind::Array | Kind::Object)
}

/// The attribute of a body that is sent.
const DATA: &str = "data";

/// Stands before each value that is hashed; public.
const SALT: &str = "open-insurance-mop-v1";

/// A hash is 44 characters, so that a hostile body of many short values grows; the largest body of
/// the ecosystem's own examples stays below 200 KB.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests;
