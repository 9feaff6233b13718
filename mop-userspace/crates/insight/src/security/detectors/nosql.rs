//! Document stores: operators where the name of a member or a parameter is expected, and JavaScript
//! that leaves its text.

use super::{
    super::normalise::part::Place,
    Clues, Subject,
    reading::{after, contains, is_one_of, occurrences, strip, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place, name: _, steps: _, clues } = subject;
    let mut least = None;
    if clues.any(DOLLAR) {
        least = operators(bytes, *place);
    }
    if least.is_none() && clues.any(SCRIPT) {
        least = script(bytes, *clues);
    }
    least
}

/// `$ne` as a name, `name[$ne]`, `{"$ne": …}`
fn operators(bytes: &[u8], place: Place) -> Option<u8> {
    let is_name = matches!(
        place,
        Place::CookieName
            | Place::FormName
            | Place::HeaderName
            | Place::JsonName
            | Place::MultipartName
            | Place::QueryName
    );
    occurrences(bytes, b"$")
        .filter_map(|(before, rest)| {
            let (operator, rest) = word(rest, b"");
            if !is_one_of(operator, OPERATORS) {
                return None;
            }
            let before = before.trim_ascii_end();
            let before = match before {
                [start @ .., b'"' | b'\''] => start.trim_ascii_end(),
                _ => before,
            };
            let rest = rest.trim_ascii_start();
            let (rest, is_quoted) = match rest {
                [b'"' | b'\'', rest @ ..] => (rest.trim_ascii_start(), true),
                _ => (rest, false),
            };
            match (before.last(), rest.first()) {
                (None, None) if is_name => Some(1),
                (Some(b'['), Some(b']')) => Some(1),
                (Some(b'.'), None) if is_name => Some(1),
                (Some(b'{' | b','), Some(b':')) => Some(1),
                (None, Some(b':')) => {
                    let is_sure = is_quoted || operator.eq_ignore_ascii_case(b"where");
                    Some(if is_sure { 1 } else { 2 })
                }
                (None, None) => Some(2),
                _ => None,
            }
        })
        .min()
}

/// Code in the text of `$where`, or behind it.
fn script(bytes: &[u8], clues: Clues) -> Option<u8> {
    if clues.all(CALL) && is_called(bytes) {
        return Some(1);
    }
    broken(bytes, clues).filter_map(told).min()
}

/// Calls of the shell, and of what a document is matched with.
fn is_called(bytes: &[u8]) -> bool {
    // `db.` and `this.`
    let has_receiver =
        bytes.windows(2).any(|pair| matches!(pair, [b'b' | b'B' | b's' | b'S', b'.']));
    if !has_receiver && !contains(bytes, b"(this") {
        return false;
    }
    let is_of_shell = occurrences(bytes, b"db.").any(|(before, rest)| {
        let (first, rest) = word(rest, b"_");
        let is_start =
            !before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
        let (called, rest) = match rest {
            [b'.', rest @ ..] => word(rest, b""),
            _ => (first, rest),
        };
        is_start && rest.first() == Some(&b'(') && is_one_of(called, SHELL)
    });
    let is_of_document = occurrences(bytes, b"this.").any(|(before, rest)| {
        let (_, rest) = word(rest, b"_");
        let is_matched = strip(rest, b".match(").is_some();
        let is_inside = before.ends_with(b"Object.keys(") || before.ends_with(b"tojson(");
        is_matched || is_inside
    });
    let is_whole = contains(bytes, b"object.keys(this)") || contains(bytes, b"tojson(this");
    is_of_shell || is_of_document || is_whole
}

/// What follows where a text or a number of the application may end.
fn broken(bytes: &[u8], clues: Clues) -> impl Iterator<Item = &[u8]> {
    let quotes = if clues.any(QUOTES) { b"'\"".as_slice() } else { &[] };
    let quoted = quotes.iter().filter_map(|quote| {
        let at = bytes.iter().position(|byte| byte == quote)?;
        let rest = bytes.get(at + 1..)?.trim_ascii_start();
        matches!(rest, [b';' | b'|' | b'&' | b'}' | b')', ..]).then_some(rest)
    });
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = bytes.get(digits..).map(<[u8]>::trim_ascii_start);
    quoted.chain(number.filter(|rest| matches!(rest, [b';' | b'|' | b'&' | b'}', ..])))
}

/// What the code behind a break says.
fn told(rest: &[u8]) -> Option<u8> {
    let code = rest.iter().take_while(|byte| b";|&}) \t\r\n".contains(byte)).count();
    let joins = rest.get(..code).unwrap_or_default();
    let code = rest.get(code..).unwrap_or_default();
    let is_joined = joins.windows(2).any(|pair| pair == b"||" || pair == b"&&");
    let is_statement = joins.contains(&b';') || joins.contains(&b'}');
    if !is_joined && !is_statement {
        return None;
    }
    let (first, next) = word(code, b"_");
    let next = next.trim_ascii_start();
    let is_called = next.first() == Some(&b'(');
    if is_called && is_one_of(first, &[b"sleep", b"while", b"for", b"emit", b"function", b"throw"])
    {
        return Some(1);
    }
    if first.eq_ignore_ascii_case(b"this") && next.first() == Some(&b'.') {
        return Some(1);
    }
    if is_statement && is_one_of(first, &[b"return", b"throw", b"do"]) {
        let is_code = matches!(next, [b'(' | b'{' | b'!' | b'\'' | b'"' | b'0'..=b'9', ..])
            || is_one_of(word(next, b"").0, &[b"true", b"this"]);
        return Some(if is_code { 1 } else { 2 });
    }
    if is_statement && contains(code, b"while(") && contains(code, b"do{") {
        return Some(1);
    }
    if is_statement && is_one_of(first, &[b"var", b"let"]) && next.contains(&b'=') {
        return Some(2);
    }
    if !is_joined {
        return None;
    }
    let is_compared = code.windows(2).any(|pair| pair == b"==" || pair == b"!=");
    let is_true = first.eq_ignore_ascii_case(b"true") || first == b"1";
    let is_cut = contains(code, b"//") || next.is_empty() || next.first() == Some(&0);
    let has_later = after(code, b"return").is_some();
    (is_compared || has_later || (is_true && is_cut)).then_some(1)
}

const DOLLAR: Clues = Clues::these(b"$");
const CALL: Clues = Clues::these(b"(");
const QUOTES: Clues = Clues::these(b"'\"");
const SCRIPT: Clues = Clues::these(b"(;|&}");

/// Query operators, stages and expressions that change what is found.
const OPERATORS: &[&[u8]] = &[
    b"accumulator",
    b"all",
    b"and",
    b"elemmatch",
    b"eq",
    b"exists",
    b"expr",
    b"function",
    b"gt",
    b"gte",
    b"in",
    b"jsonschema",
    b"lookup",
    b"lt",
    b"lte",
    b"match",
    b"merge",
    b"mod",
    b"ne",
    b"nin",
    b"nor",
    b"not",
    b"or",
    b"out",
    b"rand",
    b"regex",
    b"size",
    b"text",
    b"type",
    b"unionwith",
    b"where",
    b"set",
    b"unset",
    b"inc",
    b"push",
    b"pull",
    b"rename",
    b"group",
    b"func",
    b"options",
];

const SHELL: &[&[u8]] = &[
    b"aggregate",
    b"count",
    b"createcollection",
    b"createuser",
    b"deletemany",
    b"deleteone",
    b"drop",
    b"dropdatabase",
    b"eval",
    b"find",
    b"findone",
    b"getcollection",
    b"getcollectionnames",
    b"getname",
    b"getusers",
    b"insert",
    b"insertmany",
    b"insertone",
    b"remove",
    b"runcommand",
    b"save",
    b"shutdownserver",
    b"update",
    b"version",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::security::normalise::step::Steps;

    fn level(value: &[u8], place: Place) -> Option<u8> {
        let steps = Steps::default();
        suspicion(&Subject { bytes: value, place, name: None, steps, clues: Clues::of(value) })
    }

    #[test]
    fn attacks_are_sure() {
        for (value, place) in [
            ("$ne", Place::JsonName),
            ("$gt", Place::JsonName),
            ("$where", Place::JsonName),
            ("$regex", Place::JsonName),
            ("$or", Place::JsonName),
            ("$nin", Place::JsonName),
            ("$expr", Place::JsonName),
            ("$elemMatch", Place::JsonName),
            ("password[$ne]", Place::QueryName),
            ("user[$regex]", Place::FormName),
            ("user[$in][]", Place::FormName),
            ("a[$gt]=&b[$gt]=", Place::Query),
            ("login[$ne]=x", Place::Text),
            ("{\"$ne\": null}", Place::QueryValue),
            ("{\"$gt\":\"\"}", Place::CookieValue),
            ("{$gt: ''}", Place::QueryValue),
            ("{ '$where': 'sleep(100)' }", Place::QueryValue),
            ("', $or: [ {}, { 'a':'a", Place::QueryValue),
            ("\", \"$where\": \"1==1", Place::JsonString),
            ("{\"name\": {\"$regex\": \".*\"}}", Place::HeaderValue),
            ("' || 'a'=='a", Place::QueryValue),
            ("' || 1==1//", Place::QueryValue),
            ("' || 1==1\0", Place::QueryValue),
            ("' && this.password.match(/.*/)//", Place::QueryValue),
            ("this.password.match(/^a/)", Place::QueryValue),
            ("'; return true; var x='", Place::QueryValue),
            ("';return 'a'=='a' && ''=='", Place::QueryValue),
            ("\";return(true);var a=\"", Place::QueryValue),
            ("1; return true", Place::QueryValue),
            ("1;sleep(5000)", Place::QueryValue),
            ("'; sleep(5000); var a='", Place::QueryValue),
            ("';while(true){}'", Place::QueryValue),
            ("' || this.role != 'x", Place::QueryValue),
            ("0;var d=new Date();do{c=new Date();}while(c-d<10000);return 1", Place::QueryValue),
            ("db.users.find({})", Place::QueryValue),
            ("1; db.dropDatabase()", Place::QueryValue),
            ("' || true //", Place::QueryValue),
            ("'}); db.getCollection('x').drop(); ({'a':'", Place::QueryValue),
        ] {
            let level = level(value.as_bytes(), place);
            assert_eq!(level, Some(1), "{value:?}");
        }
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for (value, place) in [
            ("R$ 100", Place::JsonString),
            ("US$ in cash", Place::JsonString),
            ("$100", Place::QueryValue),
            ("$ref", Place::JsonName),
            ("$schema", Place::JsonName),
            ("$id", Place::JsonName),
            ("price$", Place::JsonName),
            ("$filter", Place::QueryName),
            ("$top", Place::QueryName),
            ("name[0]", Place::QueryName),
            ("filter[name]", Place::QueryName),
            ("${name}", Place::JsonString),
            ("A$AP", Place::JsonString),
            ("D'Ávila", Place::JsonString),
            ("'yes' or 'no'", Place::JsonString),
            ("cost in $; in all", Place::JsonString),
            ("the clients'; return to sender", Place::JsonString),
            ("1; 2; 3", Place::JsonString),
            ("1 & 2", Place::JsonString),
            ("10 || 20", Place::JsonString),
            ("if (a) { return true; }", Place::JsonString),
            ("const a = b || 'c';", Place::JsonString),
            ("a && b", Place::JsonString),
            ("this.name = name;", Place::JsonString),
            ("this. is. it.", Place::JsonString),
            ("mongodb.com (docs)", Place::JsonString),
            ("https://db.example.com/find(1)", Place::JsonString),
            ("session=a; theme=b", Place::HeaderValue),
            ("Thread.sleep(500);", Place::JsonString),
            ("{\"a\": \"b\"}", Place::JsonString),
            ("text/html; q=1", Place::HeaderValue),
        ] {
            let level = level(value.as_bytes(), place);
            assert!(level.is_none_or(|level| level > 1), "{value:?} {level:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes, Place::QueryValue);
        }
    }
}
