//! Programs in C, from the `fixtures` folder, built by the C compiler of this machine.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use crate::{bound, run};

/// Builds `fixtures/NAME.c` into a folder, with these options behind its name.
pub fn c_program<I>(name: &str, folder: &Path, options: I) -> Result<PathBuf>
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let program = folder.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.c"));
    let mut command = bound("cc");
    command.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source);
    run(command.args(options), BUILD_LIMIT)?;
    Ok(program)
}

const BUILD_LIMIT: Duration = Duration::from_secs(60);
