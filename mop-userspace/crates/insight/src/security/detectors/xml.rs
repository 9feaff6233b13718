//! XML: document types that declare entities or fetch something, includes, style sheets, and elements
//! that are closed before they were opened.

use super::{
    super::normalise::part::Place,
    Clues, Subject,
    reading::{after, contains, head, is_one_of, occurrences, strip, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place, name: _, steps: _, clues } = subject;
    if *place == Place::XmlMarkup {
        return declaration(bytes);
    }
    if !clues.any(NEEDED) {
        return None;
    }
    if contains(bytes, b"www.w3.org/2001/xinclude") {
        return Some(1);
    }
    if !clues.any(MARKUP) {
        return None;
    }
    let declared = occurrences(bytes, b"<").filter_map(|(_, inside)| match inside {
        [b'!' | b'?', inside @ ..] => declaration(inside),
        _ => of_element(inside),
    });
    let cut = occurrences(bytes, b"<![cdata[").filter_map(|(_, inside)| in_pieces(inside));
    declared.chain(cut).chain(reopened(bytes)).min()
}

/// Behind `<!` or `<?`.
fn declaration(inside: &[u8]) -> Option<u8> {
    if let Some(rest) = strip(inside, b"doctype") {
        return document_type(rest);
    }
    if strip(inside, b"entity").and_then(<[u8]>::first).is_some_and(u8::is_ascii_whitespace) {
        return Some(1);
    }
    let is_other = [b"element".as_slice(), b"attlist", b"notation"]
        .iter()
        .any(|name| strip(inside, name).and_then(<[u8]>::first) == Some(&b' '));
    if is_other {
        return Some(1);
    }
    strip(inside, b"xml-stylesheet").map(|_| 1)
}

fn document_type(rest: &[u8]) -> Option<u8> {
    let rest = head(rest.trim_ascii_start());
    let (name, rest) = word(rest, b"-_.:%;");
    let rest = rest.trim_ascii_start();
    let is_html = name.eq_ignore_ascii_case(b"html");
    if rest.first() == Some(&b'[') {
        return Some(1);
    }
    if strip(rest, b"system").is_some() {
        // The one that every page may have.
        return (!(is_html && contains(rest, b"about:legacy-compat"))).then_some(1);
    }
    if strip(rest, b"public").is_some() {
        let is_page = is_html && after(rest, b"-//w3c//dtd").is_some() && !rest.contains(&b'[');
        return (!is_page).then_some(1);
    }
    (!is_html && !name.is_empty()).then_some(2)
}

/// Behind `<`: elements that a processor carries out.
fn of_element(inside: &[u8]) -> Option<u8> {
    let (prefix, rest) = word(inside, b"");
    let (name, _) = word(rest.strip_prefix(b":")?, b"-");
    let is_include =
        prefix.eq_ignore_ascii_case(b"xi") && is_one_of(name, &[b"include", b"fallback"]);
    let is_style = prefix.eq_ignore_ascii_case(b"xsl") && is_one_of(name, INSTRUCTIONS);
    (is_include || is_style).then_some(1)
}

/// Sections that hold nothing but marks, so that together they make markup.
fn in_pieces(inside: &[u8]) -> Option<u8> {
    let inside = inside.get(..MAX_PIECE + 3).unwrap_or(inside);
    let end = inside.windows(3).position(|window| window == b"]]>")?;
    let piece = inside.get(..end).unwrap_or_default();
    let is_mark = piece.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | b'\'' | b'"'));
    let is_only_marks = !piece.iter().any(u8::is_ascii_alphanumeric);
    (is_mark && is_only_marks).then_some(1)
}

/// `x</name><admin>1</admin><name>y`
fn reopened(bytes: &[u8]) -> Option<u8> {
    let inside = after(bytes, b"<")?.strip_prefix(b"/")?;
    let (closed, rest) = word(inside, b"-_.:");
    let rest = rest.trim_ascii_start().strip_prefix(b">")?;
    let last = occurrences(rest, b"<").map(|(_, inside)| inside);
    let opened = last.filter(|inside| inside.first().is_some_and(u8::is_ascii_alphabetic));
    let mut is_any = false;
    let is_same = !closed.is_empty()
        && opened.inspect(|_| is_any = true).any(|inside| word(inside, b"-_.:").0 == closed);
    match (is_same, is_any) {
        (true, _) => Some(1),
        (false, true) => Some(2),
        (false, false) => None,
    }
}

const NEEDED: Clues = Clues::these(b"</");
const MARKUP: Clues = Clues::these(b"<");

/// Bytes of a section that is looked at for whether it holds only marks.
const MAX_PIECE: usize = 16;

const INSTRUCTIONS: &[&[u8]] = &[
    b"apply-templates",
    b"call-template",
    b"choose",
    b"copy-of",
    b"for-each",
    b"if",
    b"import",
    b"include",
    b"message",
    b"output",
    b"param",
    b"script",
    b"stylesheet",
    b"template",
    b"text",
    b"transform",
    b"value-of",
    b"variable",
    b"when",
    b"result-document",
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
        for value in [
            "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
            "<!DOCTYPE a SYSTEM \"http://a.example/x.dtd\">",
            "<!DOCTYPE a PUBLIC \"x\" \"http://a.example/x.dtd\">",
            "<!DOCTYPE html SYSTEM \"http://a.example/x.dtd\">",
            "<!DOCTYPE html PUBLIC \"x\" \"http://a.example/x.dtd\">",
            "<!doctype a [",
            "<!DOCTYPE a[<!ELEMENT a ANY>]>",
            "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY % p SYSTEM \"http://a.example/\"> %p;]>",
            "<!ENTITY % p SYSTEM 'file:///x'>",
            "<!ENTITY a \"b\">",
            "<!ENTITY a PUBLIC \"x\" \"file:///x\">",
            "<!ELEMENT a ANY >",
            "<!ATTLIST a b CDATA #IMPLIED>",
            "<!NOTATION a SYSTEM \"b\">",
            "<xi:include href=\"file:///etc/passwd\" parse=\"text\"/>",
            "<a xmlns:x=\"http://www.w3.org/2001/XInclude\"><x:include href='/x'/></a>",
            "<xi:fallback/>",
            "<?xml-stylesheet type=\"text/xsl\" href=\"http://a.example/x.xsl\"?>",
            "<xsl:stylesheet version=\"1.0\">",
            "<xsl:value-of select=\"document('x')\"/>",
            "<xsl:include href=\"x\"/>",
            "<xsl:template match=\"/\">",
            "<![CDATA[<]]>script<![CDATA[>]]>",
            "<![CDATA[<]]>b",
            "<![CDATA['\"]]>",
            "x</name><admin>1</admin><name>y",
            "</price><price>0</price><price>",
        ] {
            assert_eq!(level(value.as_bytes(), Place::JsonString), Some(1), "{value:?}");
        }
        for value in [
            "DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">",
            "DOCTYPE a SYSTEM \"http://a.example/x.dtd\"",
            "ENTITY a \"b\"",
            "xml-stylesheet href=\"x\"",
        ] {
            assert_eq!(level(value.as_bytes(), Place::XmlMarkup), Some(1), "{value:?}");
        }
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for value in [
            "Maria",
            "a < b",
            "a/b",
            "<b>bold</b>",
            "<p>one</p><p>two</p>",
            "<!DOCTYPE html>",
            "<!doctype html><html><head></head></html>",
            "<!DOCTYPE html SYSTEM \"about:legacy-compat\">",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/x\">",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>b</a>",
            "<!-- comment -->",
            "<![CDATA[some text]]>",
            "<![CDATA[<p>text</p>]]>",
            "<![CDATA[]]>",
            "<a:b xmlns:a=\"urn:a\">c</a:b>",
            "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"/>",
            "https://www.w3.org/2001/XMLSchema",
            "Maria <maria@example.com>",
            "</b> the end",
            "entity a",
            "DOCTYPE a [",
            "<!>",
            "<?php echo 1; ?>",
            "xsl:template",
            "<3",
            "x > y < z",
            "<xi>",
            "doc/type",
        ] {
            assert_eq!(level(value.as_bytes(), Place::JsonString), None, "{value:?}");
        }
        for value in ["xml version=\"1.0\"", "DOCTYPE html", "ENTITYx"] {
            assert_eq!(level(value.as_bytes(), Place::XmlMarkup), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes, Place::JsonString);
        }
    }
}
