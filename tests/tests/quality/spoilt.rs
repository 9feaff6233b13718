//! Messages that are made to break their reader, and what is to be found of each.

use std::{fs, io::Write as _};

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::{
    calls::{CONSENTS, Call, Part, RESOURCES, Side},
    runs::fixture,
};

/// A call that is spoilt in one way.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) call: Call,
    /// The message that is spoilt.
    pub(crate) side: Side,
    pub(crate) expected: Expected,
}

/// How it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Conforming,
    /// Nothing is found, and this is why not everything was judged.
    Unjudged(&'static str),
    /// No operation is found, for this reason.
    Unrouted(&'static str),
    /// This code is found at least so many times.
    Violating(&'static str, u64),
    /// This code is found, and it is no error.
    Warned(&'static str),
}

pub(crate) fn cases() -> Result<Vec<Case>> {
    let mut cases = vec![Case {
        name: "nothing wrong",
        call: Call::consent(),
        side: Side::Response,
        expected: Expected::Conforming,
    }];
    for (name, body, expected) in bodies() {
        let mut call = Call::consent();
        call.response.body = body;
        cases.push(Case { name, call, side: Side::Response, expected });
    }
    // Each element is looked at by every alternative, at most.
    let coverages = vec!["{}"; 750_000].join(",");
    let mut call = Call::with("GET", QUOTE_STATUS, &Value::Null, 200, &Value::Null);
    call.response.set("content-type", "application/json");
    call.response.body =
        format!("{{\"data\":{{\"quoteInfo\":{{\"quotes\":[{{\"premiumInfo\":{{\"coverages\":[{coverages}]}}}}]}}}}}}")
            .into();
    cases.push(Case {
        name: "750,000 elements of no alternative",
        call,
        side: Side::Response,
        expected: Expected::Violating("body.required", 750_000),
    });
    for (name, coding, body) in codings()? {
        let mut call = Call::consent();
        call.response.set("content-encoding", coding);
        call.response.body = body;
        let expected = Expected::Unjudged("content_coding");
        cases.push(Case { name, call, side: Side::Response, expected });
    }
    for (name, part, expected) in headers() {
        let mut call = Call::consent();
        call.request.headers.extend(part.headers);
        cases.push(Case { name, call, side: Side::Request, expected });
    }
    for (name, target, expected) in targets() {
        let call = Call { target, ..Call::resources() };
        cases.push(Case { name, call, side: Side::Request, expected });
    }
    Ok(cases)
}

fn bodies() -> Vec<(&'static str, Vec<u8>, Expected)> {
    use Expected::{Unjudged, Violating};
    let text = |text: &str| text.as_bytes().to_vec();
    let nested = |open: &str, inner: &str, close: &str| {
        text(&[&open.repeat(NESTED), inner, &close.repeat(NESTED)].concat())
    };
    let members: String = (0..200_000).map(|number| format!(",\"m{number}\":0")).collect();
    let permissions =
        |elements: String| text(&format!("{{\"data\":{{\"permissions\":[{elements}]}}}}"));
    vec![
        (
            "a body of 50 MB",
            text(&format!("{{\"data\":\"{}\"}}", "a".repeat(50 << 20))),
            Unjudged("too_long"),
        ),
        ("50 MB of blanks", vec![b' '; 50 << 20], Unjudged("too_long")),
        ("nested arrays", nested("[", "1", "]"), Unjudged("too_deep")),
        ("nested objects", nested("{\"a\":", "1", "}"), Unjudged("too_deep")),
        ("nested and never closed", text(&"[".repeat(NESTED)), Unjudged("too_deep")),
        (
            "a name twice",
            text(r#"{"data":{"status":"A","status":"B"}}"#),
            Unjudged("duplicate_name"),
        ),
        (
            "a name twice, once with escapes",
            text(r#"{"data":{},"d\u0061t\u0061":{}}"#),
            Unjudged("duplicate_name"),
        ),
        (
            "a name twice among many",
            text(&format!("{{\"m7\":1{members}}}")),
            Unjudged("duplicate_name"),
        ),
        ("not UTF-8", b"{\"data\":\"\xff\xfe\"}".to_vec(), Violating("body.not_json", 1)),
        ("an overlong slash", b"{\"data\":\"\xc0\xaf\"}".to_vec(), Violating("body.not_json", 1)),
        ("half a surrogate pair", text(r#"{"data":"\ud83d"}"#), Unjudged("lone_surrogate")),
        ("half a surrogate pair in a name", text(r#"{"\udc00":1}"#), Unjudged("lone_surrogate")),
        (
            "surrogates in the wrong order",
            text(r#"{"data":"\ude00\ud83d"}"#),
            Unjudged("lone_surrogate"),
        ),
        ("infinity", text(r#"{"meta":{"totalRecords":1e999}}"#), Unjudged("number_too_large")),
        (
            "minus infinity",
            text(r#"{"meta":{"totalRecords":-1e999}}"#),
            Unjudged("number_too_large"),
        ),
        (
            "10,000 digits",
            text(&format!("{{\"meta\":{{\"totalRecords\":{}}}}}", "9".repeat(10_000))),
            Unjudged("number_too_large"),
        ),
        (
            "10,000 digits behind the point",
            text(&format!("{{\"meta\":{{\"totalRecords\":0.{}}}}}", "1".repeat(10_000))),
            Unjudged("number_too_large"),
        ),
        (
            "an exponent of 10,000 digits",
            text(&format!("{{\"meta\":{{\"totalRecords\":1e-{}}}}}", "9".repeat(10_000))),
            Unjudged("number_too_large"),
        ),
        ("not a number", text(r#"{"meta":{"totalRecords":NaN}}"#), Violating("body.not_json", 1)),
        ("nothing but blanks", text(" \n\t "), Violating("body.not_json", 1)),
        ("a byte order mark", text("\u{feff}{}"), Violating("body.not_json", 1)),
        ("a NUL", text("{\"data\":\"\0\"}"), Violating("body.not_json", 1)),
        ("two values", text("{} {}"), Violating("body.not_json", 1)),
        (
            "200,000 members",
            text(&format!("{{\"data\":{{}}{members}}}")),
            Violating("body.additional_properties", 1),
        ),
        (
            "a million wrong elements",
            permissions(vec!["0"; 1_000_000].join(",")),
            Violating("body.type", 10_000),
        ),
        (
            "a million unknown elements",
            permissions(vec!["\"\""; 1_000_000].join(",")),
            Violating("body.enum", 10_000),
        ),
        (
            "three million elements",
            permissions(vec!["0"; 3_000_000].join(",")),
            Unjudged("too_many_values"),
        ),
        (
            "three million empty objects",
            permissions(vec!["{}"; 3_000_000].join(",")),
            Unjudged("too_many_values"),
        ),
        (
            "a text of escapes",
            text(&format!("{{\"data\":{{\"consentId\":\"{}\"}}}}", "\\u0041".repeat(1 << 20))),
            Violating("body.max_length", 1),
        ),
    ]
}

fn codings() -> Result<Vec<(&'static str, &'static str, Vec<u8>)>> {
    let gzip = |bytes: &[u8]| -> Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes)?;
        Ok(encoder.finish()?)
    };
    let bomb = gzip(&vec![0; 256 << 20])?;
    let members = gzip(&[b' '; 10_000])?.repeat(10_000);
    let whole = gzip(b"{\"data\":{}}")?;
    let trailing = [&whole[..], b"more"].concat();
    let cut = whole.get(..whole.len() - 4).context("a trailer")?.to_vec();
    Ok(vec![
        ("256 MB of zeros by gzip", "gzip", bomb.clone()),
        ("a bomb in a bomb", "gzip, gzip", gzip(&bomb)?),
        ("10,000 members of gzip", "gzip", members),
        ("256 MB of zeros by brotli", "br", fs::read(fixture("quality_zeros.br"))?),
        ("gzip that ends early", "gzip", cut),
        ("bytes behind gzip", "gzip", trailing),
        ("gzip that is none", "gzip", b"{\"data\":{}}".to_vec()),
        ("brotli that is none", "br", b"{\"data\":{}}".to_vec()),
        ("an unknown coding", "secret-sauce", b"{\"data\":{}}".to_vec()),
        ("twenty codings", TWENTY_CODINGS, whole),
    ])
}

fn headers() -> Vec<(&'static str, Part, Expected)> {
    use Expected::{Conforming, Violating};
    let field = |name: &str, value: String| (name.to_owned(), value);
    let part = |headers| Part { headers, body: Vec::new() };
    vec![
        (
            "a value of 8 MB",
            part(vec![field("x-customer-user-agent", "a".repeat(8 << 20))]),
            Violating("header.max_length", 1),
        ),
        (
            "a value of 100 kB",
            part(vec![field("x-customer-user-agent", "á".repeat(50_000))]),
            Violating("header.max_length", 1),
        ),
        (
            "a value that tempts a backtracking pattern",
            part(vec![field("x-fapi-auth-date", " a".repeat(500_000))]),
            Violating("header.max_length", 1),
        ),
        (
            "100,000 fields of one name",
            part((0..100_000).map(|_| field("x-customer-user-agent", "a".to_owned())).collect()),
            Violating("header.max_length", 1),
        ),
        (
            "100,000 unknown fields",
            part(
                (0..100_000).map(|number| field(&format!("x-u{number}"), String::new())).collect(),
            ),
            Conforming,
        ),
    ]
}

fn targets() -> Vec<(&'static str, String, Expected)> {
    use Expected::{Unrouted, Violating, Warned};
    let query = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|number| format!("u{number}=1")).collect();
        format!("{RESOURCES}?{}", pairs.join("&"))
    };
    vec![
        ("a thousand undeclared parameters", query(1_000), Warned("query.undeclared")),
        (
            "only separators",
            format!("{RESOURCES}?{}", "&=".repeat(5_000)),
            Warned("query.undeclared"),
        ),
        (
            "a page of 5,000 digits",
            format!("{RESOURCES}?page={}", "9".repeat(5_000)),
            Violating("query.type", 1),
        ),
        (
            "one parameter a thousand times",
            format!("{RESOURCES}?{}", ["page=1"; 1_000].join("&")),
            Violating("query.type", 1),
        ),
        (
            "10,000 segments",
            format!("/open-insurance{}", "/a".repeat(10_000)),
            Unrouted("path_too_long"),
        ),
        (
            "10,000 empty segments",
            format!("/open-insurance{}", "/".repeat(10_000)),
            Unrouted("path_too_long"),
        ),
        (
            "10,000 URNs",
            format!("{CONSENTS}{}", "/urn:a:b".repeat(10_000)),
            Unrouted("path_too_long"),
        ),
        (
            "sixty URNs",
            format!("/open-insurance/quote-auto/v2{}", "/urn:a:b".repeat(60)),
            Unrouted("path_unknown"),
        ),
        ("percent signs", format!("{RESOURCES}{}", "%".repeat(7_000)), Unrouted("path_unknown")),
        (
            "bytes that are not UTF-8",
            format!("{RESOURCES}/{}", "%ff".repeat(2_000)),
            Unrouted("path_unknown"),
        ),
    ]
}

const QUOTE_STATUS: &str = "/open-insurance/quote-patrimonial/v2/business/request/urn:participante:synthetic-1/quote-status";

const NESTED: usize = 100_000;

/// More than any sender has.
const TWENTY_CODINGS: &str = "gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip";
