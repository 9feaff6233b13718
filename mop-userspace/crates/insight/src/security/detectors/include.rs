//! Includes: directives that a web server (SSI) or a cache at the edge (ESI) carries out.

use super::{
    Clues, Subject,
    reading::{contains, is_one_of, occurrences, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place: _, name: _, steps: _, clues } = subject;
    if !clues.any(NEEDED) {
        return None;
    }
    let is_server_side = occurrences(bytes, b"<!--#").any(|(_, after)| {
        let (directive, _) = word(after.trim_ascii_start(), b"");
        is_one_of(directive, DIRECTIVES)
    });
    let is_edge_side = occurrences(bytes, b"<esi:").any(|(_, after)| {
        let (element, _) = word(after, b"");
        is_one_of(element, ELEMENTS)
    });
    let is_sure = is_server_side
        || is_edge_side
        || contains(bytes, b"<!--esi")
        || contains(bytes, b"<jsp:include");
    is_sure.then_some(1)
}

const NEEDED: Clues = Clues::these(b"<");

const DIRECTIVES: &[&[u8]] = &[
    b"config",
    b"echo",
    b"elif",
    b"else",
    b"endif",
    b"exec",
    b"flastmod",
    b"fsize",
    b"if",
    b"include",
    b"odbc",
    b"printenv",
    b"set",
];

const ELEMENTS: &[&[u8]] = &[
    b"assign",
    b"attempt",
    b"choose",
    b"comment",
    b"debug",
    b"eval",
    b"except",
    b"function",
    b"include",
    b"inline",
    b"otherwise",
    b"remove",
    b"text",
    b"try",
    b"vars",
    b"when",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::security::{
        detectors::{Detector, trial},
        normalise::part::Place,
    };

    fn level(value: &[u8]) -> Option<u8> {
        trial::level_as_it_is(Detector::IncludeInjection, Place::QueryValue, value)
    }

    #[test]
    fn attacks_are_sure() {
        for value in [
            "<!--#exec cmd=\"ls\"-->",
            "<!--#exec cmd='id' -->",
            "<!--#EXEC cmd=\"dir\"-->",
            "<!--# exec cmd=\"ls\" -->",
            "<!--#exec cgi=\"/cgi-bin/x\"-->",
            "<!--#include file=\"/etc/passwd\"-->",
            "<!--#include virtual=\"/index.html\"-->",
            "<!--#echo var=\"DATE_LOCAL\"-->",
            "<!--#printenv -->",
            "<!--#printenv-->",
            "<!--#config timefmt=\"%D\"-->",
            "<!--#set var=\"a\" value=\"b\"-->",
            "<!--#if expr=\"1\"--><!--#endif-->",
            "<!--#fsize file=\"a\"-->",
            "<!--#flastmod file=\"a\"-->",
            "x\"><!--#exec cmd=\"ls\"-->",
            "<!--#odbc connect=\"a\"-->",
            "<!--#\nexec cmd='ls'-->",
            "<esi:include src=\"http://a.example/\"/>",
            "<esi:include src=http://a.example/>",
            "<ESI:include src='/x'/>",
            "<esi:vars>$(HTTP_COOKIE)</esi:vars>",
            "<esi:debug/>",
            "<esi:inline name=\"/a\">x</esi:inline>",
            "<esi:remove>x</esi:remove>",
            "<esi:comment text=\"x\"/>",
            "<esi:assign name=\"a\" value=\"b\"/>",
            "a<!--esi <p>$(HTTP_COOKIE)</p>-->",
            "<esi:try><esi:attempt>x</esi:attempt></esi:try>",
            "<jsp:include page=\"/x\"/>",
        ] {
            assert_eq!(level(value.as_bytes()), Some(1), "{value:?}");
        }
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for value in [
            "Maria",
            "<!-- a comment -->",
            "<!--comment-->",
            "<!--#1 in Brazil-->",
            "<!--# heading -->",
            "<!--#-->",
            "<!--[if IE]>x<![endif]-->",
            "#include <stdio.h>",
            "#exec",
            "<esi>",
            "<esi:>",
            "<es:include/>",
            "a < b",
            "a <- b",
            "<b>bold</b>",
            "include: a",
            "<include file='a'/>",
            "<xs:include schemaLocation='a'/>",
            "esi:include",
            "<p>Seguro Auto</p>",
            "1 < 2 && 3 > 2",
            "Maria <maria@example.com>",
            "#if",
            "<!",
            "<!--",
            "D'Ávila <3",
        ] {
            assert_eq!(level(value.as_bytes()), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes);
        }
    }
}
