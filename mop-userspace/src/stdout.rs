//! The standard output of commands that print once and end.

use std::io::{self, Write as _};

/// Prints a text. A reader that went away has what it wanted: no failure.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a text as a line.
pub(crate) fn print_line(text: &str) {
    print(&format!("{text}\n"));
}
