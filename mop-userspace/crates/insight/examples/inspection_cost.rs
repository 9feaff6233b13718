//! What looking at a call costs: taking its values apart, evaluating all rules, each detector.
//!
//! ```text
//! cargo run --release -p mop-insight --example inspection_cost -- 50000
//! cargo run --release -p mop-insight --example inspection_cost -- 50000 detectors
//! cargo run --release -p mop-insight --example inspection_cost -- 50000 quote
//! ```
//!
//! Calls are the same from round to round; so what is kept of header values from call to call is
//! found, as it is for a client that sends many calls.
//!
//! The bar is 15 µs for reading and evaluating a request of 2 KB on one core, everything included.
//! The number is that of the calls of one repetition; the best and the median of the repetitions are
//! printed.
#![expect(clippy::unwrap_used, reason = "a measurement reports by panicking")]

use std::{fs, hint::black_box, path::Path, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mop_insight::security::{
    detectors::{Clues, Detector, Subject},
    rules::{Document, Event, Field, Reading, RuleSet, Scratch, parse_documents},
};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Role, Seen, Timing, Version,
};

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(50_000, |it| it.parse().unwrap());
    let which = std::env::args().nth(2).unwrap_or_default();
    let is_each = which == "detectors";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../rules/security");
    let rules = RuleSet::compile(&documents(&folder)).unwrap();
    for (name, exchange) in [
        ("POST of a consent", consent()),
        ("POST of a quote", quote()),
        ("GET with a query", query()),
        ("POST of marks, 16 KiB", posted("/a", &marks(false))),
        ("POST of marks in base64 of base64, 16 KiB", posted("/a", &marks(true))),
    ] {
        if !is_each && !name.contains(&which) {
            continue;
        }
        let rounds = if size(&exchange) > 10_000 { rounds / 500 + 1 } else { rounds };
        let (mut reading, mut scratch) = (Reading::of(rules.fields()), Scratch::default());
        let (facts, mut matches) = (facts(), 0);
        let event = read(&mut reading, &exchange, &facts);
        let bytes: usize = event.values().map(|value| value.bytes.len()).sum();
        let count = event.values().count();
        println!("{name}: {} bytes, {count} values of {bytes} bytes", size(&exchange));
        measure("all", rounds, &mut || {
            let event = read(&mut reading, black_box(&exchange), &facts);
            rules.evaluate(event, &mut scratch, &mut |_| matches += 1);
        });
        measure("reading", rounds, &mut || {
            black_box(read(&mut reading, black_box(&exchange), &facts));
        });
        let event = read(&mut reading, &exchange, &facts);
        measure("rules", rounds, &mut || {
            rules.evaluate(black_box(event), &mut scratch, &mut |_| matches += 1);
        });
        let detectors = if is_each { &Detector::ALL[..] } else { &[] };
        for detector in detectors.iter().copied() {
            measure(detector.name(), rounds / 4, &mut || {
                black_box(look(detector, black_box(event)));
            });
        }
        println!("matches: {matches}");
    }
}

/// Prints what a call takes, in microseconds.
fn measure(name: &str, rounds: usize, run: &mut dyn FnMut()) {
    // Until caches are filled and the clock of the core is up.
    for _ in 0..rounds / 2 {
        run();
    }
    let mut taken: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..rounds {
                run();
            }
            begin.elapsed().as_secs_f64() * 1e6 / rounds as f64
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("  {name}: best {:.2} µs, median {:.2} µs", taken[0], taken[REPETITIONS / 2]);
}

/// One detector over all input, without what spares it values.
fn look(detector: Detector, event: &Event) -> Option<u8> {
    let input = event.values().filter(|value| value.fields.has(&Field::Input));
    let mut least = None;
    for value in input {
        let Some(place) = value.place else { continue };
        let name = std::str::from_utf8(value.name).ok().filter(|name| !name.is_empty());
        let (bytes, steps) = (value.bytes, value.steps);
        let level =
            detector.suspicion(&Subject { bytes, place, name, steps, clues: Clues::of(bytes) });
        least = least.into_iter().chain(level).min();
    }
    least
}

fn consent() -> Exchange {
    posted("/open-insurance/consents/v3/consents", CONSENT)
}

fn quote() -> Exchange {
    posted("/open-insurance/quote-auto/v1/request", QUOTE)
}

/// One value, of what every detector looks at and none finds.
fn marks(is_encoded: bool) -> String {
    let marks = "a '(<$%5b{:/.;\\\\x41&#65;@-=!".repeat(600);
    let value = if is_encoded {
        STANDARD.encode(STANDARD.encode(&marks[..9 << 10]))
    } else {
        marks[..16 << 10].to_owned()
    };
    format!(r#"{{"data":"{value}"}}"#)
}

fn posted(target: &str, body: &str) -> Exchange {
    let length = body.len().to_string();
    let mut fields = vec![
        ("content-type", "application/json"),
        ("content-length", &length),
        ("x-idempotency-key", "0c8c7a2b-5f41-4a0c-9a5e-d7b1e0f3c2a4"),
    ];
    fields.extend(FIELDS);
    exchange("POST", target, &fields, body.as_bytes())
}

fn query() -> Exchange {
    let target = "/open-insurance/insurance-auto/v1/insurance-auto/\
                  9a1b6f0e-4d57-4c28-8f6b-0e7d2c4b5a61/claim?page=1&page-size=25\
                  &fromDate=2026-01-01&toDate=2026-06-30&status=ABERTO";
    exchange("GET", target, FIELDS, b"")
}

fn exchange(method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Exchange {
    let mut headers = Headers::default();
    headers.push("authorization", format!("Bearer {}", token()).as_bytes());
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    Exchange {
        connection: 1,
        sequence: 0,
        role: Role::Server,
        request: Some(Request {
            method: method.to_owned().into(),
            target: target.into(),
            version: Version::Http11,
            headers,
            body: Body::whole(body.to_vec(), false),
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

/// 800 characters, of the form of a signed token.
fn token() -> String {
    let mut state = 0x6d6f_7021_u32;
    let mut part = |start: &str, length: usize| {
        let characters = (start.len()..length).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(ALPHABET[(state >> 26) as usize])
        });
        format!("{start}{}", characters.collect::<String>())
    };
    [part("eyJhbGciOiJQUzI1NiIs", 96), part("eyJpc3MiOiJodHRwczov", 360), part("", 342)].join(".")
}

fn read<'r>(
    reading: &'r mut Reading,
    exchange: &Exchange,
    facts: &[(Field, &'static [u8])],
) -> &'r Event {
    reading.begin();
    facts.iter().for_each(|(field, value)| reading.note(field, value));
    reading.read(exchange)
}

/// What is known of a call beside its messages.
fn facts() -> Vec<(Field, &'static [u8])> {
    vec![
        (Field::ClientAddress, b"192.0.2.10"),
        (Field::ClientOrganisation, b"f0a1c2d3-0000-4000-8000-000000000001"),
        (Field::DurationMs, b"41"),
        (Field::ServerPort, b"443"),
        (Field::ContractMatch, b"operation"),
    ]
}

fn size(exchange: &Exchange) -> usize {
    let Some(request) = &exchange.request else { return 0 };
    let fields = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
    fields.sum::<usize>() + request.target.len() + request.body.bytes.len()
}

fn documents(folder: &Path) -> Vec<Document> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    let read = |file: &std::path::PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        parse_documents(&name, &fs::read_to_string(file).unwrap()).unwrap()
    };
    files.iter().flat_map(read).collect()
}

/// An odd number, so that there is a median.
const REPETITIONS: usize = 9;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Fields that clients of the ecosystem send.
const FIELDS: &[(&str, &str)] = &[
    ("host", "api.seguradora.example"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br"),
    ("user-agent", "Apache-HttpClient/5.3.1 (Java/21.0.2)"),
    ("x-fapi-interaction-id", "d78fc4e5-37ca-4da3-adf2-9b082bf92280"),
    ("x-fapi-auth-date", "Tue, 24 Nov 2026 12:00:00 GMT"),
    ("x-fapi-customer-ip-address", "192.0.2.10"),
    ("x-customer-user-agent", "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("connection", "keep-alive"),
];

/// 2 KB with its header fields.
const CONSENT: &str = r#"{"data":{"loggedUser":{"document":{"identification":"00000000000","rel":"CPF"}},"businessEntity":{"document":{"identification":"00000000000000","rel":"CNPJ"}},"permissions":["RESOURCES_READ","CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ","CUSTOMERS_PERSONAL_QUALIFICATION_READ","CUSTOMERS_PERSONAL_ADDITIONALINFO_READ","DAMAGES_AND_PEOPLE_AUTO_READ","DAMAGES_AND_PEOPLE_AUTO_POLICYINFO_READ","DAMAGES_AND_PEOPLE_AUTO_PREMIUM_READ","DAMAGES_AND_PEOPLE_AUTO_CLAIM_READ","DAMAGES_AND_PEOPLE_PERSON_READ","DAMAGES_AND_PEOPLE_PERSON_POLICYINFO_READ","DAMAGES_AND_PEOPLE_PERSON_CLAIM_READ"],"expirationDateTime":"2027-05-21T08:30:00Z"}}"#;

const QUOTE: &str = r#"{"data":{"consentId":"urn:seguradora:C1DD33123-0b4f-4c1c-9f2d-3f5c7a1d2e6b","expirationDateTime":"2027-05-21T08:30:00Z","personal":{"identification":{"brandName":"Seguradora Exemplo","civilName":"Maria Aparecida Gonçalves","cpfNumber":"00000000000","companyInfo":{"cnpjNumber":"00000000000000","name":"Empresa da Organização A"},"updateDateTime":"2026-11-21T08:30:00Z"},"contact":{"postalAddresses":[{"address":"Av Naburo Ykesaki, 1270","townName":"Marília","countrySubDivision":"SP","postCode":"17500001","country":"BRA"}],"emails":[{"email":"nome@br.example"}]}},"quoteData":{"isCollectiveStipulated":true,"termType":"ANUAL","termStartDate":"2026-12-01","termEndDate":"2027-12-01","termTime":"DIA","currency":"BRL","includesAssistanceServices":false,"coverages":[{"branch":"0531","code":"CASCO_COMPREENSIVA","description":"Cobertura compreensiva do casco","isSeparateContractingAllowed":true,"maxLMI":{"amount":"90000.85","unitType":"MONETARIO","unit":{"code":"R$","description":"BRL"}}}],"insuredObjects":[{"identification":"0a7d5c1e-2f3b-4c6d-8e9f-1a2b3c4d5e6f","model":"Modelo 1.0 Flex","modelYear":"2024"}]}}}"#;
