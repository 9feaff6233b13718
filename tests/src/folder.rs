//! Folders that tests use.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// A temporary folder that every user may pass and read: MOP's core is another user than the tests.
pub fn shared_folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Where `cargo xtask setup` keeps what it fetched.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let chosen = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let chosen = chosen.map(PathBuf::from);
    chosen.unwrap_or_else(|| env::home_dir().unwrap_or_default().join(".cache")).join("mop")
}
