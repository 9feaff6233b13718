//! TLS libraries: which functions of them are probed, and where.

mod aws_lc;
mod boringssl;
mod crypto_tls;

use std::{
    ffi::OsStr,
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
    /// Behind its check of the stack, and on every instruction that returns: a function of Go.
    Go,
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emulated => "emulated",
            Self::EntryAndReturn => "entry and return",
            Self::Entry => "entry",
            Self::Go => "entry and every ret",
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

    /// The probes that this file needs.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is damaged.
    pub fn probes(&self, sites: ProbeSites) -> Result<Probes, ProbeError> {
        let path = || PathBuf::from(&self.path);
        let data =
            map_file(&self.file).map_err(|source| ProbeError::Read { path: path(), source })?;
        if elf::checks_itself(data.bytes()) {
            let reason = "it checks its own code, and would end when a probe is put into it";
            return Err(ProbeError::LeftAlone { path: path(), reason });
        }
        let names: Vec<&'static str> = FUNCTIONS.iter().map(|function| function.name).collect();
        let mut found = elf::functions(data.bytes(), &names)
            .map_err(|reason| ProbeError::Elf { path: path(), reason })?;
        let defines = |found: &[Option<elf::Function<'_>>], name: &str| {
            names.iter().zip(found).any(|(n, function)| *n == name && function.is_some())
        };
        // A file that only reads or only writes is a wrapper of something else.
        let moves_bytes = |found: &[Option<elf::Function<'_>>]| {
            FAMILIES.iter().any(|[reads, writes]| defines(found, reads) && defines(found, writes))
        };
        if !moves_bytes(&found) {
            let unnamed = boringssl::functions(data.bytes())
                .map_err(|reason| ProbeError::Unnamed { path: path(), reason })?;
            for (name, function) in unnamed {
                let slot = names.iter().zip(&mut found).find(|(known, _)| **known == name);
                if let Some((_, slot)) = slot {
                    *slot = Some(function);
                }
            }
        }
        let is_tls = moves_bytes(&found);
        let mut probes = Probes::default();
        for (function, place) in FUNCTIONS.iter().zip(&found) {
            let Some(place) = place else { continue };
            if function.calls.is_some_and(|name| defines(&found, name)) {
                continue;
            }
            if function.is_about_certificates() {
                probes.certificates.push(function.probe(place, sites));
            } else if is_tls {
                probes.tls.push(function.probe(place, sites));
            }
        }
        let of_go = crypto_tls::probes(data.bytes())
            .map_err(|reason| ProbeError::Go { path: path(), reason })?;
        probes.tls.extend(of_go.tls);
        probes.certificates.extend(of_go.certificates);
        // Where the library's own border is seen, records below it would tell the same again.
        if probes.tls.is_empty() {
            probes.tls = aws_lc::probes(data.bytes());
        }
        Ok(probes)
    }

    /// A path to the open file that the kernel resolves to the same inode.
    #[must_use]
    pub fn attach_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The probes of a file, of which most files have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Where bytes pass: the file is a TLS library, or has one inside.
    pub tls: Vec<Probe>,
    /// Where certificates are decoded. Those of a library may be in another file (libcrypto).
    pub certificates: Vec<Probe>,
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
    /// On one of the first instructions, where a certificate is decoded.
    Certificate(u64),
    /// On one of the first instructions, where a kept session is decoded.
    Session(u64),
    /// In a function of Go that moves bytes.
    Go {
        /// Passed once by every call.
        entry: u64,
        /// Every `ret`.
        returns: Vec<u64>,
    },
    /// At the entry of a function of Go that begins a conversation.
    GoBegin(u64),
    /// At the entry of a function of Go that ends one.
    GoForget(u64),
    /// At the entry of a function of Go that reads a certificate.
    GoCertificate(u64),
    /// On the first instruction of a function that makes a key of records.
    AeadKey(u64),
    /// On the first instruction of a function that seals records.
    AeadSeal(u64),
    /// On the first instruction of a function that opens records, and on the return address.
    AeadOpen(u64),
}

impl Sites {
    /// For reports.
    #[must_use]
    pub fn kind(&self) -> SiteKind {
        match self {
            Self::Emulated { .. } => SiteKind::Emulated,
            Self::EntryAndReturn(_) | Self::AeadOpen(_) => SiteKind::EntryAndReturn,
            Self::Go { .. } => SiteKind::Go,
            Self::Forget(_)
            | Self::Certificate(_)
            | Self::Session(_)
            | Self::GoBegin(_)
            | Self::GoForget(_)
            | Self::GoCertificate(_)
            | Self::AeadKey(_)
            | Self::AeadSeal(_) => SiteKind::Entry,
        }
    }
}

/// A function of a TLS library that is probed.
struct TlsFunction {
    name: &'static str,
    role: FunctionRole,
    /// It does nothing but call this one. Where that is there, it alone is probed, so that no byte
    /// counts twice.
    calls: Option<&'static str>,
}

enum FunctionRole {
    /// It moves bytes: cookie bits, and how many arguments are needed at its entry.
    Transfer { cookie: u64, arguments: usize },
    /// After it, the object carries another conversation.
    Forget,
    /// It decodes a certificate.
    Certificate,
    /// It decodes a kept session.
    Session,
}

impl TlsFunction {
    const fn new(name: &'static str, role: FunctionRole) -> Self {
        Self { name, role, calls: None }
    }

    const fn transfer(name: &'static str, cookie: u64, arguments: usize) -> Self {
        Self::new(name, FunctionRole::Transfer { cookie, arguments })
    }

    /// Whether it is of use only to know who is at the other end.
    fn is_about_certificates(&self) -> bool {
        match self.role {
            FunctionRole::Transfer { cookie, .. } => cookie & cookie::HANDSHAKE != 0,
            FunctionRole::Forget => false,
            FunctionRole::Certificate | FunctionRole::Session => true,
        }
    }

    fn probe(&self, found: &elf::Function<'_>, sites: ProbeSites) -> Probe {
        let start = found.file_offset;
        let (cookie, sites) = match self.role {
            FunctionRole::Forget => (0, Sites::Forget(start)),
            FunctionRole::Certificate => (0, Sites::Certificate(start + entry(found, sites))),
            FunctionRole::Session => (0, Sites::Session(start + entry(found, sites))),
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

/// Offset of the cheapest site at which all arguments of a decoder are there.
fn entry(found: &elf::Function<'_>, sites: ProbeSites) -> u64 {
    match sites {
        ProbeSites::Auto => site::entry(found.code, DECODER_ARGUMENTS).unwrap_or(0),
        ProbeSites::Entry => 0,
    }
}

/// `d2i_…(object, in, length)`.
const DECODER_ARGUMENTS: usize = 3;

/// What reads and what writes, by family.
const FAMILIES: [[&str; 2]; 2] =
    [["SSL_read", "SSL_write"], ["gnutls_record_recv", "gnutls_record_send"]];

/// `ssl.h` and `x509.h` of OpenSSL 1.1 and 3, BoringSSL, AWS-LC and LibreSSL; `gnutls.h` of GnuTLS
/// 3. The signatures are part of their binary interface.
///
/// GnuTLS answers a write that would block with an error and wants the same call again. A program
/// that then passes no buffer, as it may, leaves a hole of known length.
const FUNCTIONS: [TlsFunction; 18] = [
    TlsFunction::transfer("SSL_read", 0, 3),
    TlsFunction::transfer("SSL_write", cookie::WRITES, 3),
    TlsFunction::transfer("SSL_read_ex", cookie::COUNT_BY_POINTER, 4),
    TlsFunction::transfer("SSL_write_ex", cookie::COUNT_BY_POINTER | cookie::WRITES, 4),
    TlsFunction::transfer("SSL_sendfile", cookie::UNSEEN | cookie::WRITES, 1),
    TlsFunction::new("SSL_free", FunctionRole::Forget),
    TlsFunction::new("SSL_clear", FunctionRole::Forget),
    TlsFunction::new("SSL_set_bio", FunctionRole::Forget),
    TlsFunction::new("SSL_set0_rbio", FunctionRole::Forget),
    TlsFunction::transfer("SSL_do_handshake", cookie::HANDSHAKE, 1),
    TlsFunction::new("d2i_SSL_SESSION", FunctionRole::Session),
    TlsFunction::new("d2i_X509", FunctionRole::Certificate),
    TlsFunction::transfer("gnutls_record_recv", 0, 3),
    TlsFunction::transfer("gnutls_record_recv_seq", 0, 3),
    TlsFunction::transfer("gnutls_record_recv_packet", cookie::UNSEEN, 1),
    TlsFunction {
        calls: Some("gnutls_record_send2"),
        ..TlsFunction::transfer("gnutls_record_send", cookie::WRITES, 3)
    },
    TlsFunction::transfer("gnutls_record_send2", cookie::WRITES, 3),
    TlsFunction::new("gnutls_deinit", FunctionRole::Forget),
];

/// Folders in which libraries are looked for although no process uses them yet, so that the first
/// process that does is observed from its first call.
pub const LIBRARY_FOLDERS: [&str; 6] =
    ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// TLS libraries in [`LIBRARY_FOLDERS`] and one level below, by their usual name, and where they have
/// their certificates decoded.
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
        let is_named =
            |begin: &[u8]| name.as_encoded_bytes().starts_with(begin) && has_suffix(&name);
        if is_named(b"libssl") || is_named(b"libcrypto") || is_named(b"libgnutls") {
            found.push(path);
        } else if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_libraries(&path, found, levels - 1);
        }
    }
}

fn has_suffix(name: &OsStr) -> bool {
    name.to_string_lossy().contains(".so")
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
    // Shared, because the kernel writes the breakpoints of every observer into the private mappings of
    // a file: its code must be read as it is on disk.
    // SAFETY: a new mapping of a readable file, read only, at an address that the kernel chooses.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            length,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::SHARED,
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
        assert_eq!(candidate.probes(ProbeSites::Auto).expect("readable").tls, []);
    }

    #[test]
    fn a_folder_or_a_missing_file_is_refused() {
        assert!(Candidate::open(Path::new("/proc"), "/proc").is_err());
        assert!(Candidate::open(Path::new("/no/such/file"), "x").is_err());
    }

    #[test]
    fn what_an_installed_gnutls_sends_is_counted_once() {
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy() == "libgnutls.so.30")
        };
        let Some(path) = installed().into_iter().find(named) else {
            eprintln!("SKIPPED: no GnuTLS 3 on this machine");
            return;
        };
        let candidate = Candidate::open(&path, "library").expect("there");
        let probes = candidate.probes(ProbeSites::Auto).expect("an ELF file").tls;
        let names: Vec<_> = probes.iter().map(|it| it.function).collect();
        assert!(names.contains(&"gnutls_record_recv"), "{names:?}");
        let is_sending = |name: &&&str| name.starts_with("gnutls_record_send");
        assert_eq!(names.iter().filter(is_sending).count(), 1, "{names:?}");
    }

    #[test]
    fn an_installed_libssl_is_probed_on_every_function_that_it_has() {
        let [Some(ssl), Some(crypto)] = ["libssl.so.3", "libcrypto.so.3"].map(|wanted| {
            installed().into_iter().find(|path| path.file_name().is_some_and(|name| name == wanted))
        }) else {
            eprintln!("SKIPPED: no OpenSSL 3 on this machine");
            return;
        };
        let probes = |path: &Path, sites| {
            Candidate::open(path, "library").and_then(|it| it.probes(sites)).expect("an ELF file")
        };
        let names = |probes: &[Probe]| probes.iter().map(|it| it.function).collect::<Vec<_>>();
        let found = probes(&ssl, ProbeSites::Auto);
        assert_eq!(names(&found.certificates), ["SSL_do_handshake", "d2i_SSL_SESSION"]);
        let of_openssl = FUNCTIONS.iter().filter(|it| !it.name.starts_with("gnutls")).count();
        assert_eq!(found.tls.len() + found.certificates.len() + 1, of_openssl);
        let by_entry = probes(&ssl, ProbeSites::Entry);
        assert!(by_entry.tls.iter().all(|probe| probe.sites.kind() != SiteKind::Emulated));
        let decoder = probes(&crypto, ProbeSites::Auto);
        assert_eq!((names(&decoder.tls), names(&decoder.certificates)), (vec![], vec!["d2i_X509"]));
    }
}
