//! Pseudonyms as they are told, and what an attacker without the root gets of them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::*;

fn root(byte: u8) -> Pseudonymiser {
    Pseudonymiser::new(Key::new([byte; 32]))
}

fn epoch(time: &str) -> Epoch {
    Epoch::of(time.parse().unwrap())
}

fn november() -> Epoch {
    epoch("2026-11-24T12:00:00Z")
}

#[test]
fn a_month_is_one_of_utc() {
    assert_eq!(november().to_string(), "2026-11");
    assert_eq!(epoch("2026-11-01T00:00:00Z"), november());
    assert_eq!(epoch("2026-11-30T23:59:59.999Z"), november());
    // Still November in Brasilia.
    assert_eq!(epoch("2026-11-30T23:00:00-03:00").to_string(), "2026-12");
    assert_ne!(epoch("2025-11-24T12:00:00Z"), november());
}

#[test]
fn classes_months_and_roots_never_agree() {
    let mut told = HashSet::new();
    let mut keys = HashSet::new();
    for byte in 0..3 {
        for time in ["2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z", "2027-11-01T12:00:00Z"] {
            let epoch = epoch(time);
            for class in Class::ALL {
                // A CNPJ and a CPF are texts too, so that a token may be one.
                let value = if class == Class::LegalPerson { CNPJ } else { CPF };
                let pseudonym = root(byte).pseudonym(class, value, epoch).unwrap();
                assert_eq!(Some(pseudonym), root(byte).pseudonym(class, value, epoch));
                assert!(told.insert(pseudonym.to_hex()), "{class:?} {epoch} {byte}");
                keys.insert(pseudonym.key());
            }
        }
    }
    assert_eq!((told.len(), keys.len()), (3 * 3 * 4, 3 * 3));
    assert!(keys.iter().all(|key| !told.iter().any(|it| it.contains(&key.to_string()))));
}

#[test]
fn a_number_of_a_person_has_one_pseudonym_however_it_is_written() {
    let of = |class, value| root(1).pseudonym(class, value, november());
    let cpf = of(Class::NaturalPerson, "529.982.247-25");
    assert!(cpf.is_some());
    assert_eq!(cpf, of(Class::NaturalPerson, "52998224725"));
    assert_ne!(cpf, of(Class::NaturalPerson, "111.444.777-35"));
    let cnpj = of(Class::LegalPerson, "12.ABC.345/01DE-35");
    assert!(cnpj.is_some());
    assert_eq!(cnpj, of(Class::LegalPerson, "12abc34501de35"));
}

#[test]
fn what_is_no_identifier_has_no_pseudonym() {
    for (class, value) in [
        (Class::NaturalPerson, "529.982.247-26"),
        (Class::NaturalPerson, "111.111.111-11"),
        (Class::NaturalPerson, CNPJ),
        (Class::LegalPerson, CPF),
        (Class::LegalPerson, "12ABC34501DE36"),
        (Class::Consent, ""),
        (Class::Token, ""),
    ] {
        assert_eq!(root(1).pseudonym(class, value, november()), None, "{class:?} {value}");
    }
}

/// Computed with another implementation (Python's `hmac`): nodes of other versions must agree.
#[test]
fn it_is_the_function_that_is_described() {
    let consent = root(0).pseudonym(Class::Consent, "urn:mop:c1", november()).unwrap();
    assert_eq!(consent.to_hex(), CONSENT);
    assert_eq!(consent.described(), format!("consent, key {KEY_ID}"));
    let person = root(0).pseudonym(Class::NaturalPerson, CPF, november()).unwrap();
    assert_eq!((person.to_hex().as_str(), person.key()), (PERSON, consent.key()));
}

#[test]
fn nothing_shows_the_root() {
    let pseudonymiser = root(7);
    assert_eq!(format!("{pseudonymiser:?}"), "Pseudonymiser");
    let identifier = pseudonymiser.identifier(Class::Token, "abc").unwrap();
    assert!(!format!("{identifier:?}").contains("abc"));
}

/// The number of a hash with a salt that everybody has is found by trying all; that of a pseudonym
/// is found by nobody but whoever has the root.
#[test]
fn numbers_that_are_tried_are_found_by_the_root_alone() {
    let pseudonym = root(1).pseudonym(Class::NaturalPerson, CPF, november()).unwrap();
    let salted = |number: &str| Sha256::new().chain_update(SALT).chain_update(number).finalize();
    let told_by_salt = salted(CPF);
    let (mut tried, mut by_salt, mut by_root) = (0, Vec::new(), Vec::new());
    for number in (0..100_000).map(|rest| format!("529982{rest:05}")) {
        let Some(with_root) = root(1).pseudonym(Class::NaturalPerson, &number, november()) else {
            continue;
        };
        tried += 1;
        if salted(&number) == told_by_salt {
            by_salt.push(number.clone());
        }
        if with_root == pseudonym {
            by_root.push(number.clone());
        }
        let mut salt = [0; 32];
        salt.iter_mut().zip(SALT.bytes()).for_each(|(to, from)| *to = from);
        let guesses = [
            first(&salted(&number)),
            first(&Sha256::digest(&number)),
            Key::new(salt).digest(Subject::NaturalPerson, number.as_bytes()).to_hex(),
            Pseudonymiser::new(Key::new(salt))
                .pseudonym(Class::NaturalPerson, &number, november())
                .unwrap()
                .to_hex(),
        ];
        assert!(!guesses.contains(&pseudonym.to_hex()), "{number}");
    }
    assert_eq!(tried, 1000);
    assert_eq!((by_salt, by_root), (vec![CPF.to_owned()], vec![CPF.to_owned()]));
}

fn first(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What stands before the values that the official server wants hashed.
const SALT: &str = "open-insurance-mop-v1";
const CPF: &str = "52998224725";
const CNPJ: &str = "12ABC34501DE35";
const CONSENT: &str = "4b3f3a5c5a0eb4e504524cef13c06857";
const PERSON: &str = "a0eb5e4ed6bee482bc1cc9c7ab282226";
const KEY_ID: &str = "624271af182a69ce";
