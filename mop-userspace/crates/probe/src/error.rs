//! What can go wrong on the way to the kernel.

use std::{io, path::PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The build has no kernel programs.
    #[error("this build has no kernel programs; build it with `cargo xtask build`")]
    NoKernelPrograms,
    /// The kernel does not count what programs cost.
    #[error("the kernel does not count what programs cost: {reason}")]
    Statistics {
        /// What it said.
        reason: String,
    },
    /// The kernel is older than the oldest one supported.
    #[error("this kernel is version {}.{}; {}.{} or newer is needed", found.0, found.1, needed.0, needed.1)]
    OldKernel {
        /// Its version.
        found: (u32, u32),
        /// The oldest version supported.
        needed: (u32, u32),
    },
    /// The kernel offers no type information.
    #[error(
        "the kernel offers no type information at {path}; a kernel built with CONFIG_DEBUG_INFO_BTF=y is needed"
    )]
    NoBtf {
        /// Where it was looked for.
        path: &'static str,
    },
    /// Type information is damaged or of an unknown form.
    #[error("the kernel's type information cannot be read: {0}")]
    Btf(#[from] crate::btf::BtfError),
    /// A structure field that the programs need is not there.
    #[error("this kernel is not supported: its type information has no field {field}")]
    MissingField {
        /// The field, as `struct.field`.
        field: &'static str,
    },
    /// The process runs in its own pid namespace.
    #[error(
        "the observer runs in a pid namespace of its own; start it with the host's (`hostPID: true`, `--pid=host`)"
    )]
    PidNamespace,
    /// The kernel refused a program.
    #[error("the kernel refused the program {program}: {reason}")]
    Load {
        /// Name of the program.
        program: &'static str,
        /// What the kernel said, on one line.
        reason: String,
    },
    /// The kernel refused the object as a whole.
    #[error("the kernel programs cannot be loaded: {reason}")]
    Object {
        /// What the kernel said, on one line.
        reason: String,
    },
    /// A ring or map could not be made or opened.
    #[error("the map {map} cannot be used: {reason}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A library has no function to probe, or is damaged.
    #[error("cannot look into {path}: {reason}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A Go program uses TLS in a way that cannot be observed.
    #[error("the TLS of {path} cannot be observed: {reason}")]
    Go {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A program has a TLS library inside whose functions have no names and cannot be told otherwise.
    #[error("the BoringSSL inside {path} cannot be observed: {reason}")]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not to be touched.
    #[error("{path} is left alone: {reason}")]
    LeftAlone {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A way to attach was asked for that the kernel does not give.
    #[error("uprobe_multi was asked for (observe.attach): {reason}")]
    NoUprobeMulti {
        /// Why.
        reason: String,
    },
    /// A probe could not be attached.
    #[error("cannot attach to {functions} of {path}: {reason}")]
    Attach {
        /// The file.
        path: PathBuf,
        /// The function, or several that are attached to at once.
        functions: String,
        /// What the kernel said.
        reason: String,
    },
}

/// All causes of an error, on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    last_lines(&text)
}

/// The verifier's log runs over thousands of lines; its end says what is wrong.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines.len().saturating_sub(MAX_REASON_LINES);
    lines.get(tail..).unwrap_or_default().join(" | ")
}

/// The kernel refused a program.
pub(crate) fn refused(program: &'static str, error: &dyn std::error::Error) -> ProbeError {
    ProbeError::Load { program, reason: causes(error) }
}

const MAX_REASON_LINES: usize = 24;
