//! Scripts: addresses that are one, calls of what an attack shows itself with, and members of the
//! page that it is after.

use super::{
    Clues, after, begins, contains, head, is, is_one_of, least, marks, skip_space,
    skip_space_before, word, word_before,
};

pub(super) fn suspicion(text: &[u8], clues: Clues) -> Option<u8> {
    least([
        if clues.any(const { Clues::these(b":") }) { schemes(text) } else { None },
        if clues.any(const { Clues::these(b"(`[") }) { calls(text) } else { None },
        if clues.any(const { Clues::these(b".") }) { members(text) } else { None },
        if clues.all(const { Clues::these(b"[]+") }) { symbols(text) } else { None },
        if clues.any(const { Clues::these(b"@") }) { imports(text) } else { None },
    ])
}

/// Every `:`, as the end of the scheme of an address.
fn schemes(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b':').map(|(before, _, rest)| scheme(before, rest)))
}

fn scheme(before: &[u8], rest: &[u8]) -> Option<u8> {
    let last = before.last()?.to_ascii_lowercase();
    if matches!(last, b't' | b'a' | b'\t' | b'\n' | b'\r') {
        if before_ends(before, "javascript")
            || before_ends(before, "vbscript")
            || before_ends(before, "livescript")
        {
            let code = skip_space(rest);
            let is_close = code.len() == rest.len() && !code.is_empty();
            let is_code = head(code, MAX_CODE_BYTES)
                .iter()
                .any(|byte| matches!(byte, b'(' | b'`' | b'=' | b'[' | b'/'));
            return if is_close && is_code {
                Some(1)
            } else if is_close {
                Some(2)
            } else {
                Some(3)
            };
        }
        if before_ends(before, "data") {
            let kind = skip_space(rest);
            return if begins(kind, SCRIPTED_TYPES) {
                Some(1)
            } else {
                begins(kind, &["image/svg", ",", ";base64,"]).then_some(3)
            };
        }
    }
    // `-moz-binding:url(`, `behavior:url(`, `width:expression(`.
    let value = skip_space(rest);
    let name = word_before(skip_space_before(before));
    let is_bound =
        is_one_of(name, &["behavior", "behaviour", "binding"]) && begins(value, &["url("]);
    (is_bound || begins(value, &["expression("])).then_some(1)
}

/// Whether the text ends with the word, white space within it left out as browsers do.
fn before_ends(text: &[u8], scheme: &str) -> bool {
    let mut letters = scheme.bytes().rev().peekable();
    for byte in text.iter().rev().take(MAX_SCHEME_BYTES) {
        match letters.peek() {
            None => return !byte.is_ascii_alphanumeric(),
            Some(letter) if byte.eq_ignore_ascii_case(letter) => {
                letters.next();
            }
            Some(_) if *byte <= b' ' => {}
            Some(_) => return false,
        }
    }
    letters.peek().is_none()
}

/// Every `(`, `` ` `` and `[`, as the start of arguments or of the name of a member.
fn calls(text: &[u8]) -> Option<u8> {
    let is_mark = |byte| matches!(byte, b'(' | b'`' | b'[');
    least(marks(text, is_mark).map(|(before, mark, rest)| match mark {
        b'[' => member_by_name(before, rest),
        _ => call(before, mark, rest),
    }))
}

fn call(before: &[u8], mark: u8, rest: &[u8]) -> Option<u8> {
    // `alert?.(1)`, `(alert)(1)`, `window['alert'](1)`.
    let before = before.strip_suffix(b"?.").unwrap_or(before);
    let (before, is_wrapped) = match before {
        [before @ .., b')' | b']'] => {
            (before.strip_suffix(b"'").or(before.strip_suffix(b"\"")).unwrap_or(before), true)
        }
        _ => (before, false),
    };
    let name = word_before(before);
    if name.is_empty() {
        return None;
    }
    let argument = skip_space(rest);
    if is_one_of(name, SINKS) && (mark == b'`' || is_argument(argument) || is_wrapped) {
        return Some(1);
    }
    if is_one_of(name, SURE) && !is_wrapped {
        return Some(1);
    }
    // `[1].find(alert)`, `Reflect.apply(alert, …)`.
    let (first, then) = word(argument);
    let is_passed = is_one_of(first, &["alert", "confirm", "prompt", "eval"])
        && matches!(then.first(), Some(b')' | b','))
        && is_one_of(name, CALLERS);
    if is_passed {
        return Some(1);
    }
    if is_one_of(name, SINKS) {
        return match argument.first() {
            Some(b')') => Some(2),
            // `alert(s)`
            Some(_) if word(argument).0.len() <= 2 => None,
            _ => Some(3),
        };
    }
    None
}

/// What an attack calls its sink with: a number, a text, a global.
fn is_argument(argument: &[u8]) -> bool {
    let Some(first) = argument.first() else { return false };
    if *first == b'!' {
        return argument.get(1).is_some_and(|next| *next != b')' && *next != b' ');
    }
    if first.is_ascii_digit()
        || matches!(first, b'\'' | b'"' | b'`' | b'/' | b'\\' | b'[' | b'&' | b'-' | b'+')
    {
        return true;
    }
    let (name, rest) = word(argument);
    is_one_of(name, GLOBALS)
        || (name.len() > 2 && matches!(rest.first(), Some(b'.' | b'(' | b'[')))
        || is_one_of(
            name,
            &["XSS", "atob", "unescape", "origin", "domain", "cookie", "src", "name", "alt", "URL"],
        )
}

/// `window['al'+'ert']`, `top["alert"]`, `self[/*…*/`, `[]['constructor']`.
fn member_by_name(before: &[u8], rest: &[u8]) -> Option<u8> {
    let is_text = matches!(rest.first(), Some(b'\'' | b'"' | b'`' | b'/' | b'+'));
    if !is_text {
        return None;
    }
    if is_one_of(word_before(before), GLOBALS) {
        return Some(1);
    }
    begins(rest.get(1..)?, &["constructor", "filter'", "filter\"", "fill'"]).then_some(1)
}

/// Every `.` between letters, as the middle of a member of the page.
fn members(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'.').map(|(before, _, rest)| {
        let last = before.last()?;
        let next = rest.first()?;
        if !next.is_ascii_alphabetic() || !matches!(last, b'a'..=b'z' | b'A'..=b'Z' | b')' | b']') {
            return None;
        }
        let left = word_before(before);
        let (right, then) = word(rest);
        let is_member = MEMBERS.iter().any(|(of, names)| is(left, of) && begins(right, names));
        let is_html = is_one_of(right, &["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"])
            && matches!(skip_space(then).first(), Some(b'=' | b'('));
        (is_member || is_html).then_some(1)
    }))
}

/// A long run of nothing but the symbols that any script can be written with.
fn symbols(text: &[u8]) -> Option<u8> {
    let (mut run, mut signs) = (0_usize, 0_usize);
    for byte in text {
        match byte {
            b'[' | b']' | b'(' | b')' | b'!' | b'+' | b'{' | b'}' => {
                run += 1;
                signs += usize::from(matches!(byte, b'!' | b'+'));
            }
            _ => (run, signs) = (0, 0),
        }
        if run >= MIN_SYMBOLS && signs >= MIN_SIGNS {
            return Some(1);
        }
    }
    None
}

/// `@import` of a style sheet.
fn imports(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'@').map(|(_, _, rest)| {
        let address = skip_space(after(rest, "import")?);
        (begins(address, &["url(", "'", "\"", "http", "//", "javascript"])).then_some(1)
    }))
    .or_else(|| {
        // Only where the rest is a style sheet, too.
        contains(text, "@keyframes").then_some(3)
    })
}

/// Code comes soon after its scheme.
const MAX_CODE_BYTES: usize = 256;
/// A scheme with a control between any two letters.
const MAX_SCHEME_BYTES: usize = 32;
/// The shortest text that is written with symbols alone has more of them.
const MIN_SYMBOLS: usize = 16;
const MIN_SIGNS: usize = 4;

/// Types of content that browsers run.
const SCRIPTED_TYPES: &[&str] = &[
    "text/html",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/xhtml",
    "text/xml",
    "text/vbscript",
    "application/ecmascript",
];

/// Functions that show or run something.
const SINKS: &[&str] = &[
    "alert",
    "confirm",
    "prompt",
    "eval",
    "print",
    "setTimeout",
    "setInterval",
    "setImmediate",
    "fetch",
    "atob",
    "btoa",
    "unescape",
    "decodeURIComponent",
    "Function",
    "import",
    "write",
    "writeln",
    "open",
    "constructor",
    "execScript",
    "importScripts",
    "postMessage",
];

/// Functions whose name alone says it.
const SURE: &[&str] = &[
    "fromCharCode",
    "fromCodePoint",
    "execScript",
    "importScripts",
    "XMLHttpRequest",
    "getScript",
    "createElement",
    "sendBeacon",
    "ActiveXObject",
    "createContextualFragment",
    "setHTML",
];

/// Functions that call what they are given.
const CALLERS: &[&str] = &[
    "find",
    "map",
    "forEach",
    "filter",
    "some",
    "every",
    "apply",
    "call",
    "sort",
    "reduce",
    "setTimeout",
    "setInterval",
    "from",
    "then",
];

/// Globals of a page.
const GLOBALS: &[&str] = &[
    "window",
    "document",
    "self",
    "top",
    "parent",
    "this",
    "frames",
    "globalThis",
    "location",
    "String",
];

/// Members of globals, with the starts of their names.
const MEMBERS: &[(&str, &[&str])] = &[
    (
        "document",
        &[
            "cookie",
            "write",
            "location",
            "domain",
            "body",
            "URL",
            "documentURI",
            "referrer",
            "createElement",
            "getElement",
            "querySelector",
            "forms",
            "defaultView",
            "execCommand",
            "documentElement",
        ],
    ),
    (
        "window",
        &[
            "location",
            "name",
            "open",
            "onerror",
            "alert",
            "parent",
            "document",
            "eval",
            "top",
            "self",
            "localStorage",
            "opener",
            "event",
        ],
    ),
    ("location", &["hash", "href", "replace", "assign", "search", "protocol"]),
    ("localStorage", &["getItem", "setItem", "clear"]),
    ("sessionStorage", &["getItem", "setItem", "clear"]),
    ("navigator", &["sendBeacon", "credentials", "userAgent", "clipboard"]),
    ("String", &["fromCharCode", "fromCodePoint", "raw"]),
    ("top", &["location", "document", "alert"]),
    ("self", &["location", "alert", "document", "eval"]),
    ("parent", &["location", "document", "alert"]),
    ("this", &["document", "ownerDocument", "location"]),
    ("history", &["pushState", "replaceState"]),
    ("constructor", &["constructor"]),
    ("Reflect", &["apply", "get", "construct"]),
];
