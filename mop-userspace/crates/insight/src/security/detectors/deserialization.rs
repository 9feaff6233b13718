//! Serialised objects, read by the marks of their formats, and the classes that turn reading one
//! into running something.

mod gadgets;

use super::{
    Clues, Subject,
    letters::{after, begins, contains, head, is_word, least, marks, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, name, .. } = *subject;
    least([
        magic(bytes),
        if clues.all(const { Clues::these(b":0") }) { php(bytes) } else { None },
        if clues.any(const { Clues::these(b"\n") }) { pickle(bytes) } else { None },
        if clues.any(const { Clues::these(b"!") }) { yaml(bytes) } else { None },
        if clues.all(const { Clues::these(b"_$") }) { node(bytes) } else { None },
        if clues.any(const { Clues::these(b"@$\"") }) { typed(bytes) } else { None },
        if clues.any(const { Clues::these(b".<") }) { gadgets::suspicion(bytes) } else { None },
        name.and_then(|name| named(name, bytes)),
    ])
}

/// What a stream begins with, as it is, in hexadecimal digits and in base64.
fn magic(text: &[u8]) -> Option<u8> {
    let text = match text {
        [b'"' | b'\'' | b' ' | b'=', rest @ ..] => rest,
        _ => text,
    };
    match text {
        // Java (Object Serialization Stream Protocol, section 6.4.2).
        [0xac, 0xed, 0x00, 0x05, ..] => return Some(1),
        // .NET (MS-NRBF, section 2.6.1).
        [0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, ..] => return Some(1),
        // Python's pickle with a frame, and without.
        [0x80, 4 | 5, 0x95, ..] | [0x80, 2 | 3, b'c' | b'}' | b'(' | b']' | b'X', ..] => {
            return Some(1);
        }
        // Ruby's Marshal.
        [4, 8, b'o' | b'I' | b'[' | b'{' | b':' | b'"' | b'u' | b'U' | b'e' | b'c', ..] => {
            return Some(1);
        }
        _ => {}
    }
    // Names and numbers begin otherwise.
    let (b"rO" | b"ac" | b"AC" | b"AA" | b"00" | b"gA" | b"BA" | b"H4" | b"/w" | b"KL") =
        text.first_chunk::<2>()?
    else {
        return None;
    };
    let (cased, level) = MAGIC.iter().find(|(magic, _)| text.starts_with(magic.as_bytes()))?;
    // What is so short holds no object.
    (text.len() >= MIN_OBJECT_BYTES.max(cased.len())).then_some(*level)
}

/// `O:8:"stdClass":1:{`, `a:1:{i:0;`, `C:11:"ArrayObject":`.
fn php(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b':').map(|(before, _, rest)| {
        let kind = before.last()?;
        let begins_here = before.iter().rev().nth(1).is_none_or(|byte| !is_word(*byte));
        if !begins_here || !matches!(kind, b'O' | b'C' | b'a' | b'E' | b'o' | b'c') {
            return None;
        }
        let digits = rest.strip_prefix(b"+").unwrap_or(rest);
        let length =
            digits.iter().take(MAX_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let then = digits.get(length..)?.strip_prefix(b":")?;
        if kind.eq_ignore_ascii_case(&b'a') {
            let first = then.strip_prefix(b"{")?;
            return (begins(first, &["i:", "s:", "O:"]) || first == b"}").then_some(1);
        }
        let name = then.strip_prefix(b"\"").or(then.strip_prefix(b"\\\""))?;
        let is_class = name.first().is_some_and(|byte| is_word(*byte) || matches!(byte, b'\\' | 0));
        is_class.then_some(1)
    }))
}

/// `cos\nsystem\n(S'id'\ntR.`: the opcode that names a function.
fn pickle(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'\n').map(|(before, _, rest)| {
        let module = super::letters::word_before(before);
        if !MODULES.iter().any(|known| known.as_bytes() == module) {
            return None;
        }
        let (function, then) = word(rest);
        (!function.is_empty() && matches!(then.first(), Some(b'\n' | b'\r'))).then_some(1)
    }))
}

/// `!!python/object/apply:os.system`, `!ruby/object:Gem::Installer`, `!!javax.script.ScriptEngineManager`.
fn yaml(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'!').map(|(_, _, rest)| begins(rest, TAGS).then_some(1)))
}

/// `_$$ND_FUNC$$_function(){…}()`.
fn node(text: &[u8]) -> Option<u8> {
    least(
        marks(text, |byte| byte == b'_').map(|(_, _, rest)| begins(rest, &["$$ND_"]).then_some(1)),
    )
}

/// `{"@type":"com.sun…"}`, `{"$type":"System…"}`, `{"py/object":"os"}` within a text.
fn typed(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'"').map(|(_, _, rest)| {
        if begins(rest, &["py/object", "py/reduce", "py/function", "json_class\""]) {
            return Some(1);
        }
        let name = TYPE_NAMES.iter().find_map(|name| Some((*name, after(rest, name)?)));
        let (name, then) = name?;
        let value = then.strip_prefix(b"\"")?;
        let start = head(value, MAX_GAP_BYTES).iter().position(|byte| *byte == b'"')?;
        let value = value.get(start + 1..)?;
        let end = value.iter().take(MAX_CLASS_BYTES).position(|byte| *byte == b'"');
        named(name, end.and_then(|end| value.get(..end)).unwrap_or(head(value, MAX_CLASS_BYTES)))
    }))
}

/// A member that says the class of its object.
fn named(name: &str, value: &[u8]) -> Option<u8> {
    if !matches!(name.as_bytes().first()?, b'@' | b'$' | b'_' | b'p' | b'j' | b'c') {
        return None;
    }
    if matches!(name, "py/object" | "py/reduce" | "py/function" | "py/type") {
        return Some(1);
    }
    if !TYPE_NAMES.contains(&name) {
        return None;
    }
    let value = head(value, MAX_CLASS_BYTES);
    let is_class = value.iter().all(|byte| is_word(*byte) || b".$,+ =[]`;/".contains(byte));
    let dots = value.iter().filter(|byte| **byte == b'.').count();
    let is_known = begins(value, PACKAGES) && dots >= 1;
    if is_known {
        return Some(1);
    }
    (is_class && dots >= 2 && !contains(value, "/")).then_some(2)
}

/// A stream with one object and nothing in it.
const MIN_OBJECT_BYTES: usize = 8;
/// Lengths and counts.
const MAX_DIGITS: usize = 6;
/// `" : "`
const MAX_GAP_BYTES: usize = 6;
/// A class with its assembly, version and key.
const MAX_CLASS_BYTES: usize = 160;

const MAGIC: &[(&str, u8)] = &[
    ("rO0AB", 1),
    ("aced0005", 1),
    ("ACED0005", 1),
    ("AAEAAAD/////", 1),
    ("AAEAAAD_____", 1),
    ("0001000000ffffffff", 1),
    ("gASV", 1),
    ("gAWV", 1),
    ("gANj", 1),
    ("gAJj", 1),
    ("gAN9", 1),
    ("gAJ9", 1),
    ("BAhv", 1),
    ("BAhb", 1),
    ("BAh7", 1),
    ("BAhJ", 1),
    ("BAhV", 1),
    ("BAhj", 1),
    ("H4sIAAAAAAAAAJ", 3),
    ("/wEP", 2),
    ("/wEy", 2),
    ("KLUv/", 4),
];

const MODULES: &[&str] = &[
    "cos",
    "cposix",
    "cnt",
    "c__builtin__",
    "cbuiltins",
    "csubprocess",
    "csys",
    "ccommands",
    "cpty",
    "csocket",
    "cshutil",
    "ccopy_reg",
    "ccopyreg",
    "cruntime",
    "ctypes",
    "cplatform",
    "cimportlib",
    "ctimeit",
    "cwebbrowser",
];

const TAGS: &[&str] = &[
    "!python/",
    "!javax.",
    "!java.",
    "!com.sun",
    "!com.",
    "!org.",
    "!sun.",
    "!ruby/",
    "ruby/object",
    "ruby/hash",
    "ruby/struct",
    "python/object",
    "!ch.qos",
    "php/object",
];

const TYPE_NAMES: &[&str] = &["@type", "$type", "@class", "__type", "javaClass", "class"];

const PACKAGES: &[&str] = &[
    "com.sun.",
    "org.apache.",
    "java.",
    "javax.",
    "org.springframework.",
    "System.",
    "org.hibernate.",
    "org.codehaus.",
    "ch.qos.logback.",
    "com.mchange.",
    "com.zaxxer.",
    "Lcom.sun.",
    "sun.",
    "jdk.",
    "org.h2.",
    "com.alibaba.",
    "br.com.anteros.",
    "oracle.",
    "com.mysql.",
    "Microsoft.",
    "[com.sun.",
    "org.eclipse.jetty.",
    "com.ibatis.",
    "net.sf.ehcache.",
    "bsh.",
    "groovy.",
];

#[cfg(test)]
mod tests;
