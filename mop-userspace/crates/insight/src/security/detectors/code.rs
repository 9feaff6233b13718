//! Code of PHP, Node.js, Python, Ruby, Java and .NET that is meant to be evaluated: openings of
//! scripts, calls of functions that run something, and members that lead to them.

mod names;

use self::names::{BOUND_CALLS, GLOBALS, MEMBERS, MODULES, PACKAGES, SERVER_MEMBERS, SURE_CALLS};
use super::{
    Clues, Subject,
    letters::{
        begins, contains, head, is, is_one_of, is_word, least, marks, skip_space,
        skip_space_before, word, word_before,
    },
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, name, .. } = *subject;
    least([
        if clues.all(const { Clues::these(b"<?") }) || clues.all(const { Clues::these(b"<%") }) {
            openings(bytes)
        } else {
            None
        },
        if clues.any(const { Clues::these(b"({[") }) && clues.any(const { Clues::these(b"()%") }) {
            calls(bytes)
        } else {
            None
        },
        if clues.any(const { Clues::these(b".") }) { members(bytes) } else { None },
        if clues.any(const { Clues::these(b"$") }) { variables(bytes) } else { None },
        if clues.any(const { Clues::these(b";\n") }) { imports(bytes) } else { None },
        name.and_then(binding),
    ])
}

/// `<?php`, `<?=`, `<%eval`.
fn openings(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'<').map(|(_, _, rest)| {
        match rest {
            [b'?', code @ ..] => {
                let (statement, _) = word(skip_space(code));
                let is_short = code.first().is_some_and(|byte| *byte <= b' ')
                    && (is_one_of(statement, SURE_CALLS) || is_one_of(statement, SHORT_STATEMENTS));
                let is_php = is_short || begins(code, &["php", "="]);
                is_php.then_some(1)
            }
            [b'%', code @ ..] => begins(
                skip_space(code),
                &["eval", "execute", "Runtime", "response.write", "out.print", "@page"],
            )
            .then_some(1),
            _ => None,
        }
    }))
}

/// Every `(`, as the start of arguments, and `%x{`.
fn calls(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'(' | b'{' | b'[')).map(|(before, mark, rest)| {
        if before.ends_with(b"%x") {
            let is_begin = before.iter().rev().nth(2).is_none_or(|byte| !is_word(*byte));
            return (is_begin && !rest.is_empty()).then_some(1);
        }
        if mark != b'(' {
            return None;
        }
        let name = word_before(before);
        if name.len() < 3 {
            return None;
        }
        if is_one_of(name, SURE_CALLS) {
            return Some(1);
        }
        if !is_one_of(name, BOUND_CALLS) {
            return None;
        }
        let argument = skip_space(rest);
        let lead = before.get(..before.len() - name.len()).and_then(<[u8]>::last);
        let is_member = matches!(lead, Some(b'.' | b':' | b'@'));
        call(name, argument, is_member)
    }))
}

/// A call of a function whose name is also a word: its argument decides.
fn call(name: &[u8], argument: &[u8], is_member: bool) -> Option<u8> {
    if is(name, "require") || is(name, "import") {
        let module = argument
            .strip_prefix(b"'")
            .or(argument.strip_prefix(b"\""))
            .or(argument.strip_prefix(b"`"))?;
        let module = super::letters::after(module, "node:").unwrap_or(module);
        return Some(if is_one_of(word(module).0, MODULES) { 1 } else { 2 });
    }
    if is_one_of(name, PROSE_CALLS) {
        let (first, then) = word(argument);
        let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
        let is_text = matches!(argument.first(), Some(b'\'' | b'"'));
        let is_shown = is_one_of(first, &["md5", "true", "system"]);
        let is_called = is_shown || is_text || is_number && then.first() == Some(&b')');
        let is_sure = is_shown || is_member || is_one_of(name, &["sleep", "print", "chr"]);
        return is_called.then_some(if is_sure { 1 } else { 2 });
    }
    match argument.first()? {
        b'\'' | b'"' | b'`' | b'$' | b'@' | b'\\' => Some(1),
        b')' => Some(2),
        _ => {
            let (first, then) = word(argument);
            let is_code = matches!(then.first(), Some(b'(' | b'['))
                || first.len() > 2 && then.first() == Some(&b'.');
            is_code.then_some(1)
        }
    }
}

/// Every `.` and `:` between names, as the middle of a member: `process.mainModule`, `os.system`.
fn members(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'.').map(|(before, _, rest)| {
        let last = before.last()?;
        let next = rest.first()?;
        if !next.is_ascii_alphabetic() && *next != b'_' {
            return None;
        }
        // `'id'.execute()`, `''.__class__`.
        if matches!(last, b'\'' | b'"' | b')' | b']') {
            let (right, then) = word(rest);
            let is_run = is_one_of(
                right,
                &[
                    "execute",
                    "__class__",
                    "constructor",
                    "execSync",
                    "getRuntime",
                    "exec",
                    "spawnSync",
                    "spawn",
                ],
            );
            return (is_run
                && (then.first() == Some(&b'(')
                    || right.starts_with(b"__")
                    || right == b"constructor"))
                .then_some(1);
        }
        let left = word_before(before);
        if left.is_empty() {
            return None;
        }
        let (right, then) = word(rest);
        if MEMBERS.iter().any(|(of, names)| is(left, of) && begins(right, names)) {
            // In a text the next word follows, in code something is done with it.
            let is_told = matches!(then, [b' ', next, ..] if next.is_ascii_alphabetic())
                || matches!(then, [b',' | b'?' | b':', b' ', ..] | [b'%', b'2', b'0', ..]);
            return Some(if is_told { 2 } else { 1 });
        }
        let is_called = matches!(then.first(), Some(b'(' | b' ' | b'.'));
        let is_server =
            SERVER_MEMBERS.iter().any(|(of, names)| is(left, of) && is_one_of(right, names));
        if is_server && is_called {
            return Some(1);
        }
        let is_package = is(left, "java") || is(left, "class") || is(left, "javax");
        (is_package && begins(rest, PACKAGES)).then_some(1)
    }))
}

/// `$_GET[`, `$GLOBALS[`, `${phpinfo()}`.
fn variables(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'$').map(|(_, _, rest)| {
        let (name, then) = word(rest);
        (is_one_of(name, GLOBALS) && matches!(then.first(), Some(b'[' | b'{'))).then_some(1)
    }))
}

/// `import os;`, `import subprocess\n`, `require 'open3';`.
fn imports(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b';' | b'\n')).map(|(before, _, _)| {
        let module = word_before(skip_space_before(before));
        if !is_one_of(module, &["os", "sys", "subprocess", "socket", "pty", "commands"]) {
            return None;
        }
        let before = before.get(..before.len().saturating_sub(module.len()))?;
        is(word_before(skip_space_before(before)), "import").then_some(1)
    }))
}

/// A parameter that is bound to the class loader: `class.module.classLoader.resources`.
fn binding(name: &str) -> Option<u8> {
    let name = head(name.as_bytes(), MAX_NAME_BYTES);
    (begins(name, &["class.", "class["]) && contains(name, "classLoader")).then_some(1)
}

/// Statements after a short opening of PHP.
const SHORT_STATEMENTS: &[&str] = &["system", "exec", "eval", "echo", "include", "require"];

/// Functions that prose has before a parenthesis.
const PROSE_CALLS: &[&str] = &["sleep", "chr", "while", "print", "die"];

/// `class.module.classLoader.resources.context.parent.pipeline.first.pattern`
const MAX_NAME_BYTES: usize = 96;

#[cfg(test)]
mod tests;
