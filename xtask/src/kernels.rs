//! Boots kernels of a distribution and has MOP observe one exchange in each.
//!
//! Everything is emulated in software, so neither hardware virtualisation nor root is needed: a
//! kernel, a first file system in memory with MOP, nginx and curl, and a script that reports on a
//! serial line. Slow, and therefore no part of the tests.

mod archive;
mod calls;
mod initramfs;
mod machine;
mod outcome;
mod packages;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use self::{
    calls::Call,
    machine::Machine,
    outcome::{Outcome, Scenario},
    packages::{NEWEST, Packages},
};
use crate::{build, shell};

/// Options of `cargo xtask kernels`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A kernel of Debian, such as 6.12 or 6.12.90, or `newest`; may be given several times.
    /// [default: 5.10, 6.1, 6.12, newest]
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// A kernel image of another origin; may be given several times.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// This `mop` instead of a newly built one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Added to the command line of each kernel, such as lockdown=integrity.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    kernel_options: String,
    /// How often each call is made.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Ends a boot after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
    /// One JSON object a kernel instead of the table.
    #[arg(long)]
    json: bool,
}

/// Boots one kernel after the other; an error when MOP does not do on one of them what it should.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::ensure_programs()?;
    let folder = shell::target_dir().join("kernels");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let images = images(options, &folder)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build::mop(false)?,
    };
    let outcomes = boot_all(options, &folder, &images, &binary)?;
    show(&outcomes, options.json);
    let wrong: Vec<&str> =
        outcomes.iter().filter(|one| !one.is_right()).map(|one| one.name.as_str()).collect();
    if !wrong.is_empty() {
        bail!(
            "MOP does not do what it should on {}; {} has what was said",
            wrong.join(", "),
            folder.join("boots").display()
        );
    }
    Ok(())
}

/// Boots one kernel after the other and judges what MOP did in each.
fn boot_all(
    options: &Options,
    folder: &Path,
    images: &[(String, PathBuf)],
    binary: &Path,
) -> Result<Vec<Outcome>> {
    let temporary = tempfile::tempdir_in(folder)?;
    let initramfs = temporary.path().join("initramfs");
    let calls = Call::all(temporary.path())?;
    let scenario = Scenario {
        calls: &calls,
        rounds: usize::from(options.rounds),
        kernel_options: &options.kernel_options,
    };
    initramfs::write(binary, &scenario, temporary.path(), &initramfs)?;
    let machine = Machine {
        initramfs: &initramfs,
        kernel_options: &options.kernel_options,
        limit: Duration::from_secs(options.limit),
    };
    let mut outcomes = Vec::new();
    for (name, image) in images {
        eprintln!("kernels  {name} boots");
        let boot = machine.boot(image, &folder.join("boots").join(name))?;
        let outcome = Outcome::judge(name, &boot, &scenario);
        eprintln!("kernels  {name} {} after {} s", outcome.verdict(), boot.seconds);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Names and images, in the order in which they were asked for.
fn images(options: &Options, folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut versions = options.kernel.clone();
    if versions.is_empty() && options.image.is_empty() {
        versions = DEFAULT_VERSIONS.map(str::to_owned).to_vec();
    }
    let mut images = Vec::new();
    if !versions.is_empty() {
        let packages = Packages::open(folder)?;
        for version in versions {
            images.push(packages.image(&version)?);
        }
    }
    images.extend(options.image.iter().cloned());
    images
        .into_iter()
        .map(|image| {
            let name = image.file_name().context("an image is a file")?.to_string_lossy();
            Ok((name.trim_start_matches("vmlinuz-").to_owned(), image))
        })
        .collect()
}

fn show(outcomes: &[Outcome], as_json: bool) {
    if as_json {
        outcomes.iter().for_each(|outcome| println!("{}", outcome.json()));
        return;
    }
    println!("{}", outcome::HEADING);
    outcomes.iter().for_each(|outcome| println!("{}", outcome.line()));
}

const DEFAULT_VERSIONS: [&str; 4] = ["5.10", "6.1", "6.12", NEWEST];
