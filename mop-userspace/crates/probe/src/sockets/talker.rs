//! What a process is that talks over TCP, as far as its name, its files and its libraries tell.
//!
//! Nothing of its command line leaves here but the name of a Java class or archive: the rest may
//! hold secrets.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use memchr::memmem;

use crate::process::{self, CodeMapping, Placement};

/// A process that moved bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Its id.
    pub tgid: u32,
    /// Its name, as `ps` shows it.
    pub command: String,
    /// Its container and its pod.
    pub placement: Placement,
    /// Path of its executable, as it sees it; empty when it is longer than [`MAX_PATH_BYTES`].
    pub executable: String,
    /// Main class or archive of a Java program, at most [`MAX_PROGRAM_BYTES`].
    pub program: Option<String>,
    /// What brings its TLS, if it has any.
    pub runtime: Runtime,
    /// Ports that it listens on, in order, at most [`MAX_LISTENERS`].
    pub listeners: Vec<u16>,
}

/// What brings the TLS of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// Go: code of its own.
    Go,
    /// Java: code of its own.
    Java,
    /// A library that is not probed, such as NSS.
    OtherLibrary,
    /// A library that is probed, or nothing that was recognised.
    Plain,
    /// rustls, inside the executable.
    Rustls,
    /// TLS inside the executable, without names of functions, or BoringSSL there.
    Static,
}

impl Runtime {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Go, Self::Java, Self::OtherLibrary, Self::Plain, Self::Rustls, Self::Static];
}

impl Talker {
    /// Looks at a process; `None` when it is gone.
    pub(super) fn of(
        tgid: u32,
        listeners: Vec<u16>,
        executables: &mut Executables,
    ) -> Option<Self> {
        let command = process::command(tgid)?;
        let mappings = process::code_mappings(tgid);
        let runtime = by_libraries(&mappings).unwrap_or_else(|| executables.runtime_of(tgid));
        let executable = process::executable(tgid)
            .and_then(|path| path.into_os_string().into_string().ok())
            .filter(|path| path.len() <= MAX_PATH_BYTES);
        Some(Self {
            tgid,
            command,
            placement: Placement::of_process(tgid).unwrap_or_default(),
            executable: executable.unwrap_or_default(),
            program: (runtime == Runtime::Java).then(|| java_program(tgid)).flatten(),
            runtime,
            listeners,
        })
    }
}

/// What the libraries of a process say.
fn by_libraries(mappings: &[CodeMapping]) -> Option<Runtime> {
    let maps = |names: &[&str]| {
        mappings.iter().any(|mapping| {
            let name = mapping.path.rsplit('/').next().unwrap_or_default();
            names.iter().any(|known| name.starts_with(known))
        })
    };
    if maps(&["libjvm.so"]) {
        Some(Runtime::Java)
    } else if maps(&OTHER_LIBRARIES) {
        Some(Runtime::OtherLibrary)
    } else if maps(&["libssl.so", "libgnutls.so"]) {
        Some(Runtime::Plain)
    } else {
        None
    }
}

/// What executables hold, remembered: reading them through is the dearest part of a survey.
#[derive(Debug, Default)]
pub(super) struct Executables {
    /// By device, inode and time of the last change.
    known: HashMap<(u64, u64, i64), Runtime>,
}

impl Executables {
    fn runtime_of(&mut self, tgid: u32) -> Runtime {
        self.look(tgid).unwrap_or(Runtime::Plain)
    }

    fn look(&mut self, tgid: u32) -> io::Result<Runtime> {
        // The link opens the file itself, whatever became of its path.
        let file = File::open(format!("/proc/{tgid}/exe"))?;
        let facts = file.metadata()?;
        let key = (facts.dev(), facts.ino(), facts.mtime());
        if let Some(runtime) = self.known.get(&key) {
            return Ok(*runtime);
        }
        let runtime = by_content(file)?;
        if self.known.len() >= MAX_EXECUTABLES {
            self.known.clear();
        }
        self.known.insert(key, runtime);
        Ok(runtime)
    }
}

/// What the bytes of an executable say, of its first [`MAX_EXECUTABLE_BYTES`].
fn by_content(file: impl io::Read) -> io::Result<Runtime> {
    let mut file = file.take(MAX_EXECUTABLE_BYTES);
    let needles = [GO_BUILD, BORINGSSL, RUSTLS, TLS_LABEL, OPENSSL_NAME];
    let finders = needles.map(memmem::Finder::new);
    let mut found = [false; 5];
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut kept = 0;
    loop {
        let length = file.read(buffer.get_mut(kept..).unwrap_or_default())?;
        if length == 0 {
            break;
        }
        let filled = kept + length;
        let chunk = buffer.get(..filled).unwrap_or_default();
        for (found, finder) in found.iter_mut().zip(&finders) {
            *found |= finder.find(chunk).is_some();
        }
        // A word may lie across two chunks.
        kept = filled.min(LONGEST_NEEDLE);
        buffer.copy_within(filled - kept..filled, 0);
    }
    let [is_go, has_boringssl, has_rustls, has_tls, has_openssl_names] = found;
    Ok(if is_go {
        Runtime::Go
    } else if has_boringssl {
        // Envoy speaks of rustls too.
        Runtime::Static
    } else if has_rustls {
        Runtime::Rustls
    } else if has_tls && !has_openssl_names {
        Runtime::Static
    } else {
        Runtime::Plain
    })
}

fn java_program(tgid: u32) -> Option<String> {
    let file = File::open(format!("/proc/{tgid}/cmdline")).ok()?;
    let mut line = Vec::new();
    file.take(MAX_COMMAND_LINE_BYTES).read_to_end(&mut line).ok()?;
    java_program_in(&line)
}

/// The name of the archive behind `-jar`, or the first argument that is no option: the main class.
fn java_program_in(line: &[u8]) -> Option<String> {
    let mut arguments = line.split(|&byte| byte == 0).skip(1);
    while let Some(argument) = arguments.next() {
        let argument = std::str::from_utf8(argument).ok()?;
        let program = match argument {
            "-jar" => file_name(std::str::from_utf8(arguments.next()?).ok()?)?,
            "-m" | "--module" => std::str::from_utf8(arguments.next()?).ok()?,
            _ if JAVA_OPTIONS_WITH_VALUE.contains(&argument) => {
                arguments.next()?;
                continue;
            }
            // Options, and files of them.
            _ if argument.starts_with(['-', '@']) => continue,
            // A class, or the file of its source.
            _ => file_name(argument)?,
        };
        let is_name = !program.is_empty()
            && program.len() <= MAX_PROGRAM_BYTES
            && program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-$/".contains(&byte));
        return is_name.then(|| program.to_owned());
    }
    None
}

fn file_name(path: &str) -> Option<&str> {
    Path::new(path).file_name()?.to_str()
}

/// As many as a service has by far.
pub const MAX_LISTENERS: usize = 16;
/// Fully qualified names of classes have less.
pub const MAX_PROGRAM_BYTES: usize = 128;
/// Executables lie not that deep.
pub const MAX_PATH_BYTES: usize = 1024;

/// Options of `java` whose value is an argument of its own.
const JAVA_OPTIONS_WITH_VALUE: [&str; 10] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
];

/// Mozilla's, Mbed, wolfSSL, Botan, Amazon's.
const OTHER_LIBRARIES: [&str; 6] =
    ["libnss3.so", "libssl3.so", "libmbedtls.so", "libwolfssl.so", "libbotan-", "libs2n.so"];

/// Begins the build information of a Go program.
const GO_BUILD: &[u8] = b"\xff Go buildinf:";
/// The path of its source file, which errors tell.
const BORINGSSL: &[u8] = b"ssl/ssl_lib.cc\0";
/// In the paths of its source files, which panics tell.
const RUSTLS: &[u8] = b"rustls";
/// RFC 7627, section 4: in every implementation of TLS 1.2.
const TLS_LABEL: &[u8] = b"extended master secret";
/// A program that has this name can be probed.
const OPENSSL_NAME: &[u8] = b"SSL_write";
const LONGEST_NEEDLE: usize = TLS_LABEL.len();

/// An executable that holds more shows what it is in its beginning.
const MAX_EXECUTABLE_BYTES: u64 = 256 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// Different programs that talk on one node.
const MAX_EXECUTABLES: usize = 1024;
/// Class paths are long, and come before the class.
const MAX_COMMAND_LINE_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_program_is_taken_from_a_command_line() {
        let program = |line: &str| java_program_in(line.replace(' ', "\0").as_bytes());
        let found = |name: &str| Some(name.to_owned());
        assert_eq!(
            program("java -Dpassword=x -jar /opt/app/api-1.2.jar --key=y"),
            found("api-1.2.jar")
        );
        assert_eq!(
            program("java -cp /a:/b -Xmx1g org.example.Main secret"),
            found("org.example.Main")
        );
        assert_eq!(
            program("java @options --module-path /x -m app/org.Main"),
            found("app/org.Main")
        );
        assert_eq!(program("java /home/somebody/Main.java x"), found("Main.java"));
        assert_eq!(program("java --password=x"), None);
        assert_eq!(program("java user:password@host"), None);
        assert_eq!(program("java -jar"), None);
        assert_eq!(program(""), None);
        assert_eq!(program(&format!("java {}", "x".repeat(MAX_PROGRAM_BYTES + 1))), None);
    }

    #[test]
    fn executables_are_told_by_what_they_hold_also_across_chunks() {
        let at = |position: usize, word: &[u8]| {
            let mut bytes = vec![b'.'; 2 * CHUNK_BYTES];
            bytes[position..position + word.len()].copy_from_slice(word);
            bytes
        };
        for position in [0, CHUNK_BYTES - 3, CHUNK_BYTES, 2 * CHUNK_BYTES - LONGEST_NEEDLE] {
            for (word, runtime) in [
                (GO_BUILD, Runtime::Go),
                (BORINGSSL, Runtime::Static),
                (RUSTLS, Runtime::Rustls),
                (TLS_LABEL, Runtime::Static),
                (OPENSSL_NAME, Runtime::Plain),
            ] {
                let bytes = at(position, word);
                assert_eq!(by_content(bytes.as_slice()).expect("read"), runtime, "{position}");
            }
        }
        let both = [at(0, RUSTLS), at(0, BORINGSSL), at(0, OPENSSL_NAME)].concat();
        assert_eq!(by_content(both.as_slice()).expect("read"), Runtime::Static);
        let named = [at(0, TLS_LABEL), at(0, OPENSSL_NAME)].concat();
        assert_eq!(by_content(named.as_slice()).expect("read"), Runtime::Plain);
    }

    #[test]
    fn libraries_are_told_by_their_names() {
        let maps = |path: &str| CodeMapping { path: path.to_owned(), reachable: "/x".into() };
        for (path, runtime) in [
            ("/usr/lib/jvm/lib/server/libjvm.so", Some(Runtime::Java)),
            ("/usr/lib/libnss3.so", Some(Runtime::OtherLibrary)),
            ("/usr/lib/libssl.so.3", Some(Runtime::Plain)),
            ("/usr/lib/libc.so.6", None),
        ] {
            assert_eq!(by_libraries(&[maps(path)]), runtime, "{path}");
        }
    }

    #[test]
    fn this_process_is_described() {
        let mut executables = Executables::default();
        let own = Talker::of(std::process::id(), vec![80], &mut executables).expect("it lives");
        assert!(!own.command.is_empty() && own.executable.starts_with('/'));
        assert_eq!((own.listeners.as_slice(), own.program), (&[80][..], None));
        assert!(Talker::of(u32::MAX, Vec::new(), &mut executables).is_none());
    }
}
