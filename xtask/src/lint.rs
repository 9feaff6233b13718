//! Formatting, lints and the rules for dependencies.

use std::path::PathBuf;

use anyhow::Result;

use crate::{build, shell};

/// Checks the whole source; with `deny` also the dependencies.
pub(crate) fn run(deny: bool) -> Result<()> {
    println!("lint     formatting");
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(
        shell::cargo()
            .current_dir(shell::workspace().join("mop-ebpf"))
            .args(["fmt", "--all", "--check"]),
    )?;
    println!("lint     clippy");
    // `mop` embeds the kernel programs, so they have to be there.
    build::ebpf()?;
    shell::run(shell::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    if deny {
        println!("lint     dependencies");
        let tool = cargo_deny()?;
        // The advisory database is fetched by git, which is not possible everywhere.
        shell::run(shell::cargo().env("PATH", tool).args([
            "deny",
            "--all-features",
            "check",
            "licenses",
            "bans",
            "sources",
        ]))?;
    }
    Ok(())
}

/// The search path on which `cargo deny` is found; builds it when it is missing.
fn cargo_deny() -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if shell::which("cargo-deny").is_some() {
        return Ok(path);
    }
    let root = shell::cache_dir()?.join(format!("cargo-deny-{CARGO_DENY_VERSION}"));
    let bin: PathBuf = root.join("bin");
    if !bin.join("cargo-deny").is_file() {
        eprintln!("install  cargo-deny {CARGO_DENY_VERSION}, several minutes");
        let mut command = shell::cargo();
        command
            .args(["install", "cargo-deny", "--version", CARGO_DENY_VERSION, "--locked", "--root"])
            .arg(&root)
            .env_remove("CARGO_TARGET_DIR");
        shell::run_quietly(&mut command)?;
    }
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(dirs)?)
}

const CARGO_DENY_VERSION: &str = "0.20.2";
