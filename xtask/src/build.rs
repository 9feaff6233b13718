//! Builds the kernel programs and the `mop` binary.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    kernel_stack,
    setup::{self, Route},
    shell,
};

/// Builds the kernel programs and `mop`; returns the path of the binary.
pub(crate) fn mop(release: bool) -> Result<PathBuf> {
    ebpf()?;
    let mut command = shell::cargo();
    command.args(["build", "--package", "mop"]);
    if release {
        command.arg("--release");
    }
    shell::run(&mut command)?;
    Ok(shell::target_dir().join(if release { "release" } else { "debug" }).join("mop"))
}

/// Builds an optimised `mop` and becomes it.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let binary = mop(true)?;
    let error = Command::new(&binary).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}

/// Builds the kernel programs into `target/ebpf/mop.bpf.o`, unless one of them could do harm there.
///
/// The file is replaced only when the programs were built anew, so that cargo rebuilds nothing for nothing.
pub(crate) fn ebpf() -> Result<()> {
    let route = setup::ensure_build()?;
    let crate_dir = shell::workspace().join("mop-ebpf");
    let target_dir = shell::workspace().join("target/ebpf-build");

    let mut command = shell::cargo();
    // The flags of the compiler stand in that crate's own .cargo/config.toml.
    command.current_dir(&crate_dir).env("CARGO_TARGET_DIR", &target_dir);
    match &route {
        Route::Nightly { linker_dir } => {
            command.arg("+nightly").env("PATH", path_with(linker_dir.as_deref())?);
        }
        Route::Debian { linker_dir } => {
            command
                .env("PATH", path_with(Some(linker_dir))?)
                .env("RUSTC", setup::DEBIAN_RUSTC)
                // aya-ebpf uses an unstable feature of the compiler.
                .env("RUSTC_BOOTSTRAP", "1");
        }
    }
    command.args(["build", "--quiet", "--release", "--target", KERNEL_TARGET]);
    if matches!(route, Route::Nightly { .. }) {
        command.args(["-Z", "build-std=core"]);
    }
    shell::run(&mut command).context("the kernel programs do not build")?;

    let built = target_dir.join(KERNEL_TARGET).join("release/mop-ebpf");
    let placed = shell::workspace().join("target/ebpf/mop.bpf.o");
    let programs = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    kernel_stack::check(&programs)?;
    if is_newer(&built, &placed)? { place(&programs, &placed) } else { Ok(()) }
}

fn is_newer(built: &Path, placed: &Path) -> Result<bool> {
    let changed = |file: &Path| fs::metadata(file).and_then(|it| it.modified());
    let built_at = changed(built).with_context(|| format!("cannot read {}", built.display()))?;
    Ok(changed(placed).map_or(true, |placed_at| placed_at < built_at))
}

fn place(programs: &[u8], to: &Path) -> Result<()> {
    let folder = to.parent().expect("the object lies in a folder");
    fs::create_dir_all(folder)?;
    let partial = to.with_extension("partial");
    fs::write(&partial, programs).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

fn path_with(first: Option<&Path>) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = first.map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(dirs).context("a folder of PATH contains a colon")
}

const KERNEL_TARGET: &str = "bpfel-unknown-none";
