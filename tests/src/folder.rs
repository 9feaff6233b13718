//! Folders that MOP's core can use: it is another user than the tests.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::Result;
use tempfile::TempDir;

/// A temporary folder that every user may pass and read.
pub fn shared_folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}
