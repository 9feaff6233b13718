//! TLS libraries: which functions of them are probed, and where.

use std::{
    fmt,
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use mop_common::cookie;

use crate::{ProbeError, ProbeSites, elf, site};

/// Number of a library in this run; the upper bits of its probes' cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LibraryId(pub u64);

/// A library, or an executable with the library inside, that is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsLibrary {
    /// Its number.
    pub id: LibraryId,
    /// Its path as the process that led to it sees it.
    pub path: String,
    /// The functions that are probed, and how.
    pub functions: Vec<(&'static str, SiteKind)>,
}

/// How a function is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// On emulated instructions.
    Emulated,
    /// On its first instruction and its return address.
    EntryAndReturn,
    /// On its first instruction only: its result does not matter.
    Entry,
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emulated => "emulated",
            Self::EntryAndReturn => "entry and return",
            Self::Entry => "entry",
        })
    }
}

/// A file is one library however many paths and processes lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// An opened candidate. Everything that follows goes through the open file, so that it does not
/// matter when the process that led to it ends.
pub struct Candidate {
    file: File,
    /// Which file it is.
    pub id: FileId,
    /// Path for people.
    pub path: String,
}

impl Candidate {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is no regular file.
    pub fn open(reachable: &Path, path: &str) -> Result<Self, ProbeError> {
        let unreadable = |source| ProbeError::Read { path: reachable.to_owned(), source };
        let file = File::open(reachable).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(unreadable(io::ErrorKind::InvalidInput.into()));
        }
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        Ok(Self { file, id, path: path.to_owned() })
    }

    /// The probes that this file needs; `None` when it has no TLS functions.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is damaged.
    pub fn probes(&self, sites: ProbeSites) -> Result<Option<Vec<Probe>>, ProbeError> {
        let path = || PathBuf::from(&self.path);
        let data =
            map_file(&self.file).map_err(|source| ProbeError::Read { path: path(), source })?;
        let names: Vec<&'static str> = FUNCTIONS.iter().map(|function| function.name).collect();
        let found = elf::functions(data.bytes(), &names)
            .map_err(|reason| ProbeError::Elf { path: path(), reason })?;
        // A file that only reads or only writes is a wrapper of something else.
        let defines = |name: &str| {
            names.iter().zip(&found).any(|(n, function)| *n == name && function.is_some())
        };
        if !defines("SSL_read") || !defines("SSL_write") {
            return Ok(None);
        }
        let probes = FUNCTIONS
            .iter()
            .zip(found)
            .filter_map(|(function, found)| Some(function.probe(&found?, sites)))
            .collect();
        Ok(Some(probes))
    }

    /// A path to the open file that the kernel resolves to the same inode.
    #[must_use]
    pub fn attach_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The probes of one function: file offsets and what their cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Name of the function.
    pub function: &'static str,
    /// Bits of [`mop_common::cookie`] without the library.
    pub cookie: u64,
    /// Where it is probed.
    pub sites: Sites,
}

/// File offsets of the probes of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sites {
    /// On emulated instructions.
    Emulated {
        /// Passed once by every call.
        entry: u64,
        /// One of them passed once by every return.
        exits: Vec<u64>,
    },
    /// On the first instruction, and on the return address.
    EntryAndReturn(u64),
    /// On the first instruction, where the conversation of a TLS object ends.
    Forget(u64),
}

impl Sites {
    /// For reports.
    #[must_use]
    pub fn kind(&self) -> SiteKind {
        match self {
            Self::Emulated { .. } => SiteKind::Emulated,
            Self::EntryAndReturn(_) => SiteKind::EntryAndReturn,
            Self::Forget(_) => SiteKind::Entry,
        }
    }
}

/// A function of the OpenSSL family that is probed.
struct TlsFunction {
    name: &'static str,
    role: FunctionRole,
}

enum FunctionRole {
    /// It moves bytes: cookie bits, and how many arguments are needed at its entry.
    Transfer { cookie: u64, arguments: usize },
    /// After it, the object carries another conversation.
    Forget,
}

impl TlsFunction {
    fn probe(&self, found: &elf::Function<'_>, sites: ProbeSites) -> Probe {
        let start = found.file_offset;
        let (cookie, sites) = match self.role {
            FunctionRole::Forget => (0, Sites::Forget(start)),
            FunctionRole::Transfer { cookie, arguments } => {
                let plan = match sites {
                    ProbeSites::Auto => site::plan(found.code, arguments),
                    ProbeSites::Entry => None,
                };
                let sites = match plan {
                    Some(site::Plan { entry, exits }) => Sites::Emulated {
                        entry: start + entry,
                        exits: exits.into_iter().map(|exit| start + exit).collect(),
                    },
                    None => Sites::EntryAndReturn(start),
                };
                (cookie, sites)
            }
        };
        Probe { function: self.name, cookie, sites }
    }
}

/// `ssl.h` of OpenSSL 1.1 and 3, BoringSSL, AWS-LC and LibreSSL. The signatures are part of their
/// binary interface.
const FUNCTIONS: [TlsFunction; 9] = [
    TlsFunction { name: "SSL_read", role: FunctionRole::Transfer { cookie: 0, arguments: 3 } },
    TlsFunction {
        name: "SSL_write",
        role: FunctionRole::Transfer { cookie: cookie::WRITES, arguments: 3 },
    },
    TlsFunction {
        name: "SSL_read_ex",
        role: FunctionRole::Transfer { cookie: cookie::COUNT_BY_POINTER, arguments: 4 },
    },
    TlsFunction {
        name: "SSL_write_ex",
        role: FunctionRole::Transfer {
            cookie: cookie::COUNT_BY_POINTER | cookie::WRITES,
            arguments: 4,
        },
    },
    TlsFunction {
        name: "SSL_sendfile",
        role: FunctionRole::Transfer { cookie: cookie::UNSEEN | cookie::WRITES, arguments: 1 },
    },
    TlsFunction { name: "SSL_free", role: FunctionRole::Forget },
    TlsFunction { name: "SSL_clear", role: FunctionRole::Forget },
    TlsFunction { name: "SSL_set_bio", role: FunctionRole::Forget },
    TlsFunction { name: "SSL_set0_rbio", role: FunctionRole::Forget },
];

/// Folders in which libraries are looked for although no process uses them yet, so that the first
/// process that does is observed from its first call.
pub const LIBRARY_FOLDERS: [&str; 6] =
    ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// TLS libraries in [`LIBRARY_FOLDERS`] and one level below, by their usual name.
#[must_use]
pub fn installed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in LIBRARY_FOLDERS {
        collect_libraries(Path::new(folder), &mut found, 1);
    }
    found
}

fn collect_libraries(folder: &Path, found: &mut Vec<PathBuf>, levels: u32) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"libssl") && name.to_string_lossy().contains(".so")
        {
            found.push(path);
        } else if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_libraries(&path, found, levels - 1);
        }
    }
}

/// A file mapped into memory: executables run to a hundred megabytes, of which only the symbol
/// tables are touched.
struct MappedFile {
    start: *mut core::ffi::c_void,
    length: usize,
}

impl MappedFile {
    fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the mapping lives as long as `self`. Another process may change the file, which
        // changes the bytes under us: every parser of them checks what it reads, and a file that
        // is cut short while it is mapped is an executable in use, which the kernel guards.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.length) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if self.length != 0 {
            // SAFETY: unmaps what `map_file` mapped, once.
            let _ = unsafe { rustix::mm::munmap(self.start, self.length) };
        }
    }
}

fn map_file(file: &File) -> io::Result<MappedFile> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if length == 0 {
        return Ok(MappedFile { start: std::ptr::null_mut(), length });
    }
    // SAFETY: a new private mapping of a readable file, at an address that the kernel chooses.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            length,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::PRIVATE,
            file,
            0,
        )
    }?;
    Ok(MappedFile { start, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_tls_has_no_probes() {
        let candidate =
            Candidate::open(Path::new("/proc/self/exe"), "self").expect("the test program");
        assert_eq!(candidate.probes(ProbeSites::Auto).expect("readable"), None);
    }

    #[test]
    fn a_folder_or_a_missing_file_is_refused() {
        assert!(Candidate::open(Path::new("/proc"), "/proc").is_err());
        assert!(Candidate::open(Path::new("/no/such/file"), "x").is_err());
    }

    #[test]
    fn an_installed_libssl_is_probed_on_every_function_that_it_has() {
        let Some(path) = installed().into_iter().find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so.3"))
        }) else {
            eprintln!("SKIPPED: no libssl.so.3 on this machine");
            return;
        };
        let candidate = Candidate::open(&path, "libssl").expect("readable");
        let probes = candidate.probes(ProbeSites::Auto).expect("an ELF file").expect("TLS");
        assert_eq!(probes.len(), FUNCTIONS.len());
        let by_entry = candidate.probes(ProbeSites::Entry).expect("an ELF file").expect("TLS");
        assert!(by_entry.iter().all(|probe| probe.sites.kind() != SiteKind::Emulated));
    }
}
