//! Numbers of the national registers: CPF, CNPJ, PIS and CNH.

use super::{
    Class, Found, Place,
    check_digits::{is_cnh, is_cnpj, is_cpf, is_pis},
    key::{Word, beside},
    word,
};

/// The number that begins here, where one may.
pub(super) fn find(place: Place<'_>) -> Option<Found> {
    // One byte tells most other words apart.
    let rest = place.rest();
    if rest.get(2) == Some(&b'.') || rest.get(3) == Some(&b'.') {
        return punctuated(place);
    }
    if rest.get(8).is_some_and(u8::is_ascii_alphanumeric) { bare(place) } else { None }
}

fn punctuated(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    let (class, length) = if shape(rest, CPF).is_some_and(|digits| is_cpf(&digits)) {
        (Class::Cpf, CPF.len())
    } else if shape(rest, CNPJ).is_some_and(|characters| is_cnpj(&characters)) {
        (Class::Cnpj, CNPJ.len())
    } else if shape(rest, PIS).is_some_and(|digits| is_pis(&digits)) {
        (Class::Pis, PIS.len())
    } else {
        return None;
    };
    let after = rest.get(length..).unwrap_or_default();
    word::ends(after).then(|| place.found(class, length))
}

/// Check digits come first: they are cheaper than words, and refuse most.
fn bare(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    if let Some(digits) = shape(rest, HALF_PUNCTUATED_CPF)
        && is_cpf(&digits)
        && word::ends(rest.get(HALF_PUNCTUATED_CPF.len()..).unwrap_or_default())
        && beside(place, CPF_WORDS)
    {
        return Some(place.found(Class::Cpf, HALF_PUNCTUATED_CPF.len()));
    }
    if let Some(digits) = shape(rest, ELEVEN)
        && word::stands_alone(place, ELEVEN.len())
    {
        let class = if is_cpf(&digits) && beside(place, CPF_WORDS) {
            Class::Cpf
        } else if is_pis(&digits) && beside(place, PIS_WORDS) {
            Class::Pis
        } else if is_cnh(&digits) && beside(place, CNH_WORDS) {
            Class::Cnh
        } else {
            return None;
        };
        return Some(place.found(class, ELEVEN.len()));
    }
    let characters = shape(rest, FOURTEEN)?;
    (is_cnpj(&characters) && word::stands_alone(place, FOURTEEN.len()) && beside(place, CNPJ_WORDS))
        .then(|| place.found(Class::Cnpj, FOURTEEN.len()))
}

/// The characters at the start of a text that has this form: `0` stands for a digit, `A` for a digit
/// or a capital letter, anything else for itself.
fn shape<const COUNT: usize>(text: &[u8], form: &[u8]) -> Option<[u8; COUNT]> {
    let mut characters = [0; COUNT];
    let mut places = characters.iter_mut();
    let text = text.get(..form.len())?;
    for (byte, expected) in text.iter().zip(form) {
        let fits = match expected {
            b'0' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            sign => {
                if byte != sign {
                    return None;
                }
                continue;
            }
        };
        if !fits {
            return None;
        }
        *places.next()? = *byte;
    }
    Some(characters)
}

const CPF: &[u8] = b"000.000.000-00";
const HALF_PUNCTUATED_CPF: &[u8] = b"000000000-00";
const CNPJ: &[u8] = b"AA.AAA.AAA/AAAA-00";
const PIS: &[u8] = b"000.00000.00-0";
const ELEVEN: &[u8] = b"00000000000";
const FOURTEEN: &[u8] = b"AAAAAAAAAAAA00";

const CPF_WORDS: &[Word] =
    &[Word::Inside("cpf"), Word::Whole("documento"), Word::Whole("document")];
const CNPJ_WORDS: &[Word] =
    &[Word::Inside("cnpj"), Word::Whole("documento"), Word::Whole("document")];
const PIS_WORDS: &[Word] =
    &[Word::Whole("pis"), Word::Whole("pasep"), Word::Whole("nis"), Word::Whole("nit")];
const CNH_WORDS: &[Word] =
    &[Word::Whole("cnh"), Word::Inside("habilitacao"), Word::Inside("habilitação")];
