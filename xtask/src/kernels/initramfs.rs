//! The first and only file system of the virtual machine.
//!
//! Its folders are merged below `/usr`, as those of today's distributions are, so that MOP meets
//! libraries where it meets them on real nodes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use mop_tests::Certificates;

use super::{archive::Archive, calls::SERVERS, outcome::Scenario};
use crate::shell;

/// Writes the file system, with what the calls need, as an archive.
pub(super) fn write(
    mop: &Path,
    scenario: &Scenario<'_>,
    folder: &Path,
    archive_path: &Path,
) -> Result<()> {
    let certificates = Certificates::create(folder)?;
    let mut archive = Archive::default();
    for path in ["dev", "proc", "sys", "tmp", "run", "usr/bin", "usr/sbin", "usr/lib64", "var/lib"]
    {
        archive.folder(path, 0o755);
    }
    archive.folder("root", 0o700);
    for name in ["bin", "sbin", "lib", "lib64"] {
        archive.link(name, &format!("usr/{name}"));
    }
    archive.file("init", 0o755, init_script(scenario).as_bytes());
    for (path, permissions, content) in SETTINGS {
        archive.file(path, permissions, content.as_bytes());
    }
    for (path, source) in [
        ("etc/authority.pem", certificates.authority()),
        ("etc/server.pem", certificates.server()),
        ("etc/server.key", certificates.key()),
    ] {
        archive.file(path, 0o644, &read(&source)?);
    }
    for call in scenario.calls {
        archive.file(&call.body_path(), 0o644, &read(&call.body.path)?);
    }
    add_programs(&mut archive, &stripped(mop, folder)?)?;
    fs::write(archive_path, archive.finish())
        .with_context(|| format!("cannot write {}", archive_path.display()))
}

fn init_script(scenario: &Scenario<'_>) -> String {
    let commands: Vec<String> =
        scenario.calls.iter().map(|call| format!("        {}", call.command())).collect();
    INIT.replace("@MARK@", MARK)
        .replace("@ROUNDS@", &scenario.rounds.to_string())
        .replace("@CALLS@", &commands.join("\n"))
}

/// Programs, and the libraries that they load, each once.
fn add_programs(archive: &mut Archive, mop: &Path) -> Result<()> {
    let busybox = program("busybox")?;
    if !libraries(&busybox)?.is_empty() {
        bail!("busybox is linked dynamically here: install the package busybox-static");
    }
    archive.file("usr/bin/busybox", 0o755, &read(&busybox)?);
    let mut files = BTreeMap::new();
    for (path, source) in [
        ("usr/bin/mop", mop.to_owned()),
        ("usr/bin/curl", program("curl")?),
        ("usr/sbin/nginx", program("nginx")?),
    ] {
        for library in libraries(&source)? {
            files.insert(merged(&library), library);
        }
        files.insert(path.to_owned(), source);
    }
    for (path, source) in files {
        archive.file(&path, 0o755, &read(&source)?);
    }
    Ok(())
}

/// The libraries that a program loads, its loader among them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let name = program.to_string_lossy();
    // It fails for a program that is linked statically.
    let text = shell::output("ldd", &[&name]).unwrap_or_default();
    if text.contains("not found") {
        bail!("{name} misses libraries:\n{text}");
    }
    Ok(text
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

/// The path in the archive of a library, whose folder may be a link into `/usr`.
fn merged(library: &Path) -> String {
    let path = library.to_string_lossy();
    let path = path.trim_start_matches('/');
    if path.starts_with("lib") { format!("usr/{path}") } else { path.to_owned() }
}

/// A copy without line tables: they are three quarters of the file, and a virtual machine holds it
/// in memory twice.
fn stripped(mop: &Path, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("mop");
    fs::copy(mop, &copy).with_context(|| format!("cannot read {}", mop.display()))?;
    if shell::which("strip").is_some() {
        shell::run_quietly(Command::new("strip").arg("--strip-debug").arg(&copy))?;
    }
    Ok(copy)
}

fn program(name: &str) -> Result<PathBuf> {
    shell::which(name).with_context(|| format!("{name} is not installed"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Begins a part of the report on the serial line.
pub(super) const MARK: &str = "==";
const INIT: &str = include_str!("init.sh");

/// Path, permissions and content of small files.
const SETTINGS: [(&str, u32, &str); 4] = [
    ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/group", 0o644, "root:x:0:\n"),
    // `mop doctor` proves that its core cannot read it.
    ("etc/shadow", 0o600, "root:*:20000:0:99999:7:::\n"),
    ("etc/nginx.conf", 0o644, SERVERS),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Scenario, init_script, merged};
    use crate::kernels::calls::Call;

    #[test]
    fn libraries_lie_below_usr() {
        assert_eq!(merged(Path::new("/lib/x/libc.so.6")), "usr/lib/x/libc.so.6");
        assert_eq!(merged(Path::new("/lib64/ld.so")), "usr/lib64/ld.so");
        assert_eq!(merged(Path::new("/usr/lib/x/libssl.so.3")), "usr/lib/x/libssl.so.3");
    }

    #[test]
    fn the_script_makes_every_call() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = Call::all(folder.path()).expect("calls");
        let scenario = Scenario { calls: &calls, rounds: 7, kernel_options: "" };
        let script = init_script(&scenario);
        assert!(calls.iter().all(|call| script.contains(&call.command())));
        assert!(script.contains("seq 7)"));
        assert!(!script.contains("@CALLS@") && !script.contains("@MARK@"));
    }
}
