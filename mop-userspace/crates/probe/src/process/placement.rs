//! Where a process runs: its container and its pod, by the path of its cgroup.
//!
//! Container runtimes and the kubelet name cgroups by identifiers, with the driver `cgroupfs` as they
//! are and with `systemd` inside the names of slices and scopes:
//!
//! ```text
//!   /kubepods/burstable/pod<uid>/<id>                                            cgroupfs
//!   /kubepods.slice/…/kubepods-burstable-pod<uid, with _>.slice/crio-<id>.scope  systemd
//!   /system.slice/…/kubepods-burstable-pod<uid>.slice:cri-containerd:<id>        one of each
//!   /../../pod<uid>/<id>                       seen from a cgroup namespace beside the pod
//!   /docker/<id>                               a container without a pod
//! ```

use std::{
    fs::File,
    io::{self, Read as _},
};

/// The container and the pod of a process; both `None` for one of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Identifier of the container, 64 hexadecimal digits: of a process in a pod, that of the pod's
    /// container, whatever was started inside it.
    pub container: Option<String>,
    /// Identifier of the pod as its cgroup has it: a UUID with hyphens, or the 32 hexadecimal digits
    /// of a pod that the kubelet was given by a file.
    pub pod: Option<String>,
}

impl Placement {
    /// That of a process.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn of_process(tgid: u32) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{tgid}/cgroup"))?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Self::of_file(&String::from_utf8_lossy(&bytes)))
    }

    /// What the content of `/proc/PID/cgroup` says. Version 1 has a line for each controller, of
    /// which some may lie elsewhere: the first that says most counts.
    #[must_use]
    pub fn of_file(text: &str) -> Self {
        let mut best = Self::default();
        for line in text.lines() {
            // hierarchy:controllers:path
            let Some(path) = line.splitn(3, ':').nth(2) else { continue };
            let found = Self::of_path(path.strip_suffix(DELETED).unwrap_or(path));
            if found.rank() > best.rank() {
                best = found;
            }
        }
        best
    }

    fn of_path(path: &str) -> Self {
        let mut parts = path.split(['/', ':']);
        // The outermost: what is further inside was named by who runs there.
        if let Some(pod) = parts.find_map(pod_in_name) {
            let container = parts.find_map(container_in_name).map(str::to_owned);
            return Self { container, pod: Some(pod) };
        }
        let container = path.rsplit(['/', ':']).find_map(container_in_name).map(str::to_owned);
        Self { container, pod: None }
    }

    fn rank(&self) -> (bool, bool) {
        (self.pod.is_some(), self.container.is_some())
    }
}

/// `pod<uid>`, or a slice whose name ends so.
fn pod_in_name(name: &str) -> Option<String> {
    let (before, uid) = name.strip_suffix(".slice").unwrap_or(name).rsplit_once("pod")?;
    let is_whole_word = before.is_empty() || before.ends_with('-');
    (is_whole_word && (is_uuid(uid) || is_hexadecimal(uid, CONFIGURATION_DIGITS)))
        .then(|| uid.replace('_', "-"))
}

/// A UUID whose hyphens systemd may have made underscores: in names of slices, a hyphen is a level.
fn is_uuid(text: &str) -> bool {
    text.len() == UUID_BYTES
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-' || byte == b'_',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The identifier alone, or in a scope whose name ends with it.
fn container_in_name(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    // CRI-O's monitor of a container is not in it.
    (is_hexadecimal(id, CONTAINER_DIGITS) && !runtime.ends_with("conmon")).then_some(id)
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the kernel appends to the path of a cgroup that was removed.
const DELETED: &str = " (deleted)";

/// All that version 1 has are some fourteen lines of a path each.
const MAX_BYTES: u64 = 64 << 10;

/// 256 bits.
const CONTAINER_DIGITS: usize = 64;

/// RFC 9562, section 4.
const UUID_BYTES: usize = 36;

/// The kubelet names a pod of a file by a digest of what the file says, of 128 bits.
const CONFIGURATION_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9";

    fn of(path: &str) -> (Option<String>, Option<String>) {
        let Placement { container, pod } = Placement::of_file(&format!("0::{path}\n"));
        (container, pod)
    }

    #[test]
    fn containers_are_recognised_in_every_form() {
        for path in [
            format!("/docker/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/machine.slice/machine-libpod_pod_{ID}.slice/libpod-{ID}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("/system.slice/docker-{ID}.scope (deleted)"),
        ] {
            assert_eq!(of(&path), (Some(ID.to_owned()), None), "{path}");
        }
        for path in ["/system.slice/nginx.service", "/", "", "/pod", "/kubepods.slice"] {
            assert_eq!(of(path), (None, None), "{path}");
        }
    }

    #[test]
    fn pods_are_recognised_in_every_form() {
        let flat = UID.replace('-', "_");
        for path in [
            format!("/kubepods/pod{UID}/{ID}"),
            format!("/kubepods/besteffort/pod{UID}/{ID}"),
            format!("/kubepods.slice/kubepods-pod{flat}.slice/docker-{ID}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat}.slice/\
                 cri-containerd-{ID}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod{flat}.slice/crio-{ID}.scope/container"),
            // A cluster in a container, and a container in a pod.
            format!("/docker/{}/kubelet/kubepods/pod{UID}/{ID}", ID.replace('0', "f")),
            format!("/kubepods/pod{UID}/{ID}/docker/{}", ID.replace('0', "f")),
            // From a namespace beside it.
            format!("/../../pod{UID}/{ID}"),
            format!("/../../kubepods-besteffort-pod{flat}.slice/cri-containerd-{ID}.scope"),
            format!(
                "/system.slice/containerd.service/kubepods-pod{flat}.slice:cri-containerd:{ID}"
            ),
        ] {
            assert_eq!(of(&path), (Some(ID.to_owned()), Some(UID.to_owned())), "{path}");
        }
        let of_file = "d41d8cd98f00b204e9800998ecf8427e";
        let path = format!("/kubepods/burstable/pod{of_file}/{ID}");
        assert_eq!(of(&path), (Some(ID.to_owned()), Some(of_file.to_owned())));
    }

    #[test]
    fn what_is_in_a_pod_and_in_none_of_its_containers_is_told_so() {
        for path in [
            format!("/kubepods/pod{UID}"),
            format!("/kubepods.slice/kubepods-pod{UID}.slice/crio-conmon-{ID}.scope"),
        ] {
            assert_eq!(of(&path), (None, Some(UID.to_owned())), "{path}");
        }
        // From a namespace of the same pod, nothing says which one it is.
        assert_eq!(of(&format!("/../{ID}")), (Some(ID.to_owned()), None));
    }

    #[test]
    fn of_the_hierarchies_of_version_1_the_one_that_says_most_counts() {
        let text = format!(
            "12:freezer:/\n11:cpu,cpuacct:/docker/{}\n4:memory:/kubepods/pod{UID}/{ID}\n\
             3:name=systemd:/kubepods/pod{UID}\n0::/system.slice\n",
            ID.replace('0', "f")
        );
        let expected = Placement { container: Some(ID.to_owned()), pod: Some(UID.to_owned()) };
        assert_eq!(Placement::of_file(&text), expected);
    }

    #[test]
    fn what_only_looks_alike_is_no_pod() {
        for name in [
            format!("xpod{UID}"),
            format!("pod{UID}0"),
            format!("pod{}", UID.replace('0', "g")),
            format!("pod{}", &UID[1..]),
            format!("pod-{UID}"),
            "pod".to_owned(),
        ] {
            assert_eq!(
                of(&format!("/kubepods/{name}/{ID}")),
                (Some(ID.to_owned()), None),
                "{name}"
            );
        }
    }

    #[test]
    fn this_process_has_a_placement() {
        assert!(Placement::of_process(std::process::id()).is_ok());
        assert!(Placement::of_process(u32::MAX).is_err());
    }

    proptest! {
        #[test]
        fn every_pod_and_container_is_found(
            uid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}",
            id in "[0-9a-f]{64}",
            before in select(vec!["", "/..", "/../..", "/docker/x", "/kubelet.slice"]),
            quality in select(vec!["", "burstable", "besteffort"]),
            runtime in select(vec!["cri-containerd", "crio", "docker"]),
            behind in select(vec!["", "/container", "/init.scope", "/a/b/c"]),
        ) {
            let slash = if quality.is_empty() { "" } else { "/" };
            let hyphen = if quality.is_empty() { "" } else { "-" };
            let flat = uid.replace('-', "_");
            for path in [
                format!("{before}/kubepods{slash}{quality}/pod{uid}/{id}{behind}"),
                format!("{before}/kubepods{hyphen}{quality}-pod{flat}.slice/{runtime}-{id}.scope{behind}"),
            ] {
                prop_assert_eq!(of(&path), (Some(id.clone()), Some(uid.clone())));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = Placement::of_file(&text);
            let found = Placement::of_file(&String::from_utf8_lossy(&bytes));
            prop_assert!(found.container.is_none_or(|id| id.len() == CONTAINER_DIGITS));
        }

        #[test]
        fn paths_of_pieces_give_identifiers_or_nothing(
            pieces in prop::collection::vec(
                select(vec!["pod", "-", "_", ":", "/", ".slice", ".scope", UID, ID, "kubepods", "0::", "\n", "é"]),
                0..40,
            ),
        ) {
            let Placement { container, pod } = Placement::of_file(&pieces.concat());
            prop_assert!(container.is_none_or(|id| id == ID));
            prop_assert!(pod.is_none_or(|uid| uid == UID));
        }
    }
}
