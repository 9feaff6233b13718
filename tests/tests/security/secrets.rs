//! Values that are sent and answered, and may be in nothing that is told.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

/// As an answer has it, and as a form or a directory would.
pub(crate) const PERSON: &str = "529.982.247-25";
pub(crate) const PERSON_DIGITS: &str = "52998224725";
pub(crate) const MAIL: &str = "maria.souza@correio.example";
/// Every token that is granted begins so.
pub(crate) const TOKEN: &str = "granted-token-9b1d";
/// The third part of every signed token.
pub(crate) const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLWEtdGVzdA";

/// None of them is in a text.
pub(crate) fn ensure_none(what: &str, text: &str) -> Result<()> {
    for secret in [PERSON, PERSON_DIGITS, MAIL, TOKEN, SIGNATURE] {
        ensure!(!text.contains(secret), "{what} has {secret}");
    }
    Ok(())
}

/// None of them is in a file of this folder or of those below it. Gives how many files that are.
pub(crate) fn ensure_none_below(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count += ensure_none_below(&path)?;
        } else if path.is_file() {
            count += 1;
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            ensure_none(&path.display().to_string(), &text)?;
        }
    }
    Ok(count)
}
