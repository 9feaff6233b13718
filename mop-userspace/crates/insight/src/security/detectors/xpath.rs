//! XPath and XQuery: predicates that are left, paths, axes and functions that only they have.

use super::{
    Clues, Subject,
    reading::{contains, head, is_one_of, occurrences, strip, word},
    sql,
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place: _, name: _, steps: _, clues } = subject;
    if !clues.any(NEEDED) {
        return None;
    }
    let is_called = clues.any(CALL) && calls(bytes);
    let is_sure = is_called
        || (clues.any(LEFT) && is_left(bytes))
        || (clues.any(QUOTE) && sql::has_condition(bytes))
        || (clues.all(AXIS) && axes(bytes))
        || (clues.any(PATH) && paths(bytes));
    is_sure.then_some(1)
}

/// Functions of XPath, or functions of others on paths.
fn calls(bytes: &[u8]) -> bool {
    occurrences(bytes, b"(").any(|(before, inside)| {
        let start = before.iter().rev().take(MAX_NAME);
        let length = start.take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-').count();
        let (before, name) = before.split_at_checked(before.len() - length).unwrap_or_default();
        if name.is_empty() {
            return false;
        }
        let before = before.trim_ascii_end();
        let inside = inside.trim_ascii_start();
        if is_one_of(name, FUNCTIONS) {
            return true;
        }
        if is_one_of(name, OF_CONDITIONS) && is_joined(before) {
            return true;
        }
        let is_path = matches!(inside, [b'/', ..] | [b'.', b'.', ..] | [b'@', b'*', ..])
            && !is_comment(inside);
        if is_one_of(name, OF_NODES) {
            let is_of_name = ["name(", "local-name(", "(/", "//"]
                .iter()
                .any(|start| strip(inside, start.as_bytes()).is_some());
            return is_path || is_of_name;
        }
        let is_empty = inside.first() == Some(&b')');
        if is_one_of(name, TESTS) && is_empty {
            return matches!(before.last(), Some(b'/' | b':' | b'|'));
        }
        if is_one_of(name, &[b"position", b"last"]) && is_empty {
            let after = inside.get(1..).unwrap_or_default().trim_ascii_start();
            let is_predicate = before.last() == Some(&b'[')
                || before.ends_with(b" or")
                || before.ends_with(b" and")
                || before.ends_with(b"=");
            let is_compared = matches!(after.first(), Some(b'=' | b'<' | b'>' | b']'));
            return is_predicate || (name == b"position" && is_compared);
        }
        if is_one_of(name, &[b"doc", b"document", b"collection"]) {
            if strip(inside, b"concat(").is_some() {
                return true;
            }
            let is_text = matches!(inside.first(), Some(b'\'' | b'"'));
            return is_text
                && (contains(head(inside), b"://")
                    || contains(head(inside), b".xml")
                    || contains(head(inside), b")/"));
        }
        false
    })
}

/// Whether `or` or `and` is last, and a quote stands before it.
fn is_joined(before: &[u8]) -> bool {
    let is_joined = |join: &[u8]| {
        let (start, end) = before.split_at_checked(before.len().saturating_sub(join.len()))?;
        let is_last = end.eq_ignore_ascii_case(join);
        let start = start.trim_ascii_end();
        let start = start.strip_suffix(b")").unwrap_or(start).trim_ascii_end();
        let is_quoted = matches!(start.last(), Some(b'\'' | b'"'));
        Some(is_last && is_quoted)
    };
    [b"or".as_slice(), b"and"].into_iter().any(|join| is_joined(join) == Some(true))
}

/// `'] | //user`, `' or 1]`
fn is_left(bytes: &[u8]) -> bool {
    let (mut depth, mut counted) = (0_usize, 0);
    occurrences(bytes, b"]").any(|(before, after)| {
        let opened = before.iter().skip(counted).filter(|byte| **byte == b'[').count();
        depth += opened;
        counted = before.len();
        let is_opened = depth > 0;
        depth = depth.saturating_sub(1);
        let before = before.trim_ascii_end();
        let before = match before {
            [start @ .., b')'] => start.trim_ascii_end(),
            _ => before,
        };
        let after = after.trim_ascii_start();
        let is_quoted = matches!(before.last(), Some(b'\'' | b'"'));
        match after {
            [b'|', rest @ ..] => {
                is_quoted
                    && !is_opened
                    && matches!(rest.trim_ascii_start(), [b'/' | b'a'..=b'z' | b'*' | b'.', ..])
            }
            [b'/', next, ..] => {
                is_quoted
                    && !matches!(next, b'*' | b'>')
                    && !next.is_ascii_whitespace()
                    && !is_opened
            }
            [0, ..] => true,
            [b'o' | b'a' | b'O' | b'A', ..] => {
                let (join, rest) = word(after, b"");
                is_quoted
                    && is_one_of(join, &[b"or", b"and"])
                    && head(rest).contains(&b'=')
                    && !is_opened
            }
            _ => false,
        }
    })
}

/// `ancestor::node()`, `/child::*`
fn axes(bytes: &[u8]) -> bool {
    occurrences(bytes, b"::").any(|(before, after)| {
        let start = before.iter().rev().take(MAX_NAME);
        let length = start.take_while(|byte| byte.is_ascii_lowercase() || **byte == b'-').count();
        let (before, axis) = before.split_at_checked(before.len() - length).unwrap_or_default();
        let is_test = matches!(after.first(), Some(b'*' | b'a'..=b'z' | b'A'..=b'Z' | b'_'));
        let is_path = matches!(before.last(), Some(b'/' | b'[' | b'(' | b'@' | b'|'));
        let (test, rest) = word(after, b"-_");
        let is_node =
            after.first() == Some(&b'*') || (is_one_of(test, TESTS) && rest.first() == Some(&b'('));
        is_test
            && (is_one_of(axis, AXES)
                || (is_one_of(axis, WORD_AXES)
                    && (is_node
                        || before.last() == Some(&b'/')
                        || (is_path && rest.first() == Some(&b'[')))))
    })
}

/// `//*`, `//user[…]`, `//user/text()`
fn paths(bytes: &[u8]) -> bool {
    occurrences(bytes, b"//").any(|(before, after)| {
        // Addresses and comments have two slashes as well.
        let is_path = !matches!(before.last(), Some(b':' | b'/'));
        if !is_path {
            return false;
        }
        match after {
            [b'*', rest @ ..] => {
                let is_united = before.trim_ascii_end().last() == Some(&b'|');
                is_united
                    || matches!(rest.first(), None | Some(b'[' | b')' | b'|' | b']'))
                        && !before.last().is_some_and(u8::is_ascii_alphanumeric)
            }
            [b'@', rest @ ..] => rest.first().is_some_and(|byte| *byte == b'*'),
            _ => {
                let (name, rest) = word(after, b"-_.:");
                let is_joined = {
                    let before = before.trim_ascii_end();
                    before.ends_with(b"|") && !before.ends_with(b"||")
                };
                let is_predicate = match rest {
                    [b'[', b'@' | b'0'..=b'9' | b'.', ..] => true,
                    [b'[', inside @ ..] => {
                        let (_, rest) = word(inside, b"-_:");
                        matches!(rest.trim_ascii_start(), [b'=' | b'(', ..])
                    }
                    [b'/', b'@', ..] => true,
                    _ => false,
                };
                !name.is_empty() && (is_predicate || is_joined)
            }
        }
    })
}

fn is_comment(inside: &[u8]) -> bool {
    match inside {
        [b'/', b'*', rest @ ..] => !matches!(rest, [] | [b')' | b'[' | b'/' | b'|' | b',', ..]),
        _ => inside.starts_with(b"// "),
    }
}

const NEEDED: Clues = Clues::these(b"('\":/]");
const AXIS: Clues = Clues::these(b":");
const CALL: Clues = Clues::these(b"(");
const PATH: Clues = Clues::these(b"/");
const LEFT: Clues = Clues::these(b"]");
const QUOTE: Clues = Clues::these(b"'\"");

/// No function or axis has a longer name.
const MAX_NAME: usize = 24;

/// Names that hardly any other language has.
const FUNCTIONS: &[&[u8]] = &[
    b"codepoints-to-string",
    b"doc-available",
    b"generate-id",
    b"local-name",
    b"namespace-uri",
    b"normalize-space",
    b"starts-with",
    b"string-length",
    b"string-to-codepoints",
    b"substring-after",
    b"substring-before",
    b"system-property",
    b"unparsed-text",
];

/// Functions that others have, too.
const OF_NODES: &[&[u8]] = &[
    b"boolean",
    b"contains",
    b"count",
    b"exists",
    b"name",
    b"not",
    b"number",
    b"string",
    b"substring",
    b"sum",
    b"upper-case",
    b"lower-case",
    b"concat",
    b"translate",
];

/// Functions that are true or false, or are compared.
const OF_CONDITIONS: &[&[u8]] = &[
    b"contains",
    b"count",
    b"ends-with",
    b"false",
    b"last",
    b"matches",
    b"name",
    b"not",
    b"number",
    b"position",
    b"string",
    b"true",
];

const TESTS: &[&[u8]] = &[b"comment", b"node", b"processing-instruction", b"text"];

const AXES: &[&[u8]] = &[
    b"ancestor",
    b"ancestor-or-self",
    b"descendant",
    b"descendant-or-self",
    b"following-sibling",
    b"preceding-sibling",
    b"preceding",
];

/// Axes that are words of programs.
const WORD_AXES: &[&[u8]] =
    &[b"attribute", b"child", b"following", b"namespace", b"parent", b"self"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::security::{
        detectors::{Detector, trial},
        normalise::part::Place,
    };

    fn level(value: &[u8]) -> Option<u8> {
        trial::level_as_it_is(Detector::XpathInjection, Place::QueryValue, value)
    }

    #[test]
    fn attacks_are_sure() {
        let missed: Vec<_> = [
            "' or '1'='1",
            "' or ''='",
            "\" or \"1\"=\"1",
            "x' or 1=1 or 'x'='y",
            "' or true() or '",
            "' and count(/*)=1 and '1'='1",
            "count(//*)",
            "count(/child::node())",
            "' and string-length(name(/*[1]))=5 and '1'='1",
            "string-length(//user[1]/name)",
            "substring(name(/*[1]),1,1)",
            "substring(//user[1]/password,1,1)='a'",
            "']|//*|a['",
            "'] | //user",
            "\"]|//*[\"1\"=\"1",
            "')] | //user/*[contains(*,'",
            "' or 1=1]\0",
            "x'] | //password | //x['",
            "//*",
            "//user[name='a']",
            "//user[@id='1']",
            "//user[1]",
            "/*/child::node()",
            "x or position()=1",
            "' or position()=2 or '",
            "//user[position()=1]/text()",
            "/user/text()",
            "ancestor::node()",
            "' or ancestor::* or '",
            "../following-sibling::user",
            "descendant-or-self::x",
            "self::node()",
            "doc('http://a.example/x.xml')",
            "' and doc-available('file:///etc/passwd')",
            "document(\"http://a.example/\")",
            "unparsed-text('/etc/passwd')",
            "local-name(/*)",
            "normalize-space(x)",
            "' or starts-with(name,'a') or '",
            "' or contains(name,'adm') or '",
            "name(..)",
            "string-to-codepoints('a')",
        ]
        .into_iter()
        .filter(|value| level(value.as_bytes()) != Some(1))
        .collect();
        assert!(missed.is_empty(), "{missed:#?}");
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        let hits: Vec<_> = [
            "D'Ávila",
            "'yes' or 'no'",
            "the drivers' or owners' cars",
            "https://example.com/a//b",
            "https://example.com/*",
            "http://*.example.com",
            "src//*.java",
            "// a comment",
            "a || b // comment",
            "a | b // comment",
            "//example.com/path",
            "//server/share/x[1].txt",
            "std::vector<int>",
            "Self::name()",
            "parent::__construct()",
            "self::CONSTANT",
            "crate::module::function()",
            "count(x)",
            "count (all)",
            "$(this).text()",
            "items.last()",
            "node (x)",
            "name(s)",
            "doc(s) attached",
            "The child (a boy) and parent",
            "[1, 2, 3]",
            "[\"a\", \"b\"]",
            "{\"a\": [\"b\"]}",
            "a['b']",
            "a['b']['c']",
            "/[\"incendio\",\"roubo\",\"residencial\"]/x",
            "[\"a\"] / [\"b\"]",
            "2001:db8::1",
            "fe80::a",
            "10:30::",
            "Cobertura: (a) incêndio",
            "*/*",
            "text/html, */*;q=0.8",
            "a/b/c",
            "string (text)",
            "substring(a, 1, 2)",
        ]
        .into_iter()
        .filter(|value| level(value.as_bytes()).is_some())
        .collect();
        assert!(hits.is_empty(), "{hits:#?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes);
        }
    }
}
