//! Check digits of Brazilian registers, and of payment cards.
//!
//! Values are those of the characters less 48, so letters count as 17 to 42 (IN RFB 2.229/2024).

/// CPF: weights 10 to 2 for the first digit, 11 to 2 for the second; what is left of ten times the
/// sum by 11, 10 as 0.
pub(super) fn is_cpf(digits: &[u8; 11]) -> bool {
    let digit = |count: usize| sum(digits, count, 2..) * 10 % 11 % 10;
    is_varied(digits) && has(digits, 9, digit(9)) && has(digits, 10, digit(10))
}

/// CNPJ: weights 2 to 9 from the right, over and over; what is left of the sum by 11 is taken from
/// 11, and 10 and 11 are 0.
pub(super) fn is_cnpj(characters: &[u8; 14]) -> bool {
    let digit = |count: usize| complement(sum(characters, count, (2..10).cycle()));
    is_varied(characters) && has(characters, 12, digit(12)) && has(characters, 13, digit(13))
}

/// PIS: as the second digit of a CNPJ, over ten digits.
pub(super) fn is_pis(digits: &[u8; 11]) -> bool {
    is_varied(digits) && has(digits, 10, complement(sum(digits, 10, (2..10).cycle())))
}

/// CNH: weights 9 to 1 for the first digit, 1 to 9 for the second. When the first is 10 it is written
/// 0, and the second is less by 2.
pub(super) fn is_cnh(digits: &[u8; 11]) -> bool {
    let first = sum(digits, 9, 1..) % 11;
    let second = sum(digits, 9, (1..=9).rev()) % 11;
    let (first, less) = if first == 10 { (0, 2) } else { (first, 0) };
    let second = if second == 10 { 0 } else { (second + 11 - less) % 11 % 10 };
    is_varied(digits) && has(digits, 9, first) && has(digits, 10, second)
}

/// Luhn: from the right, every second digit is doubled and its digits added (ISO/IEC 7812-1).
pub(super) fn is_luhn(digits: &[u8]) -> bool {
    let weighted = digits.iter().rev().zip([1, 2].iter().cycle());
    let sum: u32 = weighted
        .map(|(digit, weight)| value(*digit) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    sum.is_multiple_of(10)
}

/// Sum of the first values, with weights from the right.
fn sum(characters: &[u8], count: usize, weights: impl Iterator<Item = u32>) -> u32 {
    characters.iter().take(count).rev().zip(weights).map(|(it, weight)| value(*it) * weight).sum()
}

fn complement(sum: u32) -> u32 {
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

fn has(characters: &[u8], at: usize, digit: u32) -> bool {
    characters.get(at).is_some_and(|it| value(*it) == digit)
}

/// Registers give no number of one digit only, though its check digits are right.
fn is_varied(characters: &[u8]) -> bool {
    characters.iter().any(|it| Some(it) != characters.first())
}

fn value(character: u8) -> u32 {
    u32::from(character.saturating_sub(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert!(is_cpf(b"52998224725"));
        assert!(!is_cpf(b"52998224726"));
        assert!(!is_cpf(b"11111111111"));
        assert!(is_cnpj(b"11222333000181"));
        // The example of the register for letters.
        assert!(is_cnpj(b"12ABC34501DE35"));
        assert!(!is_cnpj(b"12ABC34501DF35"));
        assert!(!is_cnpj(b"00000000000000"));
        // The weighted sum is 149, which is 13 times 11 and 6.
        assert!(is_pis(b"12056412545"));
        assert!(!is_pis(b"12056412546"));
        assert!(is_luhn(b"4111111111111111"));
        assert!(is_luhn(b"378282246310005"));
        assert!(!is_luhn(b"4111111111111112"));
    }

    /// Of all check digits exactly one pair is right, whatever the number.
    #[test]
    fn one_pair_is_right() {
        for seed in 1..2000_u32 {
            let base = format!("{:09}", u64::from(seed) * 7_919_773 % 1_000_000_000);
            let right = |is: fn(&[u8; 11]) -> bool| {
                let pairs = (0..100).map(|pair| format!("{base}{pair:02}"));
                pairs.filter(|text| is(text.as_bytes().try_into().unwrap())).count()
            };
            assert_eq!((right(is_cpf), right(is_cnh), right(is_pis)), (1, 1, 10), "{base}");
        }
    }
}
