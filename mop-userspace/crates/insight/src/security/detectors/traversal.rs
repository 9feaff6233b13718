//! Path traversal and inclusion of files, read as file systems and stream wrappers read: dot
//! segments, files of the system and of the server's configuration, schemes that open streams,
//! names that end at a null byte.

mod files;

use super::{
    Clues, Subject,
    letters::{
        after, begins, contains, ends, head, is, is_one_of, is_word, least, marks, word,
        word_before,
    },
};
use crate::security::normalise::{
    part::Place,
    step::{Step, Steps},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, place, name, steps } = *subject;
    let has_slash = clues.any(const { Clues::these(b"/\\\x80") });
    least([
        if has_slash && clues.any(const { Clues::these(b".") }) {
            dots(bytes, place, clues)
        } else {
            None
        },
        if clues.any(const { Clues::these(b"%") }) { encoded_dots(bytes) } else { None },
        if has_slash || clues.any(const { Clues::these(b".") }) {
            files::suspicion(bytes, place)
        } else {
            None
        },
        if clues.all(const { Clues::these(b":/") }) { schemes(bytes, name) } else { None },
        if clues.any(const { Clues::these(b"\0%") }) { nulls(bytes, place, steps) } else { None },
    ])
}

/// `../../`, `..\..\`, `..;/`, `....//`, and `/..` at the end. A single `../` before a name is also
/// how documentation and prose point to a file beside a folder.
fn dots(text: &[u8], place: Place, clues: Clues) -> Option<u8> {
    let is_path = matches!(place, Place::Path | Place::PathSegment);
    // Operations have no blanks in their paths, while notes in a segment do.
    let is_sure = is_path && !clues.any(const { Clues::these(b" ") })
        || text.iter().all(|byte| matches!(byte, b'.' | b'/' | b'\\'));
    let mut rest = text;
    let mut last = None;
    let mut climbs = 0_usize;
    let mut worst: Option<u8> = None;
    while let Some(start) = rest.iter().position(|byte| *byte == b'.') {
        let Some((skipped, dotted)) = rest.split_at_checked(start) else { break };
        let before = skipped.last().copied().or(last);
        if skipped.iter().any(|byte| *byte <= b' ') {
            climbs = 0;
        }
        let run = dotted.iter().take_while(|byte| **byte == b'.').count();
        let Some(then) = dotted.get(run..) else { break };
        let begins_segment =
            before.is_none_or(|byte| !is_word(byte) && byte < 0x80 && byte != b')');
        // The division slash, and the fraction slash, which lax decoders take for one.
        let is_wide =
            then.starts_with("\u{2215}".as_bytes()) || then.starts_with("\u{2044}".as_bytes());
        let is_slash = is_wide || matches!(then.first(), Some(b'/' | b'\\'));
        let is_double_slash = matches!(then, [b'/' | b'\\', b'/' | b'\\', ..]);
        let level = match run {
            2 if begins_segment && then.starts_with(b";/") => Some(1),
            2 if begins_segment && is_slash => {
                climbs += 1;
                let is_plain = climbs == 1 && !is_wide && !is_double_slash;
                Some(if is_plain && !is_sure { 2 } else { 1 })
            }
            2 if is_slash && is_path && matches!(then, [_, b'.', b'.', ..]) => Some(1),
            2 if is_slash => Some(2),
            2 if then.is_empty() && matches!(before, Some(b'/' | b'\\')) => {
                Some(if is_path || before == Some(b'\\') { 1 } else { 2 })
            }
            4.. if is_double_slash && begins_segment => Some(1),
            3 if begins_segment && is_slash && !matches!(before, Some(b' ')) => Some(2),
            _ => None,
        };
        if level == Some(1) {
            return level;
        }
        worst = least([worst, level]);
        last = Some(b'.');
        rest = then;
    }
    worst
}

/// `%2e%2e/`: no one encodes a dot, which is reserved nowhere (RFC 3986, section 2.3), but to hide it.
fn encoded_dots(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'%').map(|(before, _, rest)| {
        let after_dot = after(rest, "2e")?;
        let is_second = before.last() == Some(&b'.');
        let then = match after_dot {
            _ if is_second => after_dot,
            [b'.', then @ ..] => then,
            _ => after(after_dot, "%2e")?,
        };
        let is_slash = then.is_empty() || begins(then, &["/", "\\", "%2f", "%5c"]);
        is_slash.then_some(1)
    }))
}

/// `php://filter`, `file:///etc`, `phar://`, `http://…/shell.txt?`.
fn schemes(text: &[u8], name: Option<&str>) -> Option<u8> {
    // Applications without a host name `file://` as their origin.
    let is_origin = name.is_some_and(|name| is_one_of(name.as_bytes(), &["origin", "referer"]));
    let streams = least(marks(text, |byte| byte == b':').map(|(before, _, rest)| {
        let scheme = word_before(before);
        if scheme.is_empty() || is_origin {
            return None;
        }
        if begins(rest, &["//"]) {
            let is_stream = is_one_of(scheme, STREAMS)
                || is(scheme, "zlib") && ends(before, &["compress.zlib"])
                || is(scheme, "bzip2") && ends(before, &["compress.bzip2"]);
            if is_stream {
                return Some(1);
            }
            return (is(scheme, "data") && contains(head(rest, MAX_HEAD_BYTES), ",")).then_some(1);
        }
        (is(scheme, "file") && begins(rest, &["/etc", "/proc", "/c:", "/var", "/root"]))
            .then_some(1)
    }));
    least([streams, remote(text)])
}

/// A script on another host that is meant to be included.
fn remote(text: &[u8]) -> Option<u8> {
    let address = after(text, "http://")
        .or_else(|| after(text, "https://"))
        .or_else(|| after(text, "ftp://"))?;
    let address = head(address, MAX_ADDRESS_BYTES);
    let end =
        address.iter().position(|byte| matches!(byte, b'?' | b'#' | 0)).unwrap_or(address.len());
    let (path, tail) = address.split_at_checked(end)?;
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let file = path.get(slash + 1..)?;
    let (stem, _) = word(file);
    if is_one_of(stem, BACKDOORS) && file.contains(&b'.') {
        return Some(1);
    }
    // The `?` makes what the server appends a query.
    let is_open = matches!(tail, b"?" | b"??" | b"#" | b"?%00" | b"\0" | b"?\0");
    (is_open && ends(file, &[".txt", ".php", ".inc", ".gif", ".jpg", ".asp", ".jsp", ".dat"]))
        .then_some(1)
}

/// A null byte after a name, alone or before another extension.
fn nulls(text: &[u8], place: Place, steps: Steps) -> Option<u8> {
    // Files and what only looks like base64 have null bytes of their own.
    if matches!(place, Place::MultipartValue | Place::Text | Place::Body)
        || steps.contains(Step::Base64)
    {
        return None;
    }
    least(marks(text, |byte| matches!(byte, b'%' | 0)).map(|(before, mark, rest)| {
        let rest = if mark == 0 {
            rest
        } else {
            rest.strip_prefix(b"00").or(rest.strip_prefix(b"2500"))?
        };
        let is_name = before.last().is_some_and(|byte| byte.is_ascii_alphabetic());
        let is_end = rest.first().is_none_or(|byte| matches!(byte, b'.' | b'/' | b'&' | b'\0'));
        let has_file = before
            .iter()
            .rev()
            .take(MAX_HEAD_BYTES)
            .any(|byte| matches!(byte, b'.' | b'/' | b'\\'));
        (is_name && is_end && has_file).then_some(1)
    }))
}

/// As much as is looked at for what may be far from a sign.
const MAX_HEAD_BYTES: usize = 64;
/// Addresses that are longer carry data.
const MAX_ADDRESS_BYTES: usize = 256;

/// Schemes that make a server open a stream.
const STREAMS: &[&str] = &[
    "php", "file", "phar", "zip", "expect", "glob", "ogg", "rar", "ssh2", "zlib", "zip2", "input",
];

/// Names of scripts that are known for one purpose.
const BACKDOORS: &[&str] = &[
    "shell", "c99", "r57", "cmd", "evil", "backdoor", "webshell", "b374k", "wso", "rfi", "phpshell",
];

#[cfg(test)]
mod tests;
