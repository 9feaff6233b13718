//! Embeds the kernel programs, when they were built.
//!
//! `cargo xtask build` builds them first. A plain `cargo check` or `cargo doc` works without them:
//! such a build says at run time that it has none. One with programs that are older than their sources
//! says so while it is built: both sides share the layouts of `mop-common`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let object = env::var_os("MOP_EBPF_OBJECT")
        .map_or_else(|| root.join("../../../target/ebpf/mop.bpf.o"), PathBuf::from);
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("mop.bpf.o");
    println!("cargo::rerun-if-env-changed=MOP_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let sources = ["../../../mop-common/src", "../../../mop-ebpf/src"].map(|path| root.join(path));
    for folder in &sources {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    match fs::read(&object) {
        Ok(bytes) => {
            let newest = sources.iter().filter_map(|folder| newest_in(folder)).max();
            if newest > changed_at(&object) {
                println!(
                    "cargo::warning=kernel programs older than their sources: run `cargo xtask build-ebpf`"
                );
            }
            fs::write(&copy, bytes).expect("the output folder is writable");
        }
        Err(_) => {
            println!("cargo::warning=no kernel programs: run `cargo xtask build-ebpf` first");
            fs::write(&copy, []).expect("the output folder is writable");
        }
    }
}

/// When a file of the folder was last changed; `None` where there is none, as in a package.
fn newest_in(folder: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(folder).ok()?;
    files.filter_map(|file| changed_at(&file.ok()?.path())).max()
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}
