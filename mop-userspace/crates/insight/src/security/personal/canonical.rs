//! Numbers of persons in the one form in which two ways to write them are equal.

use super::check_digits;

/// The 11 digits of a CPF, with or without its points and hyphen. `None` when it has another
/// length, or its check digits do not hold.
pub(in crate::security) fn cpf(text: &str) -> Option<[u8; 11]> {
    let digits = characters(text)?;
    let is_one = digits.iter().all(u8::is_ascii_digit) && check_digits::is_cpf(&digits);
    is_one.then_some(digits)
}

/// The 14 characters of a CNPJ, with or without its points, stroke and hyphen; letters, which it
/// has since IN RFB 2.229/2024, as capitals. `None` when it has another length, or its check digits
/// do not hold.
pub(in crate::security) fn cnpj(text: &str) -> Option<[u8; 14]> {
    let characters: [u8; 14] = characters(text)?;
    let is_form = characters.iter().all(u8::is_ascii_alphanumeric)
        && characters.iter().rev().take(2).all(u8::is_ascii_digit);
    (is_form && check_digits::is_cnpj(&characters)).then_some(characters)
}

/// So many characters, not counting punctuation and blanks around.
fn characters<const COUNT: usize>(text: &str) -> Option<[u8; COUNT]> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let mut characters = [0; COUNT];
    let mut places = characters.iter_mut();
    for byte in text.trim_ascii().bytes().filter(|byte| !b".-/".contains(byte)) {
        *places.next()? = byte.to_ascii_uppercase();
    }
    let is_full = places.next().is_none();
    is_full.then_some(characters)
}

/// The longest form has 18: `12.ABC.345/01DE-35`.
const MAX_TEXT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_form() {
        for text in ["529.982.247-25", "52998224725", "529982247-25", " 529.982.247-25\n"] {
            assert_eq!(cpf(text).as_ref(), Some(b"52998224725"), "{text}");
        }
        for text in ["12.ABC.345/01DE-35", "12abc34501de35", "12.abc.345/01de-35"] {
            assert_eq!(cnpj(text).as_ref(), Some(b"12ABC34501DE35"), "{text}");
        }
        assert_eq!(cnpj("11.222.333/0001-81").as_ref(), Some(b"11222333000181"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "5".repeat(1 << 20);
        let texts = [
            "",
            ".",
            "529.982.247-26",
            "5299822472",
            "529982247250",
            "111.111.111-11",
            "529.982.247_25",
            "5299822472\u{665}",
            "A2998224725",
            &long,
        ];
        for text in texts {
            assert_eq!(cpf(text), None, "{}", text.len());
        }
        for text in ["", "12ABC34501DE36", "12ABC34501DE3", "12ABC34501DEA5", "00000000000000"] {
            assert_eq!(cnpj(text), None, "{text}");
        }
    }
}
