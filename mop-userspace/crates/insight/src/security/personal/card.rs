//! Numbers of payment cards.

use super::{
    Class, Found, Place,
    check_digits::is_luhn,
    key::{Word, beside},
    word,
};

/// The number that begins here, where one may.
pub(super) fn find(place: Place<'_>) -> Option<Found> {
    grouped(place).or_else(|| bare(place))
}

/// Digits in the groups that are printed on cards.
fn grouped(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    let separator = *rest.get(4).filter(|byte| matches!(byte, b' ' | b'-'))?;
    GROUPS.iter().find_map(|groups| {
        let mut digits = [0; MAX_DIGITS];
        let mut places = digits.iter_mut();
        let mut length = 0;
        for (index, group) in groups.iter().enumerate() {
            if index > 0 {
                if rest.get(length) != Some(&separator) {
                    return None;
                }
                length += 1;
            }
            for byte in rest.get(length..length + group)? {
                if !byte.is_ascii_digit() {
                    return None;
                }
                *places.next()? = *byte;
            }
            length += group;
        }
        let digits = digits.get(..groups.iter().sum())?;
        let after = rest.get(length..).unwrap_or_default();
        (word::ends(after) && is_card(digits)).then(|| place.found(Class::Card, length))
    })
}

fn bare(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    let length = word::digits(rest, MAX_DIGITS);
    let digits = rest.get(..length)?;
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&length)
        || !is_card(digits)
        || !word::stands_alone(place, length)
    {
        return None;
    }
    let is_usual = matches!(length, 15 | 16) && !beside(place, OTHER_WORDS);
    (is_usual || beside(place, CARD_WORDS)).then(|| place.found(Class::Card, length))
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = |count: usize| {
        let digits = digits.iter().take(count);
        digits.fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let is_of_brand = BRANDS.iter().any(|brand| {
        let (digits_of_prefix, first, last) = brand.prefixes;
        (first..=last).contains(&prefix(digits_of_prefix)) && brand.lengths.contains(&digits.len())
    });
    is_of_brand && is_luhn(digits)
}

/// Numbers that a brand gives.
struct Brand {
    /// How many digits the prefix has, and which are the first and the last of them.
    prefixes: (usize, u32, u32),
    lengths: &'static [usize],
}

const fn brand(prefixes: (usize, u32, u32), lengths: &'static [usize]) -> Brand {
    Brand { prefixes, lengths }
}

/// Issuer identification numbers as the brands publish them (ISO/IEC 7812). Most numbers of Elo are
/// within the ranges of Visa and Discover.
const BRANDS: [Brand; 16] = [
    // American Express.
    brand((2, 34, 34), &[15]),
    brand((2, 37, 37), &[15]),
    // Diners Club.
    brand((3, 300, 305), &[14]),
    brand((2, 36, 36), &[14]),
    brand((2, 38, 39), &[14, 16]),
    // Discover.
    brand((4, 6011, 6011), &[16, 19]),
    brand((3, 644, 659), &[16, 19]),
    // Elo.
    brand((4, 5041, 5041), &[16]),
    brand((4, 5066, 5067), &[16]),
    brand((4, 5090, 5090), &[16]),
    brand((4, 6362, 6363), &[16]),
    // Hipercard.
    brand((6, 606_282, 606_282), &[16, 19]),
    // JCB.
    brand((4, 3528, 3589), &[16, 19]),
    // Mastercard.
    brand((2, 51, 55), &[16]),
    brand((4, 2221, 2720), &[16]),
    // Visa.
    brand((1, 4, 4), &[13, 16, 19]),
];

/// The longest first, so that none is taken for the start of a longer one.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// ISO/IEC 7812-1 has at most 19 digits; no brand above has less than 13.
const MAX_DIGITS: usize = 19;
const MIN_DIGITS: usize = 13;

const CARD_WORDS: &[Word] = &[
    Word::Inside("card"),
    Word::Inside("cartao"),
    Word::Inside("cartão"),
    Word::Whole("pan"),
    Word::Whole("cc"),
];

/// One in fifty numbers of 16 digits passes for a card, and insurers number much.
const OTHER_WORDS: &[Word] = &[
    Word::Whole("id"),
    Word::Whole("ids"),
    Word::Whole("jti"),
    Word::Whole("nonce"),
    Word::Whole("trace"),
    Word::Inside("apolice"),
    Word::Inside("apólice"),
    Word::Inside("barcode"),
    Word::Inside("barras"),
    Word::Inside("bilhete"),
    Word::Inside("boleto"),
    Word::Inside("certifica"),
    Word::Inside("claim"),
    Word::Inside("contrat"),
    Word::Inside("contract"),
    Word::Inside("identif"),
    Word::Inside("polic"),
    Word::Inside("process"),
    Word::Inside("proposal"),
    Word::Inside("proposta"),
    Word::Inside("protocol"),
    Word::Inside("sinistro"),
    Word::Inside("susep"),
    Word::Inside("time"),
];
