//! Programs in Go, from the `fixtures/go` folder, built by the Go of this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{bound, run, tool};

/// How a program is built: what survives in the file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoBuild {
    /// With symbols, at fixed addresses.
    Plain,
    /// Without symbols, and at any address.
    StrippedPie,
}

/// Builds `fixtures/go/NAME.go`, unless it was built before. What the compiler made is kept, so
/// that only the first build of a machine takes long.
pub fn go_program(name: &str, build: GoBuild) -> Result<PathBuf> {
    // Two tests of one process want the same program.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../target/go");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let (suffix, options): (_, &[&str]) = match build {
        GoBuild::Plain => ("plain", &[]),
        GoBuild::StrippedPie => ("stripped-pie", &["-buildmode=pie", "-ldflags=-s -w"]),
    };
    let program = folder.join(format!("{name}-{suffix}"));
    let source = root.join(format!("fixtures/go/{name}.go"));
    let mut command =
        bound(tool("go").context("there is no Go; run `cargo xtask setup --with-tests`")?);
    command.args(["build", "-trimpath"]).args(options).arg("-o").arg(&program).arg(source);
    command.env("GOCACHE", folder.join("cache")).env("GOPATH", folder.join("path"));
    command.env("GO111MODULE", "off").env("CGO_ENABLED", "0");
    run(&mut command, BUILD_LIMIT)?;
    Ok(program)
}

/// The library of Go is compiled the first time.
const BUILD_LIMIT: Duration = Duration::from_secs(300);
