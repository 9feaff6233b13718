//! MISP's own library, which feeds and tables are held against.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;

use crate::{Script, cache_folder, run};

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

/// A server that answers as MISP does, with a key of its API; `fixtures/misp/server.py` says what it
/// can do. None without the library.
///
/// # Errors
///
/// It does not start.
pub fn misp_server(key: &str) -> Result<Option<Script>> {
    let packages = packages();
    let Some(python) = python_with_library(&packages) else { return Ok(None) };
    let arguments = [key.into(), packages.into_os_string()];
    Script::serve_by(&python, "misp/server.py", arguments).map(Some)
}

fn check(what: &str, folder: &Path) -> Result<Option<String>> {
    let packages = packages();
    let Some(python) = python_with_library(&packages) else { return Ok(None) };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/misp/check.py");
    let mut command = Command::new(python);
    command.env("PYTHONPATH", &packages).arg(script).arg(what).arg(folder);
    let output = run(&mut command, Duration::from_secs(120))?;
    Ok(Some(String::from_utf8(output.stdout)?))
}

fn packages() -> PathBuf {
    cache_folder().join("pymisp")
}

fn python_with_library(packages: &Path) -> Option<PathBuf> {
    ["python3", "/usr/bin/python3"].map(PathBuf::from).into_iter().find(|python| {
        let mut command = Command::new(python);
        command.env("PYTHONPATH", packages).args(["-c", "import jsonschema, pymisp"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
