//! A file system that is soon full, for one folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use mop_tests::run;

/// A small tmpfs; it is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one at a folder, which is made.
    pub(crate) fn mount(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", OPTIONS, "mop-chaos"]).arg(folder);
        run(&mut command, LIMIT)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Takes all room that is left, or gives it back.
    pub(crate) fn fill(&self, is_full: bool) -> Result<()> {
        let ballast = self.folder.join("ballast");
        if !is_full {
            return fs::remove_file(ballast).context("cannot remove the ballast");
        }
        let mut file = fs::File::create(ballast)?;
        loop {
            // The last page is taken by a shorter write.
            if std::io::Write::write(&mut file, &[0; 4096]).is_err() {
                return Ok(());
            }
        }
    }

    /// Refuses all writes, or takes them again. The kernel does so only while nobody writes.
    pub(crate) fn set_read_only(&self, is_read_only: bool) -> Result<()> {
        let options = if is_read_only { "remount,ro" } else { "remount,rw" };
        let mut command = Command::new("mount");
        command.args(["-o", options]).arg(&self.folder);
        run(&mut command, LIMIT).map(drop)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: an agent that is just ending may hold a file open.
        let mut command = Command::new("umount");
        let _unmounted = run(command.arg("--lazy").arg(&self.folder), LIMIT);
    }
}

/// Some segments.
const OPTIONS: &str = "size=16m,mode=0755";
const LIMIT: Duration = Duration::from_secs(20);
