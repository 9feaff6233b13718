//! Template injection, read as template engines read: an opening mark, an expression, a closing
//! mark. A name alone is what templates are ordinarily filled in by; sums, calls and reflection
//! are not.

mod expression;

use super::{
    Clues, Subject,
    letters::{
        begins, contains, head, is, is_one_of, is_word, least, marks, skip_space,
        skip_space_before, word, word_before,
    },
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, .. } = *subject;
    least([
        if clues.any(const { Clues::these(b"{") }) { braces(bytes) } else { None },
        if clues.all(const { Clues::these(b"<%") }) || clues.all(const { Clues::these(b"<#") }) {
            angles(bytes)
        } else {
            None
        },
        if clues.any(BRACKETS) && clues.any(const { Clues::these(b"(") }) {
            functions(bytes)
        } else {
            None
        },
        if clues.all(const { Clues::these(b"[%") }) || clues.all(const { Clues::these(b"[=") }) {
            squares(bytes)
        } else {
            None
        },
        if clues.any(const { Clues::these(b"_") }) { reflection(bytes) } else { None },
    ])
}

/// `{{…}}`, `${…}`, `#{…}`, `*{…}`, `@{…}`, `~{…}`, `%{…}`, `{%…%}`, `{!!…!!}`, `{…}`.
fn braces(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'{').map(|(before, _, rest)| {
        if begins(rest, &["{<%", "% debug %}"]) {
            return Some(1);
        }
        match rest {
            // Read at the inner one.
            [b'{', ..] => return None,
            [b'%', statement @ ..] => return block(statement),
            [b'#', comment @ ..]
                if !matches!(before.last(), Some(b'{' | b'$' | b'%' | b'*' | b'#')) =>
            {
                return contains(head(comment, MAX_BODY_BYTES), "#}").then_some(3);
            }
            _ => {}
        }
        let (body, is_closed) = body(rest.strip_prefix(b"!!").unwrap_or(rest), b'}');
        let body = skip_space_before(body.strip_suffix(b"!!").unwrap_or(body));
        let level = match before.last() {
            Some(b'{' | b'$' | b'#' | b'*' | b'%' | b'~') => expression::level(body),
            Some(b'@') => expression::level(body).filter(|level| *level <= 2),
            _ => bare(body, is_closed),
        };
        // Without its end it is no expression, though it may be meant as one.
        level.map(|level| if is_closed || level > 2 { level } else { level + 1 })
    }))
}

/// What stands between single braces: tags of Smarty, and sums.
fn bare(body: &[u8], is_closed: bool) -> Option<u8> {
    let is_tag = is_one_of(body, &["php", "/php", "literal"])
        || begins(
            body,
            &[
                "$smarty.",
                "Smarty_Internal",
                "self::",
                "math equation",
                "include file=",
                "fetch file=",
            ],
        );
    if is_tag && is_closed {
        return Some(1);
    }
    // JSON and lists are in single braces, too.
    (is_closed && (expression::is_product(body) || expression::is_call(body))).then_some(1)
}

/// `{% … %}` of Jinja2, Twig, Liquid, Django.
fn block(statement: &[u8]) -> Option<u8> {
    let statement = statement.strip_prefix(b"-").unwrap_or(statement);
    let inner = skip_space(statement);
    let (keyword, _) = word(inner);
    let window = head(inner, MAX_BODY_BYTES);
    (is_one_of(keyword, STATEMENTS) && contains(window, "%}")).then_some(1)
}

/// `<%= … %>` of ERB, EJS, JSP and ASP; `<#assign …>` of FreeMarker.
fn angles(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'<').map(|(_, _, rest)| match rest {
        [b'%', b'@', ..] => Some(1),
        [b'%', inner @ ..] => {
            let inner = match inner {
                [b'=' | b'-' | b'#' | b'!', inner @ ..] => inner,
                _ => inner,
            };
            let (body, is_closed) = body(inner, b'%');
            let level = expression::level(body)?.min(2);
            Some(if is_closed { level } else { level + 1 })
        }
        [b'#', inner @ ..] => is_one_of(word(inner).0, DIRECTIVES).then_some(1),
        _ => None,
    }))
}

/// `[%…%]`, `[=…]`.
fn squares(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'[').map(|(_, _, rest)| match rest {
        [b'%', inner @ ..] => {
            let (body, is_closed) = body(inner, b'%');
            expression::level(body).filter(|level| *level == 1 && is_closed)
        }
        [b'=', inner @ ..] => {
            let (body, is_closed) = body(inner, b']');
            (is_closed && expression::is_product(body)).then_some(1)
        }
        _ => None,
    }))
}

/// `@(…)`, `#set($…)`, `T(java.lang…)`, `.getClass()`, `@System.`.
fn functions(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'(').map(|(before, _, rest)| {
        if before.last() == Some(&b'@') {
            let (body, is_closed) = body(rest, b')');
            return (is_closed && expression::level(body) == Some(1)).then_some(1);
        }
        let named = skip_space_before(before);
        let name = word_before(named);
        let lead = named.get(..named.len() - name.len()).and_then(<[u8]>::last);
        let argument = skip_space(rest);
        match lead {
            Some(b'#') if is_one_of(name, VELOCITY) => {
                let is_code = matches!(argument.first(), Some(b'$' | b'"' | b'\''));
                is_code.then_some(1)
            }
            Some(b'.') if is_one_of(name, REFLECTION) => Some(1),
            Some(b'.') if is(name, "inspect") => {
                begins(argument, &["\"java", "'java"]).then_some(1)
            }
            // Twig, with what stands before a filter.
            Some(b'|') if is_one_of(name, &["map", "filter", "sort", "reduce", "attr"]) => {
                matches!(argument.first(), Some(b'\'' | b'"')).then_some(1)
            }
            _ if is(name, "T") => begins(argument, &["java", "org.", "com.", "javax"]).then_some(1),
            Some(b'?') if is_one_of(name, &["new", "eval", "interpret"]) => Some(1),
            _ => razor(named),
        }
    }))
}

/// `@System.Diagnostics.Process.Start(`, `@Html.Raw(`.
fn razor(named: &[u8]) -> Option<u8> {
    let path = named.iter().rev().take(MAX_PATH_BYTES);
    let length = path.take_while(|byte| is_word(**byte) || **byte == b'.').count();
    let (before, path) = named.split_at_checked(named.len() - length)?;
    (before.last() == Some(&b'@') && begins(path, &["System.", "Html.Raw", "java."])).then_some(1)
}

/// Names of Python that lead from any object to all others.
fn reflection(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'_').map(|(before, _, rest)| {
        let name = rest.strip_prefix(b"_")?;
        let begins_here = before.last().is_none_or(|byte| !is_word(*byte));
        if !begins_here || !begins(name, DUNDERS) {
            return None;
        }
        // Something has it, and something is done with it.
        let (_, then) = word(name);
        let is_member = before.last().is_some_and(|byte| b".'\"[(|,{".contains(byte));
        let is_used = then.first().is_none_or(|byte| b".([])'\"|}".contains(byte));
        Some(if is_member || is_used { 1 } else { 2 })
    }))
}

/// What stands before the closing mark, and whether there is one.
fn body(text: &[u8], close: u8) -> (&[u8], bool) {
    let window = head(text, MAX_BODY_BYTES);
    let end = window.iter().position(|byte| *byte == close);
    // A method's body or a map may have braces of its own; the start of it says enough.
    let body = end.and_then(|end| window.get(..end)).unwrap_or(window);
    (skip_space_before(skip_space(body)), end.is_some())
}

const BRACKETS: Clues = Clues::these(b"@#.|?T:");

/// An expression beyond this is cut.
const MAX_BODY_BYTES: usize = 192;
/// `System.Diagnostics.Process.Start`
const MAX_PATH_BYTES: usize = 64;

const STATEMENTS: &[&str] = &[
    "for",
    "if",
    "set",
    "import",
    "include",
    "debug",
    "extends",
    "with",
    "macro",
    "load",
    "block",
    "from",
    "call",
    "filter",
    "raw",
    "autoescape",
    "print",
    "do",
    "module",
    "assign",
    "evaluate",
];

const DIRECTIVES: &[&str] = &[
    "assign", "list", "if", "include", "import", "macro", "function", "attempt", "global",
    "setting", "local",
];

const VELOCITY: &[&str] =
    &["set", "foreach", "if", "include", "parse", "evaluate", "macro", "define"];

const REFLECTION: &[&str] = &[
    "getClass",
    "forName",
    "getRuntime",
    "getMethod",
    "getDeclaredMethod",
    "newInstance",
    "getConstructor",
    "getClassLoader",
    "getProtectionDomain",
    "getDeclaredConstructors",
];

const DUNDERS: &[&str] = &[
    "class__",
    "mro__",
    "base__",
    "bases__",
    "subclasses__",
    "globals__",
    "builtins__",
    "import__",
    "init__",
    "getitem__",
    "getattribute__",
    "dict__",
    "self__",
    "code__",
    "reduce__",
    "loader__",
    "${",
];

#[cfg(test)]
mod tests;
