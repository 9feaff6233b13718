//! Kernel images from Debian's packages, without a change to this machine's package sources.
//!
//! The suites that hold the wanted kernels are read into lists of their own below `target/kernels`,
//! from the mirror that the machine itself uses. Nothing of a kernel package is installed: its image
//! alone is unpacked.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Brings the programs that booting needs.
pub(super) fn ensure_programs() -> Result<()> {
    let absent: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| shell::which(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    let list = absent.join(" ");
    if !rustix::process::geteuid().is_root() || shell::which("apt-get").is_none() {
        bail!("packages are missing, and only root can install them: apt-get install {list}");
    }
    eprintln!("install  packages {list}");
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(absent);
    shell::run_quietly(&mut command).map(drop).with_context(|| {
        format!("cannot install {list}: nothing is removed for it, so what is in the way has to be removed first")
    })
}

/// Debian's kernels, by their versions.
#[derive(Debug)]
pub(super) struct Packages {
    folder: PathBuf,
    names: Vec<String>,
}

impl Packages {
    /// Reads the package lists anew; goes on with older ones where that is not possible.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let mut packages = Self { folder: folder.to_owned(), names: Vec::new() };
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(packages.apt_folder().join(part))?;
        }
        let mirror = mirror()?;
        let sources: String =
            SUITES.iter().map(|suite| format!("deb {mirror} {suite} main\n")).collect();
        fs::write(packages.apt_folder().join("sources.list"), sources)?;
        eprintln!("kernels  package lists of {}", SUITES.join(", "));
        if let Err(error) = shell::run_quietly(packages.apt("apt-get").arg("update")) {
            // A suite that ended or a key that is not known yet says nothing about the others.
            eprintln!("kernels  not every package list could be read: {error:#}");
        }
        let names = shell::run_quietly(packages.apt("apt-cache").args(["pkgnames", "linux-"]))?;
        packages.names = names.lines().map(str::to_owned).collect();
        Ok(packages)
    }

    /// The image of the newest kernel of a version such as `6.12`, or of all.
    pub(super) fn image(&self, version: &str) -> Result<PathBuf> {
        let Some(full) = newest(&self.names, version) else {
            bail!(
                "Debian's {} have no kernel {version}; --image FILE boots one of another origin",
                SUITES.join(", ")
            );
        };
        let image = self.folder.join("images").join(format!("vmlinuz-{full}"));
        if !image.is_file() {
            self.fetch(&full, &image)
                .with_context(|| format!("cannot get the kernel {full} of Debian"))?;
        }
        Ok(image)
    }

    fn fetch(&self, full: &str, image: &Path) -> Result<()> {
        // Newer packages have the image in a package of its own.
        let package = ["linux-binary", "linux-image"]
            .map(|kind| format!("{kind}-{full}{SUFFIX}"))
            .into_iter()
            .find(|package| self.names.contains(package))
            .context("no such package")?;
        eprintln!("kernels  package {package}");
        let folder = tempfile::tempdir_in(&self.folder)?;
        let mut download = self.apt("apt-get");
        download.current_dir(folder.path()).arg("download").arg(&package);
        shell::run_quietly(&mut download)?;
        let archive = files_below(folder.path())?.pop().context("nothing was downloaded")?;
        unpack(&archive, folder.path())?;
        let unpacked = files_below(folder.path())?
            .into_iter()
            .find(|file| file.file_name().is_some_and(is_image_name))
            .with_context(|| format!("{package} has no kernel image"))?;
        fs::create_dir_all(image.parent().context("an image lies in a folder")?)?;
        fs::rename(unpacked, image)?;
        Ok(())
    }

    /// A program of apt that knows only the sources and folders of this command.
    fn apt(&self, program: &str) -> Command {
        let folder = self.apt_folder();
        let mut command = Command::new(program);
        for (name, value) in [
            ("Dir::Etc::sourcelist", folder.join("sources.list").into_os_string()),
            ("Dir::Etc::sourceparts", OsString::from("-")),
            ("Dir::State::lists", folder.join("lists").into_os_string()),
            ("Dir::Cache", folder.join("cache").into_os_string()),
            ("Acquire::Languages", OsString::from("none")),
            // Its own user cannot write here.
            ("APT::Sandbox::User", OsString::from("root")),
        ] {
            let mut option = OsString::from(name);
            option.push("=");
            option.push(value);
            command.arg("-o").arg(option);
        }
        command
    }

    fn apt_folder(&self) -> PathBuf {
        self.folder.join("apt")
    }
}

/// Where this machine has its own packages of Debian from.
fn mirror() -> Result<String> {
    let targets = shell::output(
        "apt-get",
        &["indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"],
    )
    .unwrap_or_default();
    targets
        .lines()
        .find_map(|line| {
            // `bookworm`, not `bookworm-security`, which lies elsewhere.
            let mut words = line.split(' ');
            let is_main = words.next()? == "Debian" && !words.next()?.contains('-');
            is_main.then(|| words.next().map(str::to_owned)).flatten()
        })
        .context(
            "no suite of Debian is among this machine's package lists: run apt-get update on \
             Debian, or name kernels by --image FILE",
        )
}

/// Unpacks all but modules, which are most of a package and not needed.
fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let mut content = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let tar = Command::new("tar")
        .args(["--extract", "--exclude=*.ko", "--exclude=*.ko.xz", "--directory"])
        .arg(folder)
        .stdin(content.stdout.take().context("no standard output")?)
        .status()
        .context("cannot start tar")?;
    if !content.wait()?.success() || !tar.success() {
        bail!("cannot unpack {}", package.display());
    }
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

fn is_image_name(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("vmlinuz")
}

/// The full version of the newest ordinary kernel of a version, among names of packages.
fn newest(names: &[String], version: &str) -> Option<String> {
    let wanted = (version != NEWEST).then(|| numbers(version));
    names
        .iter()
        .filter_map(|name| name.strip_prefix("linux-image-")?.strip_suffix(SUFFIX))
        .filter(|full| is_ordinary(full))
        .filter(|full| wanted.as_ref().is_none_or(|wanted| numbers(full).starts_with(wanted)))
        .max_by_key(|full| numbers(full))
        .map(str::to_owned)
}

/// Whether it is the version of a package that has a kernel: no meta-package, and no variant for
/// clouds or real time.
fn is_ordinary(full: &str) -> bool {
    full.split('-').all(|part| part.starts_with(|first: char| first.is_ascii_digit()))
        && numbers(full).len() > 2
}

/// The numbers of a version, to be compared.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Stands for the newest kernel of all.
pub(super) const NEWEST: &str = "newest";
const SUFFIX: &str = "-amd64";
/// Each with another kernel: 5.10, 6.1, 6.12, and two with newer ones.
const SUITES: [&str; 5] = ["bullseye", "bookworm", "trixie", "trixie-backports", "forky"];
/// What runs the virtual machine and what runs in it, with the packages that have it.
const PROGRAMS: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("nginx", "nginx-light"),
    ("curl", "curl"),
    ("openssl", "openssl"),
];

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_ordinary_kernel_of_a_version_is_chosen() {
        let names = [
            "linux-image-amd64",
            "linux-image-6.1-amd64",
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-51-cloud-amd64",
            "linux-image-6.12.90+deb12.1-amd64",
            "linux-image-6.12.117+deb13-amd64",
            "linux-image-6.12.118+deb13-rt-amd64",
            "linux-image-unsigned-6.12.119+deb13-amd64",
            "linux-image-7.2.12+deb14-amd64",
            "linux-headers-7.3.1+deb14-amd64",
        ]
        .map(str::to_owned);
        let choose = |version| newest(&names, version);
        assert_eq!(choose("6.1").as_deref(), Some("6.1.0-50"));
        assert_eq!(choose("6.12").as_deref(), Some("6.12.117+deb13"));
        assert_eq!(choose("6.12.90").as_deref(), Some("6.12.90+deb12.1"));
        assert_eq!(choose("newest").as_deref(), Some("7.2.12+deb14"));
        assert_eq!(choose("5.15"), None);
    }
}
