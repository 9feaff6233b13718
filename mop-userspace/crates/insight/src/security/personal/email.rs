//! E-mail addresses, as they are in use: letters, digits and `._%+-` before the sign, a domain name
//! after it (RFC 5321, section 4.1.2, allows more).

use super::{Class, Found, Place};

/// The address whose `@` is here.
pub(super) fn find(place: Place<'_>) -> Option<Found> {
    let local = local(place)?;
    let domain = domain(place.rest().get(1..)?)?;
    let start = place.at - local;
    if is_user_of_url(place.text.get(..start)?) {
        return None;
    }
    Some(Found { class: Class::Email, range: start..place.at + 1 + domain })
}

/// Length of the local part.
fn local(place: Place<'_>) -> Option<usize> {
    let before = place.text.get(place.free..place.at)?;
    let length =
        before.iter().rev().take(MAX_LOCAL_BYTES + 1).take_while(|it| is_local(**it)).count();
    let local = before.get(before.len() - length..)?;
    let [first, ..] = local else { return None };
    let [.., last] = local else { return None };
    let is_cut = match before.get(..before.len() - length) {
        Some([.., outside]) => *outside >= 0x80,
        _ => false,
    };
    (length <= MAX_LOCAL_BYTES && *first != b'.' && *last != b'.' && !is_cut).then_some(length)
}

/// Length of the domain: labels with a dot between them, the last one of letters only.
fn domain(after: &[u8]) -> Option<usize> {
    let run = after.iter().take(MAX_DOMAIN_BYTES).take_while(|it| is_domain(**it)).count();
    let domain = after.get(..run)?;
    // A full stop is the end of the sentence.
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let is_top = (2..=MAX_TOP_BYTES).contains(&top.len())
        && top.iter().all(u8::is_ascii_alphabetic)
        && !FILE_ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending.as_bytes()));
    let mut count = 0;
    for label in labels {
        count += 1;
        if label.is_empty() || label.starts_with(b"-") || label.ends_with(b"-") {
            return None;
        }
    }
    (is_top && count > 0).then_some(domain.len())
}

/// Whether what stands before makes it `scheme://user@host` or `scheme://user:password@host`.
fn is_user_of_url(before: &[u8]) -> bool {
    let before = match before {
        [user @ .., b':'] => {
            let length = user.iter().rev().take(MAX_LOCAL_BYTES).take_while(|it| is_local(**it));
            user.get(..user.len() - length.count()).unwrap_or_default()
        }
        other => other,
    };
    before.ends_with(b"//")
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

/// RFC 5321, section 4.5.3.1.1.
const MAX_LOCAL_BYTES: usize = 64;

/// RFC 1035, section 2.3.4.
const MAX_DOMAIN_BYTES: usize = 253;

/// The longest top-level domain in use has 24.
const MAX_TOP_BYTES: usize = 24;

/// `logo@2x.png` is a picture.
const FILE_ENDINGS: [&str; 11] =
    ["css", "gif", "html", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "webp"];
