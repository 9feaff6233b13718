//! What an expression of a template does.

use super::{begins, is_one_of, is_word, marks, skip_space, skip_space_before, word, word_before};

/// 1 for sums, calls of what is dangerous and reflection; 2 for other calls and texts; 3 for a name.
pub(super) fn level(body: &[u8]) -> Option<u8> {
    let body = body.strip_prefix(b"=").unwrap_or(body);
    let body = skip_space(body.strip_prefix(b"-").unwrap_or(body));
    if body.is_empty() {
        return None;
    }
    if is_sum(body) || is_dangerous_call(body) || is_object(body) || is_text_with_member(body) {
        return Some(1);
    }
    let has = |byte: u8| body.contains(&byte);
    if has(b'(') || has(b'"') || has(b'\'') || has(b'`') || is_one_of(body, INTERNALS) {
        return Some(2);
    }
    Some(3)
}

/// Two numbers or texts with an operator between: `7*7`, `7*'7'`, `1 + 1`.
fn is_sum(body: &[u8]) -> bool {
    operators(body, |byte| matches!(byte, b'*' | b'+' | b'/' | b'-' | b'%' | b'^'))
}

/// The same of products, and nothing else in it.
pub(super) fn is_product(body: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'*' | b' ' | b'\'' | b'"');
    body.iter().all(is_plain) && operators(body, |byte| byte == b'*')
}

fn operators(body: &[u8], is_operator: impl Fn(u8) -> bool) -> bool {
    let is_value = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'\'' | b'"' | b'(' | b')'))
    };
    // `2026-11-24` and `10/10` are dates.
    let mut found = marks(body, is_operator).filter(|(before, _, after)| {
        is_value(skip_space_before(before).last())
            && is_value(skip_space(after.strip_prefix(b"*").unwrap_or(after)).first())
    });
    found.next().is_some_and(|(before, mark, after)| {
        let is_number = |byte: &u8| byte.is_ascii_digit();
        let is_date = matches!(mark, b'-' | b'/')
            && (before.len() >= 4 || after.len() >= 4)
            && body.iter().filter(|byte| is_number(byte)).count() >= 6
            && !body.contains(&b'*');
        !is_date
    })
}

/// A function that no template is filled in by.
pub(super) fn is_dangerous_call(body: &[u8]) -> bool {
    marks(body, |byte| matches!(byte, b'(' | b'[' | b'`')).any(|(before, mark, after)| {
        if mark == b'`' {
            let begins_text = before.last().is_none_or(|byte| !is_word(*byte));
            return begins_text && after.contains(&b'`');
        }
        let name = word_before(skip_space_before(before));
        if is_one_of(name, CALLS) {
            return true;
        }
        let argument = skip_space(after);
        let is_text = matches!(argument.first(), Some(b'\'' | b'"'));
        let inner = argument.get(1..).unwrap_or_default();
        let is_program = begins(inner, PROGRAMS);
        (is_text && is_program)
            || (mark == b'(' && begins(argument, &["#_", "#context", "#rt", "#dm", "#cmd"]))
    }) || SIGNS.iter().any(|sign| {
        marks(body, |byte| sign.as_bytes().first() == Some(&byte))
            .any(|(_, _, after)| begins(after, &[sign.get(1..).unwrap_or_default()]))
    })
}

/// A tag that is nothing but a call of what is dangerous.
pub(super) fn is_call(body: &[u8]) -> bool {
    let (name, then) = word(body);
    then.first() == Some(&b'(') && is_one_of(name, CALLS)
}

/// An object of an engine, and something of it: `config.items`, `self._TemplateReference`.
fn is_object(body: &[u8]) -> bool {
    let (name, then) = word(body);
    let has_member = matches!(skip_space(then).first(), Some(b'.' | b'[' | b'|'));
    if has_member && is_one_of(name, OBJECTS) {
        return true;
    }
    let is_braced = is_one_of(name, REQUESTS)
        && then
            .strip_prefix(b".")
            .or(then.strip_prefix(b"["))
            .is_some_and(|member| begins(skip_space(member), MEMBERS));
    is_braced || is_one_of(name, &["lipsum", "cycler", "joiner"])
}

/// `'a'.toUpperCase`, `"a".getClass`, `''.class`, `[].class`, `().class`, `'x'|upper`.
fn is_text_with_member(body: &[u8]) -> bool {
    let closes = |byte: Option<&u8>| matches!(byte, Some(b'\'' | b'"' | b']' | b')'));
    let is_literal = matches!(body.first(), Some(b'\'' | b'"' | b'[' | b'('));
    is_literal
        && marks(body, |byte| matches!(byte, b'.' | b'|')).any(|(before, _, after)| {
            closes(before.last()) && skip_space(after).first().is_some_and(|byte| is_word(*byte))
        })
        || begins(body, &["#with \""])
}

/// Objects of engines that no text is filled in from.
const OBJECTS: &[&str] = &[
    "config",
    "self",
    "_self",
    "cycler",
    "joiner",
    "lipsum",
    "namespace",
    "global",
    "url_for",
    "get_flashed_messages",
    "_context",
    "smarty",
    "Runtime",
    "System",
    "Dir",
    "File",
    "IO",
    "Kernel",
];

const REQUESTS: &[&str] =
    &["request", "session", "application", "app", "g", "pageContext", "param", "settings"];

/// The same, alone.
const INTERNALS: &[&str] = &[
    "config", "self", "_self", "settings", "process", "global", "this", "_context", "app", ".",
    "request", "env",
];

const CALLS: &[&str] = &[
    "system",
    "exec",
    "eval",
    "popen",
    "passthru",
    "shell_exec",
    "phpinfo",
    "getRuntime",
    "forName",
    "getClass",
    "require",
    "constructor",
    "spawn",
    "execSync",
    "spawnSync",
    "attr",
    "range",
    "dump",
    "file_get_contents",
    "readlines",
    "read_file",
    "open",
    "lipsum",
    "cycler",
    "mro",
    "subclasses",
    "getattr",
    "assert",
    "print",
    "println",
    "var_dump",
    "sleep",
    "write",
    "file_excerpt",
    "getResource",
    "getenv",
    "getProperty",
    "alert",
    "newInstance",
    "include",
    "fetch",
    "lookupMethod",
    "template",
];

/// Members of requests that lead elsewhere.
const MEMBERS: &[&str] = &[
    "application",
    "__",
    "args",
    "environ",
    "cookies",
    "headers",
    "getClass",
    "class",
    "server",
    "SECRET",
    "'",
    "\"",
    "getSession",
    "session.",
    "query",
    "request.",
];

/// Texts that are given to filters and functions to be run.
const PROGRAMS: &[&str] = &[
    "system'", "system\"", "exec'", "passthru", "popen", "id'", "id\"", "cat /", "/etc/", "java.",
    "__", "os'", "os\"", "require", "return",
];

/// What leads from an expression to the language that the engine is written in.
const SIGNS: &[&str] = &[
    "T(java",
    "new java",
    "@java",
    "#_member",
    "#context",
    "#request",
    "#session.",
    "#application",
    "freemarker.",
    "java.lang",
    "__${",
    "import os",
    "import java",
    "require ",
    "?api",
    "?new",
    "::new",
    "%x",
    "#set",
];
