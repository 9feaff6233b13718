use mop_wire::{Anomalies, Body, Completeness, Ending, Role, Seen, Timing, Version};
use proptest::prelude::*;

use super::*;

type Line = (Place, Option<String>, String);

fn exchange(target: &str, fields: &[(&str, &str)], body: &[u8]) -> Exchange {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    let body = Body::whole(body.to_vec(), false);
    Exchange {
        connection: 1,
        sequence: 0,
        role: Role::Server,
        request: Some(Request {
            method: "POST".into(),
            target: target.into(),
            version: Version::Http11,
            headers,
            body,
            anomalies: Anomalies::default(),
        }),
        response: None,
        interim: Vec::new(),
        timing: Timing::default(),
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
    }
}

fn visited(exchange: &Exchange, limits: Limits) -> (Visited, Vec<Line>) {
    let mut lines = Vec::new();
    let visited = visit(exchange, limits, &mut Scratch::default(), &mut |part| {
        let value = String::from_utf8_lossy(part.value).into_owned();
        lines.push((part.place, part.name.map(str::to_owned), value));
    });
    (visited, lines)
}

/// Parts of a body.
fn of_body(media: &str, body: &[u8]) -> Vec<Line> {
    let exchange = exchange("/", &[("Content-Type", media)], body);
    let (visited, lines) = visited(&exchange, Limits::default());
    assert_eq!(visited.request_body, BodyRead::Read);
    let is_head = |place| {
        matches!(place, Place::Method | Place::Path | Place::HeaderName | Place::HeaderValue)
    };
    lines.into_iter().filter(|(place, _, _)| !is_head(*place)).collect()
}

fn line(place: Place, name: &str, value: &str) -> Line {
    (place, (!name.is_empty()).then(|| name.to_owned()), value.to_owned())
}

#[test]
fn the_head_is_taken_apart() {
    let fields = [("Cookie", "a=1; b"), ("X-Id", "7")];
    let exchange = exchange("/a/b%20c;d?x=1&y&=z", &fields, b"");
    let (seen, lines) = visited(&exchange, Limits::default());
    assert_eq!(
        lines,
        [
            line(Place::Method, "", "POST"),
            line(Place::Path, "", "/a/b%20c;d"),
            line(Place::PathSegment, "", "a"),
            line(Place::PathSegment, "", "b%20c;d"),
            line(Place::Query, "", "x=1&y&=z"),
            line(Place::QueryName, "", "x"),
            line(Place::QueryValue, "x", "1"),
            (Place::QueryValue, Some(String::new()), "y".to_owned()),
            (Place::QueryValue, Some(String::new()), "z".to_owned()),
            line(Place::HeaderName, "", "Cookie"),
            line(Place::HeaderValue, "Cookie", "a=1; b"),
            line(Place::HeaderName, "", "X-Id"),
            line(Place::HeaderValue, "X-Id", "7"),
            line(Place::CookieName, "", "a"),
            line(Place::CookieValue, "a", "1"),
            (Place::CookieValue, Some(String::new()), "b".to_owned()),
        ]
    );
    assert_eq!((seen.parts, seen.is_cut, seen.request_body), (16, false, BodyRead::Absent));
}

#[test]
fn the_absolute_form_has_a_path() {
    let (_, lines) =
        visited(&exchange("http://a.example/x?y=http://b", &[], b""), Limits::default());
    assert_eq!(lines[1], line(Place::Path, "", "/x"));
    let (_, lines) = visited(&exchange("/r/http://b/", &[], b""), Limits::default());
    assert_eq!(lines[1], line(Place::Path, "", "/r/http://b/"));
}

#[test]
fn bodies_are_taken_apart_by_their_media_type() {
    let json = [
        line(Place::JsonName, "", "a"),
        line(Place::JsonString, "a", "x\"y"),
        line(Place::JsonName, "", "b"),
        line(Place::JsonNumber, "b", "1.50"),
        line(Place::JsonName, "", "c"),
        line(Place::JsonString, "c", "z"),
    ];
    let text = br#"{"a":"x\"y","b":[1.50,true],"c":"z"}"#;
    assert_eq!(of_body("application/json; charset=utf-8", text), json);
    assert_eq!(of_body("text/plain", text), json);
    let broken = of_body("application/json", b"{\"a\":");
    assert_eq!(broken, [line(Place::Text, "", "{\"a\":")]);
    assert_eq!(
        of_body("application/x-www-form-urlencoded", b"a=1+2&b=%27"),
        [
            line(Place::FormName, "", "a"),
            line(Place::FormValue, "a", "1+2"),
            line(Place::FormName, "", "b"),
            line(Place::FormValue, "b", "%27"),
        ]
    );
    assert_eq!(of_body("text/plain", b"hello"), [line(Place::Text, "", "hello")]);
}

#[test]
fn multipart_bodies_are_taken_apart() {
    let body = b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n--B\r\n\
        content-disposition: form-data; name=f; filename=\"x;\\\".php\"\r\nContent-Type: text/plain\r\n\r\n<?php\r\n--B--\r\n";
    let expected = [
        line(Place::MultipartName, "", "a"),
        line(Place::MultipartValue, "a", "one\r\ntwo"),
        line(Place::MultipartName, "", "f"),
        line(Place::MultipartFileName, "f", "x;\\\".php"),
        line(Place::MultipartValue, "f", "<?php"),
    ];
    assert_eq!(of_body("multipart/form-data; boundary=B", body), expected);
    assert_eq!(of_body("multipart/form-data; charset=x; boundary=\"B\"", body), expected);
    assert_eq!(of_body("multipart/form-data", b"x"), [line(Place::Text, "", "x")]);
    assert_eq!(of_body("multipart/form-data; boundary=C", b"x"), [line(Place::Text, "", "x")]);
}

#[test]
fn xml_is_taken_apart() {
    let body = b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\
        <a b='1' c = \"2\"><d>text &x;</d><!-- note --><e f=g/><![CDATA[<raw>]]></a>";
    assert_eq!(
        of_body("application/soap+xml", body),
        [
            line(Place::XmlMarkup, "", "xml version=\"1.0\"?"),
            line(Place::XmlMarkup, "", "DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">"),
            line(Place::XmlAttribute, "b", "1"),
            line(Place::XmlAttribute, "c", "2"),
            line(Place::XmlText, "d", "text &x;"),
            line(Place::XmlText, "d", "note"),
            line(Place::XmlAttribute, "f", "g/"),
            line(Place::XmlText, "e", "<raw>"),
        ]
    );
}

#[test]
fn what_is_not_whole_or_too_long_is_said() {
    let mut cut = exchange("/", &[], b"abc");
    if let Some(request) = &mut cut.request {
        request.body.length = 9;
    }
    assert_eq!(visited(&cut, Limits::default()).0.request_body, BodyRead::Unwhole);
    let limits = Limits { max_body_bytes: 2, ..Limits::default() };
    let whole = exchange("/", &[], b"abc");
    assert_eq!(visited(&whole, limits).0.request_body, BodyRead::TooLong);
    let coded = exchange("/", &[("Content-Encoding", "gzip")], b"abc");
    assert_eq!(visited(&coded, Limits::default()).0.request_body, BodyRead::Undecodable);
    let limits = Limits { max_parts: 1, ..Limits::default() };
    let (seen, lines) = visited(&whole, limits);
    assert!(seen.is_cut && lines.len() == 1);
}

#[test]
fn content_codings_are_taken_off() {
    // `{"a":"b"}` by gzip without compression (RFC 1951, section 3.2.4).
    let coded = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 9, 0, 0xf6, 0xff][..],
        b"{\"a\":\"b\"}",
        &GZIP_END,
    ]
    .concat();
    let exchange = exchange("/", &[("content-encoding", "gzip")], &coded);
    let (seen, lines) = visited(&exchange, Limits::default());
    assert_eq!(seen.request_body, BodyRead::Read);
    assert!(lines.contains(&line(Place::JsonString, "a", "b")));
}

#[test]
fn of_a_response_status_fields_and_body_are_given() {
    let mut exchange = exchange("/", &[], b"");
    let mut headers = Headers::default();
    headers.push("Server", b"x");
    exchange.request = None;
    exchange.response = Some(Response {
        status: 503,
        version: Version::Http11,
        headers,
        body: Body::whole(b"{\"a\":1}".to_vec(), false),
        anomalies: Anomalies::default(),
    });
    let (_, lines) = visited(&exchange, Limits::default());
    assert_eq!(
        lines,
        [
            line(Place::Status, "", "503"),
            line(Place::HeaderName, "", "Server"),
            line(Place::HeaderValue, "Server", "x"),
            line(Place::Body, "", "{\"a\":1}"),
        ]
    );
}

#[test]
fn of_a_response_the_beginning_is_enough() {
    let body = Body { length: 1000, ..Body::whole(b"abc".to_vec(), false) };
    let given_of = |body: Body, fields: &[(&str, &str)], limits: Limits| {
        let mut exchange = exchange("/", &[], b"");
        let mut headers = Headers::default();
        fields.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
        exchange.response = Some(Response {
            status: 200,
            version: Version::Http11,
            headers,
            body,
            anomalies: Anomalies::default(),
        });
        let mut bodies = Vec::new();
        let visited = visit(&exchange, limits, &mut Scratch::default(), &mut |part| {
            if part.place == Place::Body {
                bodies.push((part.value.to_vec(), part.behind));
            }
        });
        (visited.response_body, bodies)
    };
    let given = |body: Body, fields: &[(&str, &str)]| given_of(body, fields, Limits::default());
    assert_eq!(given(body.clone(), &[]), (BodyRead::Read, vec![(b"abc".to_vec(), 997)]));
    // Whether more was kept makes no difference.
    let limits = Limits { max_body_bytes: 2, ..Limits::default() };
    let long = given_of(Body::whole(b"abc".to_vec(), false), &[], limits);
    assert_eq!(long, (BodyRead::Read, vec![(b"ab".to_vec(), 1)]));
    let coded = given(body.clone(), &[("content-encoding", "gzip")]);
    assert_eq!(coded, (BodyRead::Unwhole, vec![]));
    // What was lost is not known to stand behind.
    assert_eq!(given(Body { missing: 1, ..body }, &[]), (BodyRead::Unwhole, vec![]));
}

proptest! {
    #[test]
    fn any_body_is_taken(
        media in prop::sample::select(vec![
            "application/json", "application/xml", "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=B", "",
        ]),
        pieces in prop::collection::vec(prop::sample::select(vec![
            &b"<"[..], b">", b"<!", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"[", b"]>", b"=", b"\"", b"'",
            b"a", b" ", b"\r\n", b"--B", b"--", b"Content-Disposition: x; name=", b";", b"&", b"\xff", b"/",
        ]), 0..60),
    ) {
        let body = pieces.concat();
        let exchange = exchange("/", &[("content-type", media)], &body);
        let mut given = 0;
        let _visited = visit(&exchange, Limits::default(), &mut Scratch::default(), &mut |part| {
            given += if part.place == Place::HeaderValue { 0 } else { part.value.len() };
        });
        prop_assert!(given <= 32 + body.len());
    }
}

/// CRC-32 and length of the text.
const GZIP_END: [u8; 8] = [0x9c, 0x5c, 0xf6, 0x6b, 9, 0, 0, 0];
