//! From an exchange to its parts, their views and what they hold: attacks are seen however they are
//! written, and ordinary calls hold no personal data where there is none.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{collections::BTreeSet, env, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Made, root, skip};
use mop_insight::security::{
    normalise::{
        chain::Chain,
        part::{Limits, Message, Place, Scratch, visit},
    },
    personal::{Class, scan, secrets::leaks},
};
use mop_wire::Exchange;

/// Every view of every part of the request.
fn views(exchange: &Exchange) -> Vec<(Place, Vec<u8>)> {
    let mut chain = Chain::new();
    chain.begin_exchange();
    let mut views = Vec::new();
    let _visited = visit(exchange, Limits::default(), &mut Scratch::default(), &mut |part| {
        let _given = chain.views(part.value, part.place.kind(), &mut |view| {
            views.push((part.place, view.bytes.to_vec()));
        });
    });
    views
}

/// What the parts and their views hold, by place and class.
fn personal(exchange: &Exchange) -> Vec<(Message, Place, Class)> {
    let mut chain = Chain::new();
    let mut all = Vec::new();
    let _visited = visit(exchange, Limits::default(), &mut Scratch::default(), &mut |part| {
        let _given = chain.views(part.value, part.place.kind(), &mut |view| {
            scan(view.bytes, part.name, &mut |found| all.push((part.of, part.place, found.class)));
        });
    });
    all.sort_unstable_by_key(|(_, place, class)| (format!("{place:?}"), *class));
    all.dedup();
    all
}

fn percent(plain: &str) -> String {
    plain.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn json(made: Made, body: &str) -> Exchange {
    let mut exchange = made.header("Content-Type", "application/json").exchange;
    exchange.request.as_mut().unwrap().body = mop_wire::Body::whole(body.into(), false);
    exchange
}

#[test]
fn an_attack_is_seen_wherever_and_however_it_is_written() {
    let attack = "' or 1=1 -- x";
    let escaped: String = attack.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let references: String = attack.bytes().map(|byte| format!("&#x{byte:x};")).collect();
    let wide: String = attack
        .chars()
        .map(|sign| match sign {
            '!'..='~' => char::from_u32(u32::from(sign) + 0xfee0).unwrap(),
            other => other,
        })
        .collect();
    for written in [
        attack.to_owned(),
        percent(attack),
        percent(&percent(attack)),
        STANDARD.encode(attack),
        STANDARD.encode(STANDARD.encode(attack)),
        STANDARD.encode(percent(attack)),
        references,
        wide,
        escaped,
    ] {
        let quoted = serde_json::to_string(&written).unwrap();
        let url = percent(&written);
        for (place, exchange) in [
            (Place::JsonString, json(Made::new("POST", "/", 200), &format!("{{\"a\":{quoted}}}"))),
            (Place::JsonName, json(Made::new("POST", "/", 200), &format!("{{{quoted}:1}}"))),
            (Place::HeaderValue, Made::new("GET", "/", 200).header("X-A", &written).exchange),
            (
                Place::CookieValue,
                Made::new("GET", "/", 200).header("Cookie", &format!("a={written}")).exchange,
            ),
            (Place::QueryValue, Made::new("GET", &format!("/?a={url}"), 200).exchange),
            (Place::PathSegment, Made::new("GET", &format!("/a/{url}"), 200).exchange),
            (Place::FormValue, Made::new("POST", "/", 200).form(&[("a", &written)]).exchange),
        ] {
            // A semicolon ends a cookie.
            if place == Place::CookieValue && written.contains(';') {
                continue;
            }
            let seen =
                views(&exchange).iter().any(|(of, view)| *of == place && view == attack.as_bytes());
            assert!(seen, "{place:?} {written}");
        }
    }
}

#[test]
fn a_path_is_seen_as_it_is_resolved() {
    for target in [
        "/open-insurance/..%2f..%2fetc%2fpasswd",
        "/open-insurance/%252e%252e/%252e%252e/etc/passwd",
        "/open-insurance/..;/etc//passwd",
        "/open-insurance/..\\..\\etc\\passwd",
        "/open-insurance/%c0%ae%c0%ae%c0%af%c0%ae%c0%ae/etc/passwd",
        "/open-insurance/..%uff0f../etc/./passwd%00",
    ] {
        let views = views(&Made::new("GET", target, 200).exchange);
        let resolved = views.iter().any(|(place, view)| {
            *place == Place::Path && (view == b"/etc/passwd" || view.ends_with(b"../etc/passwd"))
        });
        assert!(resolved, "{target}");
    }
}

#[test]
fn personal_data_is_found_in_addresses_and_bodies() {
    let found = |exchange: &Exchange| -> Vec<(Place, Class)> {
        personal(exchange).into_iter().map(|(_, place, class)| (place, class)).collect()
    };
    let call = Made::new("GET", "/customers?cpf=529%2E982%2E247-25", 200).exchange;
    assert_eq!(found(&call), [(Place::Query, Class::Cpf), (Place::QueryValue, Class::Cpf)]);
    let call =
        json(Made::new("POST", "/", 200), r#"{"cpfNumber":"52998224725","mail":"a.b@c.example"}"#);
    assert_eq!(found(&call), [(Place::JsonString, Class::Cpf), (Place::JsonString, Class::Email)]);
    let mut call = Made::new("GET", "/", 422).exchange;
    let body = r#"{"errors":[{"detail":"CPF 529.982.247-25 já existe"}]}"#;
    call.response.as_mut().unwrap().body = mop_wire::Body::whole(body.into(), false);
    assert_eq!(personal(&call), [(Message::Response, Place::Body, Class::Cpf)]);
}

#[test]
fn ordinary_calls_hold_nothing() {
    let body = serde_json::json!({
        "name": "Joana D'Ávila", "town": "Embu-Guaçu", "insurer": "SELECT Seguros S.A.",
        "policyId": "APL#2026/000123456-7;x=1", "susepProcessNumber": "15414.622222/2026-22",
        "amount": "1234567.89", "number": 4111111111111112_u64, "document": { "rel": "CPF" },
        "consentId": "urn:seguradora:C1DD33123", "postCode": "01310100", "start": "2026-11-24T12:00:00Z",
        "remarks": "Cobertura de 50% + franquia & assistência 24h (veja condições gerais) -- sem carência",
    });
    let made =
        Made::new("POST", "/open-insurance/claim/v1/policies/APL-2026%2F000123456-7?page=1", 201)
            .header("x-idempotency-key", "1fb79963-4bff-4204-9370-93aceb8a2f0d")
            .header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
            .header("Accept", "application/json, text/plain, */*");
    assert_eq!(personal(&json(made, &body.to_string())), []);
}

/// Descriptions, patterns and examples of all published interfaces, line by line, under the name of
/// each line: there are addresses, and one example of a token, and nothing else is taken for data.
#[test]
fn published_documents_hold_addresses_only() {
    let test = "published_documents_hold_addresses_only";
    let folder = env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| root().join("../shared/opin/specs"), std::path::PathBuf::from);
    let Ok(files) = fs::read_dir(folder) else {
        return skip(test, "no published documents; MOP_OPIN_SPECS names their folder");
    };
    let mut classes = BTreeSet::new();
    let mut lines = 0;
    for file in files {
        let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        for line in text.lines() {
            lines += 1;
            let name = line.trim_start().split(':').next();
            scan(line.as_bytes(), name, &mut |found| _ = classes.insert(found.class));
            leaks(line.as_bytes(), &mut |found| panic!("{:?} in line {lines}", found.leak));
        }
    }
    assert!(lines > 10_000, "{lines} lines");
    assert_eq!(classes, BTreeSet::from([Class::BearerToken, Class::Email]));
}
