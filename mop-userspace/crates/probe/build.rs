//! Embeds the kernel programs, when they were built.
//!
//! `cargo xtask build` builds them first. A plain `cargo check` or `cargo doc` works without them:
//! such a build says at run time that it has none.

use std::{env, fs, path::PathBuf};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let object = env::var_os("MOP_EBPF_OBJECT")
        .map_or_else(|| root.join("../../../target/ebpf/mop.bpf.o"), PathBuf::from);
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("mop.bpf.o");
    println!("cargo::rerun-if-env-changed=MOP_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    match fs::read(&object) {
        Ok(bytes) => fs::write(&copy, bytes).expect("the output folder is writable"),
        Err(_) => {
            println!("cargo::warning=no kernel programs: run `cargo xtask build-ebpf` first");
            fs::write(&copy, []).expect("the output folder is writable");
        }
    }
}
