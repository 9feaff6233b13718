//! What lies in an outbox.

use std::{path::Path, process::Output};

use anyhow::{Result, ensure};

use crate::mop_command;

/// The records of an outbox, a line each.
pub fn exported(folder: &Path) -> Result<Vec<String>> {
    let Output { status, stdout, stderr } =
        mop_command().args(["outbox", "export", "--folder"]).arg(folder).output()?;
    ensure!(status.success(), "mop outbox export: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?.lines().map(str::to_owned).collect())
}
