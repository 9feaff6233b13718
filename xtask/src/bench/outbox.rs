//! Putting, committing and draining records: the outbox, SQLite and redb at the same work.

use anyhow::{Context, Result};

use crate::shell;

/// Builds the bench, a package of its own, and runs it on the disk that `target` lies on.
pub(super) fn run(quick: bool) -> Result<()> {
    let package = shell::workspace().join("mop-userspace/crates/outbox/bench");
    let target = shell::target_dir().join("outbox-bench");
    std::fs::create_dir_all(&target).context("no folder to build in")?;
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--locked", "--manifest-path"]);
    command.arg(package.join("Cargo.toml")).arg("--target-dir").arg(&target);
    command.arg("--").arg(&target).arg(if quick { "20000" } else { "200000" });
    print!("{}", shell::run_quietly(&mut command)?);
    Ok(())
}
