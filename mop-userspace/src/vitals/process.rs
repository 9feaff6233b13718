//! What the process itself uses, as the kernel tells it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

/// Open files of `/proc/self`: they stay readable when nothing may be opened any more.
#[derive(Debug)]
pub(crate) struct OwnProcess {
    stat: Option<File>,
    status: Option<File>,
}

impl OwnProcess {
    pub(crate) fn open() -> Self {
        Self {
            stat: File::open("/proc/self/stat").ok(),
            status: File::open("/proc/self/status").ok(),
        }
    }

    /// CPU time used, in user and kernel mode.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        cpu_seconds(&read(self.stat.as_ref()?)?)
    }

    /// Memory held now.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        resident_bytes(&read(self.status.as_ref()?)?)
    }

    /// Open file descriptors; the one that counts them is not counted.
    pub(crate) fn open_files(&self) -> Option<u64> {
        let entries = fs::read_dir(Path::new("/proc/self/fd")).ok()?;
        u64::try_from(entries.count()).ok()?.checked_sub(1)
    }
}

fn read(file: &File) -> Option<String> {
    let mut bytes = [0; MAX_BYTES];
    let length = file.read_at(&mut bytes, 0).ok()?;
    bytes.get(..length).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name is in parentheses and may hold blanks and parentheses; the state follows it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let kernel: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(kernel)) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Both files are shorter, and what is wanted stands in front.
const MAX_BYTES: usize = 4096;

/// `USER_HZ` is 100 on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tmop\nVmRSS:\t    12 kB\n"), Some(12_288));
        assert_eq!(resident_bytes("Name:\tmop\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let own = OwnProcess::open();
        assert!(own.resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(own.open_files().is_some_and(|files| files >= 2));
        assert!(own.cpu_seconds().is_some());
    }
}
