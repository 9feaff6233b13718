//! How the kernel programs are to be loaded.

use std::fmt;

/// Options of [`crate::Observer::load`].
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Room for segments on their way from the kernel, per CPU; rounded up to a power of two of
    /// MiB, at least 2 MiB.
    pub ring_bytes: u32,
    /// Where probes are put.
    pub sites: ProbeSites,
    /// How probes are attached.
    pub attach: AttachChoice,
    /// Programs return at once: the floor of the benchmark.
    pub probes_only: bool,
    /// Probes on TLS libraries.
    pub tls: bool,
    /// Probes where certificates are decoded: who is at the other end.
    pub certificates: bool,
    /// Observation of plain sockets.
    pub sockets: bool,
    /// Files that nothing is attached to: whole paths, or beginnings of them before a `*`.
    pub never_attach: Vec<String>,
    /// The process that reads the rings and makes calls of its own: they are passed over.
    pub reader: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            ring_bytes: DEFAULT_RING_BYTES,
            sites: ProbeSites::Auto,
            attach: AttachChoice::Auto,
            probes_only: false,
            tls: true,
            certificates: false,
            sockets: true,
            never_attach: Vec::new(),
            reader: std::process::id(),
        }
    }
}

impl LoadOptions {
    /// Whether nothing is to be attached to a file.
    pub(crate) fn leaves_alone(&self, path: &str) -> bool {
        self.never_attach.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == pattern,
        })
    }
}

/// Where in a function the probes are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeSites {
    /// On instructions that the kernel emulates where there are any, else as `Entry`.
    Auto,
    /// On the first instruction and on the return address.
    Entry,
}

impl fmt::Display for ProbeSites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Entry => "entry",
        })
    }
}

/// How probes are attached to functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachChoice {
    /// By one link for many places where the kernel has that, else as `PerfEvent`.
    Auto,
    /// By one link for many places, or not at all.
    UprobeMulti,
    /// By a perf event for each place.
    PerfEvent,
}

/// A quarter of a second of 30 MB/s on one CPU. It counts as resident memory of the observer.
pub const DEFAULT_RING_BYTES: u32 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_alone_by_path_or_beginning() {
        let options = LoadOptions {
            never_attach: vec!["/opt/vault/bin/vault".to_owned(), "/srv/checked/*".to_owned()],
            ..LoadOptions::default()
        };
        assert!(options.leaves_alone("/opt/vault/bin/vault"));
        assert!(options.leaves_alone("/srv/checked/a/b"));
        assert!(!options.leaves_alone("/opt/vault/bin/vault2"));
        assert!(!options.leaves_alone("/srv/checked"));
        assert!(!LoadOptions::default().leaves_alone("/any"));
    }
}
