//! Processes of the node, from `/proc`.

mod placement;

use std::{fs, path::PathBuf};

pub use placement::Placement;

/// Ids of all processes that `/proc` shows, in no order.
#[must_use]
pub fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A file that a process has mapped as code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeMapping {
    /// Path as the process sees it.
    pub path: String,
    /// Path under which this process can open it: through the root of the process, so that other
    /// mount namespaces are reached.
    pub reachable: PathBuf,
}

/// Files that a process has mapped as code, each once. Empty when the process is gone.
#[must_use]
pub fn code_mappings(tgid: u32) -> Vec<CodeMapping> {
    let Ok(text) = fs::read(format!("/proc/{tgid}/maps")) else { return Vec::new() };
    let mut found: Vec<CodeMapping> = Vec::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((range, path)) = parse_mapping(line) else { continue };
        if found.iter().any(|mapping| mapping.path == path) {
            continue;
        }
        // A file that was replaced or removed is reached through the mapping itself.
        let reachable = if path.ends_with(DELETED) {
            format!("/proc/{tgid}/map_files/{range}")
        } else {
            format!("/proc/{tgid}/root{path}")
        };
        found.push(CodeMapping { path: path.to_owned(), reachable: PathBuf::from(reachable) });
    }
    found
}

/// Address range and path in one line of `/proc/PID/maps` when it maps a file as code.
fn parse_mapping(line: &str) -> Option<(&str, &str)> {
    // address perms offset dev inode pathname
    let mut rest = line;
    let mut field = || {
        let (field, behind) = rest.trim_start().split_once(' ')?;
        rest = behind;
        Some(field)
    };
    let (range, permissions) = (field()?, field()?);
    let (_offset, _device, inode) = (field()?, field()?, field()?);
    let path = rest.trim_start();
    let is_code = permissions.as_bytes().get(2) == Some(&b'x');
    (is_code && inode != "0" && path.starts_with('/')).then_some((range, path))
}

/// What `/proc/PID/maps` appends to the path of a file that is no longer there.
const DELETED: &str = " (deleted)";

/// Name of a process, as `ps` shows it.
#[must_use]
pub fn command(tgid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{tgid}/comm")).ok().map(|text| text.trim_end().to_owned())
}

/// Path of a process's executable, as the process sees it.
#[must_use]
pub fn executable(tgid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{tgid}/exe")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_counts() {
        let line = "7f01 r-xp 0001c000 fe:00 1234    /usr/lib/libssl.so.3";
        assert_eq!(parse_mapping(line), Some(("7f01", "/usr/lib/libssl.so.3")));
        let spaced = "7f01 r-xp 0001c000 fe:00 1234    /opt/my app/libssl.so (deleted)";
        assert_eq!(parse_mapping(spaced), Some(("7f01", "/opt/my app/libssl.so (deleted)")));
        assert_eq!(parse_mapping("7f01 r--p 0 fe:00 1234    /usr/lib/libssl.so.3"), None);
        assert_eq!(parse_mapping("7f01 r-xp 0 00:00 0       [vdso]"), None);
        assert_eq!(parse_mapping(""), None);
    }

    #[test]
    fn this_process_is_found() {
        let own = std::process::id();
        assert!(all().contains(&own));
        assert!(!code_mappings(own).is_empty());
        assert!(command(own).is_some());
        assert!(executable(own).is_some());
    }
}
