//! Lookups of Log4j, resolved as it resolves them: `${lower:j}` and `${::-j}` are `j`, so that what
//! is left of a disguise is `${jndi:…}`.

use super::{
    Clues, Subject,
    letters::{begins, is_one_of, least, marks, skip_space, word, word_before},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, .. } = *subject;
    if !clues.any(const { Clues::these(b":") }) {
        return None;
    }
    let lookups = if clues.all(const { Clues::these(b"${") }) {
        least([resolve(bytes), prefixes(bytes)])
    } else {
        None
    };
    least([lookups, addresses(bytes)])
}

/// `jndi:ldap://` without its braces, as what a filter has left.
fn addresses(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b':').map(|(before, _, rest)| {
        if !matches!(before.last(), Some(b'i' | b'I')) || !is_one_of(word_before(before), &["jndi"])
        {
            return None;
        }
        let (scheme, then) = word(skip_space(rest));
        (is_one_of(scheme, SCHEMES) && then.first() == Some(&b':')).then_some(1)
    }))
}

/// Prefixes of lookups: `${env:`, `${sys:`, `${script:`.
fn prefixes(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'$').map(|(_, _, rest)| {
        let inner = rest.strip_prefix(b"{")?;
        if begins(inner, &["::-", ":-", "${::-"]) {
            return Some(1);
        }
        let (prefix, then) = word(inner);
        if then.first() != Some(&b':') {
            return None;
        }
        if is_one_of(prefix, SURE) {
            return Some(1);
        }
        is_one_of(prefix, LIKELY).then_some(2)
    }))
}

/// Follows each `${` to its end with nested lookups replaced.
fn resolve(text: &[u8]) -> Option<u8> {
    let mut resolver =
        Resolver { letters: [0; MAX_RESOLVED_BYTES], length: 0, starts: [0; MAX_DEPTH], depth: 0 };
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        let is_fit = match (byte, after) {
            (b'$', [b'{', inside @ ..]) => {
                rest = inside;
                resolver.open()
            }
            (b'}', _) if resolver.depth > 0 => {
                resolver.close();
                true
            }
            _ if resolver.depth > 0 => resolver.push(*byte),
            _ => true,
        };
        if resolver.is_jndi() {
            return Some(1);
        }
        if !is_fit || resolver.depth == 0 {
            // What is longer is no disguise; reading goes on outside.
            resolver.length = 0;
            resolver.depth = 0;
        }
    }
    None
}

/// What is left of lookups that are open.
struct Resolver {
    letters: [u8; MAX_RESOLVED_BYTES],
    length: usize,
    /// Where each open lookup begins in `letters`; the first `depth` are in use.
    starts: [usize; MAX_DEPTH],
    depth: usize,
}

impl Resolver {
    fn open(&mut self) -> bool {
        let Some(start) = self.starts.get_mut(self.depth) else { return false };
        *start = self.length;
        self.depth += 1;
        true
    }

    fn push(&mut self, byte: u8) -> bool {
        let Some(slot) = self.letters.get_mut(self.length) else { return false };
        *slot = byte;
        self.length += 1;
        true
    }

    /// Puts what the innermost lookup gives in its place: its default, or the text it changes.
    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let start = self.starts.get(self.depth).copied().unwrap_or_default();
        let lookup = self.letters.get(start..self.length).unwrap_or_default();
        let value = match lookup.windows(2).position(|pair| pair == b":-") {
            Some(at) => at + 2,
            None => lookup.iter().position(|byte| *byte == b':').map_or(0, |at| at + 1),
        };
        let value = value
            + lookup
                .get(value..)
                .map_or(0, |value| usize::from(matches!(value.first(), Some(b'\'' | b'"'))));
        let end = self.length - usize::from(matches!(lookup.last(), Some(b'\'' | b'"')));
        let from = start + value;
        if from <= end && end <= self.letters.len() {
            self.letters.copy_within(from..end, start);
            self.length = start + (end - from);
        }
    }

    /// Whether an open lookup begins with `jndi:`; only the byte that was read last can complete it.
    fn is_jndi(&self) -> bool {
        self.starts.iter().take(self.depth).any(|start| {
            self.letters
                .get(*start..self.length)
                .is_some_and(|lookup| lookup.len() >= 5 && begins(lookup, &["jndi:"]))
        })
    }
}

/// A lookup of any use is shorter once its disguise is off.
const MAX_RESOLVED_BYTES: usize = 128;
/// Disguises nest a few times.
const MAX_DEPTH: usize = 8;

const SCHEMES: &[&str] =
    &["ldap", "ldaps", "rmi", "dns", "iiop", "corba", "nis", "nds", "http", "https"];

/// Prefixes that placeholders of applications do not have.
const SURE: &[&str] = &[
    "env",
    "sys",
    "java",
    "lower",
    "upper",
    "jndi",
    "script",
    "dns",
    "k8s",
    "docker",
    "bundle",
    "base64decoder",
    "base64encoder",
    "urldecoder",
    "urlencoder",
    "file",
    "const",
    "jvmrunargs",
    "log4j",
    "spring",
    "xml",
    "resourcebundle",
    "localhost",
];

const LIKELY: &[&str] =
    &["ctx", "date", "main", "map", "marker", "sd", "web", "event", "url", "properties"];

#[cfg(test)]
mod tests;
