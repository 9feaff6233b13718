//! MISP's own library, which feeds and tables are held against.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;

use crate::{cache_folder, run};

/// What is wrong with a feed in a folder, one a line and empty when nothing is: files that the library
/// does not load, objects that their templates do not allow, pairs of type and category, digests,
/// times, and what the core format does not have. None without the library.
///
/// # Errors
///
/// The check itself fails.
pub fn misp_feed_problems(folder: &Path) -> Result<Option<String>> {
    check("feed", folder)
}

/// What is wrong with the tables in `rules/security`, likewise.
///
/// # Errors
///
/// The check itself fails.
pub fn misp_table_problems(folder: &Path) -> Result<Option<String>> {
    check("tables", folder)
}

fn check(what: &str, folder: &Path) -> Result<Option<String>> {
    let packages = cache_folder().join("pymisp");
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.env("PYTHONPATH", &packages).args(["-c", "import jsonschema, pymisp"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    let Some(python) = python else { return Ok(None) };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/misp/check.py");
    let mut command = Command::new(python);
    command.env("PYTHONPATH", &packages).arg(script).arg(what).arg(folder);
    let output = run(&mut command, Duration::from_secs(120))?;
    Ok(Some(String::from_utf8(output.stdout)?))
}
