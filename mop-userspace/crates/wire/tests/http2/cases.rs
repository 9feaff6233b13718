//! Published cases: [hpack-test-case] and [http2-frame-test-case] of the http2jp group.
//!
//! [hpack-test-case]: https://github.com/http2jp/hpack-test-case
//! [http2-frame-test-case]: https://github.com/http2jp/http2-frame-test-case

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The documents of a kind, with their names; none with a note that the test is skipped.
pub(crate) fn documents(kind: &str, test: &str) -> Vec<(String, Value)> {
    let folder = env::var_os("MOP_HTTP2_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/http2"),
        PathBuf::from,
    );
    let mut paths = Vec::new();
    for group in listed(&folder.join(kind)) {
        paths.extend(listed(&group));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    if paths.is_empty() {
        skip(test, "no published cases; MOP_HTTP2_CASES names their folder");
    }
    let document = |path: &PathBuf| {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    paths.iter().map(document).collect()
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Vec<_> =
        digits.map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Reports a test as skipped: on the terminal, and in the file that `cargo xtask test` reads.
fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    // Past the capture of the test harness, so that it is seen without --nocapture.
    let _shown = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = env::var_os("MOP_SKIPPED_TESTS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _noted = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}
