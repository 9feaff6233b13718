//! One boot of one kernel under QEMU's software emulation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mop_tests::{Process, bound};

/// Where one boot leaves what it said.
#[derive(Debug)]
pub(super) struct Boot {
    /// What the script in the machine reported.
    pub(super) report: String,
    /// What the kernel said.
    pub(super) console: PathBuf,
    /// How long it took.
    pub(super) seconds: u64,
    /// Whether it had to be ended from outside.
    pub(super) timed_out: bool,
}

/// A virtual machine that has not begun yet.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    /// Its first file system.
    pub(super) initramfs: &'a Path,
    /// What is added to the kernel's command line.
    pub(super) kernel_options: &'a str,
    /// How long one boot may take.
    pub(super) limit: Duration,
}

impl Machine<'_> {
    /// Boots a kernel and waits until the machine switches itself off.
    pub(super) fn boot(&self, image: &Path, folder: &Path) -> Result<Boot> {
        let console = folder.join("console");
        let report = folder.join("report");
        // What an earlier boot said must not pass for what this one says.
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let serial = |path: &Path| format!("file:{}", path.display());
        let mut command = bound("qemu-system-x86_64");
        command
            .args(["-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", "2", "-m", MEMORY_MIB])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", &format!("{KERNEL_OPTIONS} {}", self.kernel_options)])
            .arg("-serial")
            .arg(serial(&console))
            .arg("-serial")
            .arg(serial(&report))
            .stdin(Stdio::null());
        let begin = Instant::now();
        let mut machine = Process::start("qemu-system-x86_64", &mut command)?;
        let ended = machine.wait(self.limit);
        drop(machine);
        if let Ok(status) = &ended
            && !status.success()
        {
            bail!("QEMU cannot run {} ({status})", image.display());
        }
        let bytes =
            fs::read(&report).with_context(|| format!("cannot read {}", report.display()))?;
        Ok(Boot {
            report: String::from_utf8_lossy(&bytes).replace('\r', ""),
            console,
            seconds: begin.elapsed().as_secs(),
            timed_out: ended.is_err(),
        })
    }
}

const MEMORY_MIB: &str = "1024";
/// A panic ends the machine, since it may not start again. And what programs cost is counted from the
/// start: MOP has it switched on later, for which the kernel changes its own code while it runs, and QEMU
/// sometimes goes on with code that is half changed.
const KERNEL_OPTIONS: &str = "console=ttyS0 panic=-1 quiet sysctl.kernel.bpf_stats_enabled=1";
