use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::{
    check_digits::{is_cnh, is_cnpj, is_cpf, is_luhn, is_pis},
    *,
};

fn found(text: &str, name: Option<&str>) -> Vec<(Class, String)> {
    let mut found = Vec::new();
    scan(text.as_bytes(), name, &mut |one| {
        let bytes = &text.as_bytes()[one.range];
        found.push((one.class, String::from_utf8_lossy(bytes).into_owned()));
    });
    found
}

fn classes(text: &str, name: Option<&str>) -> Vec<Class> {
    found(text, name).into_iter().map(|(class, _)| class).collect()
}

/// The number that these characters begin, with the check digits that are right.
fn completed<const COUNT: usize>(base: &str, is_right: fn(&[u8; COUNT]) -> bool) -> String {
    let width = COUNT - base.len();
    (0..10_usize.pow(width as u32))
        .map(|digits| format!("{base}{digits:0width$}"))
        .find(|text| is_right(text.as_bytes().try_into().unwrap()))
        .unwrap()
}

fn punctuated(bare: &str, form: &str) -> String {
    let mut characters = bare.chars();
    form.chars().map(|sign| if sign == '0' { characters.next().unwrap() } else { sign }).collect()
}

fn card(base: &str) -> String {
    (0..10).map(|digit| format!("{base}{digit}")).find(|text| is_luhn(text.as_bytes())).unwrap()
}

#[test]
fn numbers_of_registers_are_found() {
    let cpf = completed("123987456", is_cpf);
    let cnpj = completed("456789120001", is_cnpj);
    let letters = completed("1A2B3C4D0001", is_cnpj);
    let pis = completed("1234509876", is_pis);
    let cnh = completed("987123654", is_cnh);
    for (text, name, class) in [
        (punctuated(&cpf, "000.000.000-00"), None, Class::Cpf),
        (punctuated(&cnpj, "00.000.000/0000-00"), None, Class::Cnpj),
        (punctuated(&letters, "00.000.000/0000-00"), None, Class::Cnpj),
        (punctuated(&pis, "000.00000.00-0"), None, Class::Pis),
        (cpf.clone(), Some("cpfNumber"), Class::Cpf),
        (cnpj.clone(), Some("cnpjCpfNumber"), Class::Cnpj),
        (letters.clone(), Some("cnpjNumber"), Class::Cnpj),
        (pis.clone(), Some("PIS/PASEP"), Class::Pis),
        (cnh.clone(), Some("numeroCnh"), Class::Cnh),
    ] {
        assert_eq!(found(&text, name), [(class, text.clone())], "{class:?}");
        let framed = format!("valor ({text}), fim");
        assert_eq!(classes(&framed, name), [class], "{class:?}");
        let mut wrong = text.clone();
        let last = wrong.pop().unwrap();
        wrong.push(if last == '9' { '0' } else { char::from(last as u8 + 1) });
        assert_eq!(classes(&wrong, name), [], "{class:?} with a wrong digit");
        for longer in
            [format!("7{text}"), format!("{text}7"), format!("7.{text}"), format!("{text}-7")]
        {
            assert_eq!(classes(&longer, name), [], "{class:?} in a longer number");
        }
    }
    for text in [
        format!("/customers?cpf={cpf}"),
        format!(r#"{{"cpf":"{cpf}"}}"#),
        format!("CPF do segurado: {cpf}."),
        format!("cpf {}-{}", &cpf[..9], &cpf[9..]),
    ] {
        assert_eq!(classes(&text, None), [Class::Cpf], "{text}");
    }
}

#[test]
fn bare_digits_without_a_word_are_not_personal() {
    let cpf = completed("123987456", is_cpf);
    for (text, name) in [
        (cpf.clone(), None),
        (cpf.clone(), Some("policyId")),
        (format!("cpf=1&protocolo={cpf}"), None),
        (format!(r#"{{"cpf":null,"id":{cpf}}}"#), None),
        (completed("456789120001", is_cnpj), Some("certificateId")),
        ("11111111111".to_owned(), Some("cpf")),
        ("111.111.111-11".to_owned(), None),
        ("00.000.000/0000-00".to_owned(), None),
        (format!("9f{cpf}"), Some("cpf")),
        (format!("ab-{cpf}"), Some("cpf")),
    ] {
        assert_eq!(classes(&text, name), [], "{text}");
    }
}

#[test]
fn cards_have_brand_length_and_luhn() {
    for base in [
        "411111111111111",
        "555555555555444",
        "222100000000000",
        "37828224631000",
        "601111111111111",
        "636368000000000",
        "606282000000000",
        "353011133330000",
    ] {
        let number = card(base);
        assert_eq!(classes(&number, None), [Class::Card], "{base}");
        assert_eq!(classes(&number, Some("policyId")), [], "{base} as an identifier");
        if number.len() == 16 {
            for separator in [" ", "-"] {
                let groups =
                    [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(separator);
                assert_eq!(found(&groups, Some("policyId")), [(Class::Card, groups.clone())]);
            }
        }
        let mut wrong = number.clone();
        let last = wrong.pop().unwrap();
        wrong.push(if last == '9' { '0' } else { '9' });
        assert_eq!(classes(&wrong, None), [], "{base} with a wrong digit");
        assert_eq!(classes(&format!("{number}1234"), None), []);
    }
    let diners = card("3600000000000");
    assert_eq!(classes(&diners, None), []);
    assert_eq!(classes(&diners, Some("cardNumber")), [Class::Card]);
    // No brand.
    assert_eq!(classes(&card("911111111111111"), None), []);
}

#[test]
fn addresses_and_telephones_are_found() {
    for (text, class) in [
        ("maria.silva@seguradora.example", Class::Email),
        ("mailto:maria+x@mail.seguradora.com.br?subject=1", Class::Email),
        ("Escreva para d_avila@exemplo.com.br.", Class::Email),
        ("+55 11 98765-4321", Class::Phone),
        ("+5511987654321", Class::Phone),
        ("+55 (11) 3456-7890", Class::Phone),
        ("(85) 98765 4321", Class::Phone),
        ("(85)34567890", Class::Phone),
        ("telefone: 11 98765-4321", Class::Phone),
        (r#"{"phone":"5511987654321"}"#, Class::Phone),
    ] {
        assert_eq!(classes(text, None), [class], "{text}");
    }
    for text in [
        "logo@2x.png",
        "https://user:secret@host.example/",
        "https://user@host.example/",
        "lodash@4.17.21",
        "a@b",
        "@example.com",
        "maria.@example.com",
        "maria@-example.com",
        "+1 212 555 0100",
        "(20) 98765-4321",
        "(11) 8765-4321",
        "11 98765-4321",
        "5511987654321",
        "2026-11-24T12:00:00",
    ] {
        assert_eq!(classes(text, None), [], "{text}");
    }
}

#[test]
fn tokens_and_keys_are_found() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"PS256","kid":"1"}"#);
    let token = format!("{header}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"sub":"x"}"#));
    assert_eq!(found(&token, None), [(Class::JsonWebToken, token.clone())]);
    assert_eq!(found(&format!("Bearer {token}"), None), [(Class::JsonWebToken, token.clone())]);
    assert_eq!(found(&format!("É {token}."), None), [(Class::JsonWebToken, token.clone())]);
    let none = token.replace("c2lnbmF0dXJl", "");
    assert_eq!(classes(&none, None), [Class::JsonWebToken]);
    assert_eq!(classes(&format!("{header}..a.b.c"), None), [Class::JsonWebToken]);
    assert_eq!(
        found("authorization: bearer 0123456789abcdef0", None),
        [(Class::BearerToken, "bearer 0123456789abcdef0".to_owned())]
    );
    for kind in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
        let text = format!("x\n-----BEGIN {kind}PRIVATE KEY-----\nMII");
        assert_eq!(classes(&text, None), [Class::PrivateKey], "{kind}");
    }
    let other = URL_SAFE_NO_PAD.encode(r#"{"other":"PS256"}"#);
    for text in [
        format!("{other}.e30.c2ln"),
        header.clone(),
        format!("{header}.e30"),
        format!("{header}.e30.a.b.c.d"),
        "Bearer of this letter".to_owned(),
        "Bearer tokens-are-described-here".to_owned(),
        "-----BEGIN CERTIFICATE-----".to_owned(),
        "-----BEGIN PUBLIC KEY-----".to_owned(),
    ] {
        assert_eq!(classes(&text, None), [], "{text}");
    }
}

#[test]
fn ordinary_texts_hold_nothing() {
    for text in [
        "D'Ávila",
        "Embu-Guaçu",
        "SELECT Seguros S.A.",
        "Santa Bárbara d'Oeste",
        "APL-2026/000123456-7",
        "POL#12.345.678/2026-90",
        "urn:seguradora:C1DD33123",
        "15414.622222/2026-22",
        "154146222222026222",
        "2026-11-24T12:00:00.123456789Z",
        "1732449600123456789",
        "1fb79963-4bff-4204-9370-93aceb8a2f0d",
        "R$ 1.234.567,89",
        "CEP 01310-100",
        "10.0.0.1:443, 198.51.100.7",
        "23793.38128 60007.827136 95000.063305 9 84660000012345",
        "-23.5505199,-46.6333094",
    ] {
        assert_eq!(classes(text, None), [], "{text}");
    }
}

proptest! {
    #[test]
    fn finds_are_in_order_and_inside(text in any::<Vec<u8>>(), plain in "[0-9A-Z@.()+ a-e/-]{0,80}") {
        for text in [&text[..], plain.as_bytes()] {
            let mut last = 0;
            scan(text, Some("cpf pis telefone card"), &mut |one| {
                assert!(last <= one.range.start && one.range.start < one.range.end);
                assert!(one.range.end <= text.len());
                last = one.range.end;
            });
        }
    }

    #[test]
    fn what_is_made_is_found_anywhere(
        base in "[0-9]{9}",
        company in "[0-9A-Z]{12}",
        before in "[a-z:=]{0,8} ",
        after in "( [a-z]{0,8})?",
    ) {
        prop_assume!(base.bytes().any(|it| it != base.as_bytes()[0]));
        prop_assume!(company.bytes().any(|it| it != company.as_bytes()[0]));
        let cpf = punctuated(&completed(&base, is_cpf), "000.000.000-00");
        let cnpj = punctuated(&completed(&company, is_cnpj), "00.000.000/0000-00");
        for (text, class) in [(cpf, Class::Cpf), (cnpj, Class::Cnpj)] {
            prop_assert_eq!(found(&format!("{before}{text}{after}"), None), [(class, text)]);
        }
    }
}

/// Work that grows with the square of the length would take minutes.
#[test]
fn hostile_texts_are_read_in_linear_time() {
    for piece in [
        "eyJ.",
        "eyJ",
        "a@",
        "@",
        "bearer ",
        "-----BEGIN ",
        "1.",
        "(11)",
        "+55",
        "4111 ",
        "A1.",
        "1234567890123456 ",
        "cpf 12398745600 ",
        "a.a@a.",
    ] {
        let text = piece.repeat((4 << 20) / piece.len());
        scan(text.as_bytes(), None, &mut |_| {});
    }
}
