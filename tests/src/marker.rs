//! What tells the calls of one test from those of all others.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// A path prefix that no other test of this run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// A new one; `name` makes a failure readable.
    #[must_use]
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The number only has to differ; nothing is published with it.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = letters(u64::from(std::process::id()) << 16 | u64::from(number));
        Self(format!("/open-insurance/test/{name}-{unique}"))
    }

    /// The path of one resource below the marker.
    #[must_use]
    pub fn path(&self, resource: &str) -> String {
        format!("{}/{resource}", self.0)
    }
}

/// A number in letters only: MOP masks path segments with many digits.
fn letters(mut number: u64) -> String {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let mut text = String::new();
    while number > 0 {
        text.push(char::from(LETTERS[(number % 26) as usize]));
        number /= 26;
    }
    text
}

impl fmt::Display for Marker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
