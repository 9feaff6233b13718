//! What tests of detectors have in common: a value in all its forms, and ordinary values.

use super::{Clues, Detector, Subject};
use crate::security::normalise::{chain::Chain, part::Place, step::Steps};

/// The lowest level of all forms of a value.
pub(super) fn level(
    detector: Detector,
    place: Place,
    name: Option<&str>,
    value: &[u8],
) -> Option<u8> {
    let mut least: Option<u8> = None;
    let _given = Chain::new().views(value, place.kind(), &mut |view| {
        let clues = Clues::of(view.bytes);
        let subject = Subject { bytes: view.bytes, place, name, steps: view.steps, clues };
        if let Some(level) = detector.suspicion(&subject) {
            least = Some(least.map_or(level, |least| least.min(level)));
        }
    });
    least
}

/// The level of a value in the form that it has.
pub(super) fn level_as_it_is(detector: Detector, place: Place, value: &[u8]) -> Option<u8> {
    let (steps, clues) = (Steps::NONE, Clues::of(value));
    detector.suspicion(&Subject { bytes: value, place, name: None, steps, clues })
}

/// Says which attacks are missed, and which ordinary values are taken for one, at level 1.
pub(super) fn check(detector: Detector, attacks: &[&str], ordinary: &[&str]) {
    let places = [Place::JsonString, Place::QueryValue, Place::HeaderValue];
    let missed: Vec<_> = attacks
        .iter()
        .filter(|attack| {
            level(detector, Place::JsonString, Some("value"), attack.as_bytes()) != Some(1)
        })
        .collect();
    let mistaken: Vec<_> = ordinary
        .iter()
        .chain(ORDINARY)
        .filter(|text| {
            places
                .iter()
                .any(|place| level(detector, *place, Some("value"), text.as_bytes()) == Some(1))
        })
        .collect();
    assert!(missed.is_empty() && mistaken.is_empty(), "missed {missed:#?}, mistaken {mistaken:#?}");
}

/// What an application of the ecosystem may send anywhere.
pub(super) const ORDINARY: &[&str] = &[
    "Maria D'Ávila",
    "João O'Brien & Filhos Ltda.",
    "SELECT Seguros S.A.",
    "Embu-Guaçu",
    "AB-12/34.56_78#9",
    "Apólice nº 123.456/2024 (vigência: 12 meses)",
    "R$ 100,00",
    "100% de desconto; válido até 31/12/2026",
    "(a & b)",
    "x < 3 and y > 2",
    "if a<b and c>d then e",
    "Ana <ana.lima@example.com>",
    "ana.lima+seguro@example.com",
    "https://www.example.com/path/to/page?x=1&y=2#top",
    "http://example.com:8080/a/b/c.html",
    "urn:example:consent:C1DD33123",
    "foto do carro (frente).jpg",
    r"C:\fakepath\contrato final.pdf",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.5.0",
    "Wget/1.21.4",
    "python-requests/2.32.3",
    "PostmanRuntime/7.39.0",
    "okhttp/4.12.0",
    "Java/21.0.2",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
    "application/json; charset=utf-8",
    "session=abc123; theme=dark; _ga=GA1.2.123456789.1700000000",
    "max-age=31536000; includeSubDomains; preload",
    "Bearer eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "2026-11-24T10:15:30Z",
    "Tue, 24 Nov 2026 10:15:30 GMT",
    "+55 (11) 98765-4321",
    "529.982.247-25",
    "12.ABC.345/01DE-35",
    "O cliente disse: \"não recebi a apólice\"; favor reenviar.",
    "Danos elétricos, vendaval, incêndio etc.",
    "Coverage includes fire, theft, flood, etc...",
    "Rua das Flores, 123 - apto. 45 / bloco B",
    "Sinistro #4521: colisão traseira (sem vítimas)",
    "{\"name\":\"Ana\",\"age\":30,\"tags\":[\"a\",\"b\"]}",
    "[1, 2, 3]",
    "{}",
    "a|b|c",
    "nome;cpf;valor",
    "name=Ana&age=30",
    "page=1&page-size=25",
    "5 * 3 = 15",
    "(1 + 2) * 3",
    "C++ / C# / F#",
    "Preço: R$ 1.234,56 (à vista) ou 3x de R$ 450,00",
    "@ana, veja isso!",
    "#seguro #auto #2026",
    "50% + 10%",
    "Plano A -> Plano B",
    "Plano <básico>",
    "Test & Demo",
    "AT&T",
    "Johnson & Johnson; Procter & Gamble",
    "Tom's \"special\" case",
    "rock 'n' roll",
    "It's 5 o'clock; time to go home",
    "Please confirm (yes/no)",
    "alert(s) pending: 3",
    "The system (new) is online; date and time are set.",
    "Sort by name; find the host; type the id",
    "Cat & dog insurance; pet-friendly",
    "cat's cradle; dog's life",
    "Leave the file on the table | more later",
    "The ID; the name; the date",
    "open-insurance/insurance-auto/v1/insurance-auto/AB12/policy-info",
    "/open-insurance/consents/v3/consents/urn%3Aexample%3AC1DD33123",
    "W/\"33a64df551425fcc55e4d42a148795d9f25f89d4\"",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "d78fc4e5-37ca-4da3-adf2-9b082bf92280",
    "gzip, deflate, br, zstd",
    "pt-BR,pt;q=0.9,en-US;q=0.8",
    "\"Chromium\";v=\"126\", \"Not/A)Brand\";v=\"24\"",
    "Olá {nome}, sua apólice {numero} vence em {dias} dias",
    "Hello {{name}}",
    "Total: ${amount}",
    "US$ {valor}",
    "10.0.19045",
    "v1.2.3-rc.1+build.5",
    "linha um\nlinha dois\nlinha três",
    "item 1\n- a\n- b\n* c",
    "Sim :) Não :( Talvez ;)",
    "valor >= 100 && valor <= 200",
    "a || b",
    "código `A1` do produto",
    "<p>Texto <b>forte</b> e <i>leve</i></p>",
    "<br>",
    "1 < 2",
    "<3",
    "->",
    "TRUE",
    "null",
    "-23.5505199,-46.6333094",
    "GET",
    "SGVsbG8sIHdvcmxkISBIb3cgYXJlIHlvdT8=",
    "Seguro de vida em grupo: cobertura básica (morte) + adicionais",
    "Prêmio líquido = prêmio tarifário - desconto",
    "Evento: online=sim; presencial=não",
    "Ramo 0531 - RCF-V; ramo 0553 - AUTO",
    "Contato: (11) 3456-7890, ramal *23",
    "Empresa Teste S/A",
    "S/N",
    "a/b/c",
    "A & B: comparação <rápida>",
    "e-mail: a@b.example; tel: 123",
    "Ação n.º 0001234-56.2026.8.26.0100",
];
