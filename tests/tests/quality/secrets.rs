//! Secrets to plant into messages, and the search for them.

use anyhow::Result;

/// Makes secrets, no two alike.
#[derive(Default)]
pub(crate) struct Secrets {
    count: u64,
}

impl Secrets {
    /// A word that nothing may show.
    pub(crate) fn word(&mut self) -> String {
        format!("{WORD}{}", self.letters())
    }

    /// Digits that nothing may show, as many as a personal number has.
    pub(crate) fn digits(&mut self) -> String {
        self.count += 1;
        format!("{DIGITS}{:05}", self.count % 100_000)
    }

    /// A word that a record of kind `exchange` may show, and no other.
    pub(crate) fn shown(&mut self) -> String {
        format!("{SHOWN}{}", self.letters())
    }

    fn letters(&mut self) -> String {
        self.count += 1;
        // Another order than that of counting: neighbours must not look alike.
        let mut number = self.count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut letters = String::new();
        for _ in 0..9 {
            // Without j, q and z no mark comes about by accident.
            letters.push(char::from(b"abcdefghiklmnoprstuvwxy"[(number % 23) as usize]));
            number /= 23;
        }
        letters
    }
}

/// No secret is there; those that calls are shown with may be when `of_a_call`.
pub(crate) fn holds_no_secret(text: &str, of_a_call: bool) -> Result<()> {
    let text = text.to_ascii_lowercase();
    let shown = [SHOWN].into_iter().filter(|_| !of_a_call);
    for mark in [WORD, DIGITS].into_iter().chain(shown) {
        if let Some(at) = text.find(mark) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.floor_char_boundary((at + 60).min(text.len()));
            anyhow::bail!("a secret is shown: …{}…", &text[from..to]);
        }
    }
    Ok(())
}

/// Begin secrets. No contract, header or template has them.
const WORD: &str = "zqk";
const DIGITS: &str = "739046";
const SHOWN: &str = "zjq";
