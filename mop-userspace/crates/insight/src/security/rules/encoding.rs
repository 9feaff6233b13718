//! Forms that one text of a rule can take in a call: Base64, and dashes of command lines.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The text in Base64, as a whole.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    STANDARD.encode(text).into_bytes()
}

/// What is always the same in the Base64 of a longer text that has this one at some place: one form
/// for each remainder of that place divided by three.
///
/// ```text
/// place % 3   characters that depend on what stands before   bits of the first own character
/// 0           0                                              24 = 4 characters
/// 1           2                                              8 bits before: characters 0 and 1
/// 2           3                                              16 bits before: characters 0 to 2
/// ```
pub(super) fn base64_at_any_offset(text: &[u8]) -> Vec<Vec<u8>> {
    let at_offset = |offset: usize| {
        let mut longer = vec![0; offset];
        longer.extend(text);
        // Of the last group, only characters whose bits are all known stay.
        let known = longer.len() * 8 / 6;
        let foreign = (offset * 8).div_ceil(6);
        let encoded = base64(&longer);
        encoded.get(foreign..known).unwrap_or_default().to_vec()
    };
    let mut forms: Vec<Vec<u8>> = (0..3).map(at_offset).collect();
    forms.retain(|form| !form.is_empty());
    forms
}

/// All ways to write the dashes of options: each dash or slash that begins a word becomes any of the
/// characters that command lines take for it. `None` when there are too many.
pub(super) fn dashes(text: &str) -> Option<Vec<String>> {
    let mut forms = vec![String::new()];
    let mut before = None;
    for character in text.chars() {
        let begins_word = !before.is_some_and(|before: char| before.is_alphanumeric());
        before = Some(character);
        if !(begins_word && matches!(character, '-' | '/')) {
            for form in &mut forms {
                form.push(character);
            }
            continue;
        }
        if forms.len() * DASHES.len() > MAX_FORMS {
            return None;
        }
        forms = forms
            .iter()
            .flat_map(|form| DASHES.iter().map(move |dash| format!("{form}{dash}")))
            .collect();
    }
    Some(forms)
}

/// Dashes and slash, as command lines of Windows take them.
const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// Three options of five dashes each; rules have one or two.
const MAX_FORMS: usize = 125;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dashes_of_options_vary_and_others_do_not() {
        let forms = dashes("a-b -c").unwrap();
        assert_eq!(forms.len(), 5);
        assert!(forms.contains(&"a-b /c".to_owned()) && forms.contains(&"a-b -c".to_owned()));
        assert_eq!(dashes("-a -b -c -d"), None);
    }

    proptest! {
        #[test]
        fn base64_is_found_at_every_place(
            before in prop::collection::vec(any::<u8>(), 0..7),
            text in prop::collection::vec(any::<u8>(), 3..9),
            after in prop::collection::vec(any::<u8>(), 0..7),
        ) {
            let place = before.len() % 3;
            let whole = STANDARD.encode([before, text.clone(), after].concat());
            let forms = base64_at_any_offset(&text);
            prop_assert_eq!(forms.len(), 3);
            let form = std::str::from_utf8(&forms[place]).unwrap();
            prop_assert!(whole.contains(form), "{} in {}", form, whole);
        }
    }
}
