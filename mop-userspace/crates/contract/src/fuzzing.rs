//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can replay the corpus on a stable
//! compiler without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use crate::pattern::{Engine, Pattern};

pub use crate::pattern::sample::sample;

/// Reads the bytes as a pattern, a line feed, and a text that it is tried on.
///
/// A text that was made from the pattern must match it, and neither engine may go over its limits.
pub fn fuzz_pattern(data: &[u8]) {
    let Ok(input) = str::from_utf8(data) else { return };
    let (source, text) = input.split_once('\n').unwrap_or((input, ""));
    let Ok(pattern) = Pattern::compile(source) else { return };
    check(pattern.source() == source, "another pattern");
    let answer = pattern.is_match(text);
    check(answer.is_ok() || pattern.engine() == Engine::Backtracking, "a linear engine gave up");
    if crate::pattern::sample::asserts(source) == Ok(false) {
        let mut state = data.len();
        let mut choose = |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) % below
        };
        let made = sample(source, &mut choose).unwrap_or_default();
        check(pattern.is_match(&made) == Ok(true), "a text made from the pattern does not match");
    }
}

fn check(holds: bool, otherwise: &str) {
    if !holds {
        panic!("{otherwise}");
    }
}
