//! Distinguished names as text (RFC 4514, which replaced RFC 2253): `UID=…,CN=…,2.5.4.97=#0c…`.
//!
//! Proxies forward the subject of a certificate in this form. Attributes are separated by `,` or
//! `+`; `\` escapes one character or two hexadecimal digits; a value that begins with `#` is DER in
//! hexadecimal digits. Attributes that are not looked at are passed over.

use super::{
    certificate::{Attribute, Subject},
    der::{Elements, MAX_TEXT_BYTES, Malformed},
};

/// Reads a distinguished name.
///
/// # Errors
///
/// [`Malformed`], also for more than [`MAX_NAME_BYTES`].
pub fn subject(text: &str) -> Result<Subject, Malformed> {
    if text.len() > MAX_NAME_BYTES {
        return Err(Malformed);
    }
    let mut subject = Subject::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (kind, value) = rest.split_once('=').ok_or(Malformed)?;
        let (value, after) = value_of(value)?;
        if let (Some(kind), Some(value)) = (attribute(kind.trim()), value) {
            subject.take(kind, value);
        }
        rest = after.trim_start();
    }
    Ok(subject.finished())
}

/// The value at the start of a text, and what follows its separator. The value is `None` when it
/// is not text.
fn value_of(text: &str) -> Result<(Option<String>, &str), Malformed> {
    let text = text.trim_start();
    let mut bytes = Vec::new();
    let mut at = 0;
    let all = text.as_bytes();
    while let Some(byte) = all.get(at) {
        match byte {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let pair = text.get(at + 1..at + 3).and_then(octet);
                let escaped = pair.or_else(|| all.get(at + 1).copied()).ok_or(Malformed)?;
                bytes.push(escaped);
                at += if pair.is_some() { 3 } else { 2 };
            }
            other => {
                bytes.push(*other);
                at += 1;
            }
        }
    }
    let after = text.get(at + 1..).unwrap_or_default();
    let value = String::from_utf8(bytes).map_err(|_not_utf8| Malformed)?;
    let value = value.trim_end();
    let value = match value.strip_prefix('#') {
        Some(digits) if !text.starts_with('\\') => from_hexadecimal(digits),
        _ => (value.len() <= MAX_TEXT_BYTES).then(|| value.to_owned()),
    };
    Ok((value, after))
}

/// The string whose DER these digits are.
fn from_hexadecimal(digits: &str) -> Option<String> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|pair| octet(std::str::from_utf8(pair).ok()?)).collect();
    Elements::new(&bytes?).any().ok()?.text()
}

/// Two hexadecimal digits.
fn octet(pair: &str) -> Option<u8> {
    let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(pair, 16).ok())?
}

/// By short name or by number, with or without `OID.` before it.
fn attribute(kind: &str) -> Option<Attribute> {
    let kind = kind.strip_prefix("OID.").or_else(|| kind.strip_prefix("oid.")).unwrap_or(kind);
    let is = |names: &[&str]| names.iter().any(|name| kind.eq_ignore_ascii_case(name));
    if is(&["CN", "commonName", "2.5.4.3"]) {
        Some(Attribute::CommonName)
    } else if is(&["organizationIdentifier", "2.5.4.97"]) {
        Some(Attribute::OrganisationIdentifier)
    } else if is(&["serialNumber", "SN", "2.5.4.5"]) {
        Some(Attribute::SerialNumber)
    } else if is(&["UID", "userId", "0.9.2342.19200300.100.1.1"]) {
        Some(Attribute::UserId)
    } else {
        None
    }
}

/// Names of the ecosystem have some 400 bytes.
pub const MAX_NAME_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORGANISATION: &str = "1fb79963-4bff-4204-9370-93aceb8a2f0d";
    const STATEMENT: &str = "2a59c2a3-529f-41c6-97e3-77395e9951ca";

    #[test]
    fn names_of_several_writers_are_read() {
        let encoded: String = format!("OPIBR-{ORGANISATION}")
            .bytes()
            .fold("#0c2a".to_owned(), |digits, byte| format!("{digits}{byte:02x}"));
        for name in [
            format!("UID={STATEMENT},CN=a\\,b,2.5.4.97=OPIBR-{ORGANISATION},C=BR"),
            format!("2.5.4.97={encoded} + UID={STATEMENT} , CN = a\\2cb"),
            format!(
                "CN=a\\,b,OID.0.9.2342.19200300.100.1.1={STATEMENT},organizationIdentifier=OPIBR-{ORGANISATION}"
            ),
        ] {
            let subject = subject(&name).unwrap();
            assert_eq!(subject.organisation.as_deref(), Some(ORGANISATION), "{name}");
            assert_eq!(subject.software_statement.as_deref(), Some(STATEMENT), "{name}");
            assert_eq!(subject.common_name.as_deref(), Some("a,b"), "{name}");
        }
        let seal = subject(&format!("UID={ORGANISATION},CN=x")).unwrap();
        assert_eq!(seal.software_statement, None);
        assert_eq!(subject("CN"), Err(Malformed));
        assert_eq!(subject("CN=a\\"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_value_that_is_escaped_is_read(value in "[ -~é]{0,40}[!-~é]") {
            let escaped: String = value
                .bytes()
                .map(|byte| format!("\\{byte:02x}"))
                .collect();
            let name = format!("CN={escaped},C=BR");
            let read = subject(&name).unwrap().common_name;
            prop_assert_eq!(read.as_deref(), Some(&*value));
        }

        #[test]
        fn no_text_is_a_panic(text in any::<String>()) {
            let _ = subject(&text);
        }
    }
}
