//! What the core needs of the machine: the files and ports that its configuration names.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::{
    cli::ObserveArguments, configuration::Configuration, failure::Failure,
    workloads::KubernetesConfiguration,
};

/// Files and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Folders that are written. They are made when they are missing.
    pub(crate) writable: Vec<PathBuf>,
    /// Files and folders that are read, now and when they are replaced.
    pub(crate) readable: Vec<PathBuf>,
    /// A Unix socket that is listened on. It is made before the core is kept to the rest.
    pub(crate) socket: Option<PathBuf>,
    /// TCP ports that are connected to; `None` when they cannot be told. Name servers' comes by
    /// itself with any other.
    pub(crate) connect: Option<Vec<u16>>,
    /// TCP ports that are listened on; `None` when they cannot be told.
    pub(crate) bind: Option<Vec<u16>>,
}

impl Needs {
    /// What `mop observe` needs.
    pub(crate) fn of(arguments: &ObserveArguments, configuration: &Configuration) -> Self {
        let rules = &arguments.quality.rules;
        let readable = rules.rules.iter().chain(&rules.contracts).chain(&rules.detections);
        let readable = readable.chain(&arguments.forwarding.configuration.config).cloned();
        let admin = configuration.admin.asked_for(arguments.admin, configuration.is_given);
        let security = &configuration.security;
        let (folders, ports) = (security.folders(), security.ports());
        let kubernetes = configuration.kubernetes.as_ref();
        let of_kubernetes = kubernetes.map_or(Some(Vec::new()), KubernetesConfiguration::ports);
        Self {
            writable: configuration.outbox.folder.iter().chain(folders).cloned().collect(),
            readable: readable
                .chain(configuration.sinks.files())
                .chain(configuration.data.iter().flat_map(|data| data.files().cloned()))
                .chain(security.files().cloned())
                .chain(kubernetes.into_iter().flat_map(|section| section.files().cloned()))
                .collect(),
            socket: configuration.data.as_ref().and_then(|data| data.hook_socket.clone()),
            connect: configuration.sinks.ports().zip(ports).zip(of_kubernetes).map(
                |((of_sinks, ports), more)| of_sinks.into_iter().chain(ports).chain(more).collect(),
            ),
            bind: Some(if admin.enabled { vec![admin.listen.port()] } else { Vec::new() }),
        }
    }

    /// Nothing at all.
    pub(super) fn none() -> Self {
        Self { connect: Some(Vec::new()), bind: Some(Vec::new()), ..Self::default() }
    }

    /// Says which file or folder this process cannot use, when it is for the want of a right. What
    /// is not there is for its reader to say.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let Self { writable, readable, socket: _, connect: _, bind: _ } = self;
        for folder in writable {
            check_way(folder)?;
            if is_refused(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
                return Err(refusal("write into the folder", folder, "give it to that user"));
            }
        }
        readable.iter().try_for_each(|path| {
            check_way(path)?;
            check_readable(path, MAX_DEPTH, &mut MAX_LOOKS.clone())
        })
    }
}

/// That every folder on the way to a path can be passed.
fn check_way(path: &Path) -> Result<(), Failure> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    match folders.into_iter().find(|folder| is_refused(folder, Access::EXEC_OK)) {
        None => Ok(()),
        Some(folder) => Err(refusal("pass the folder", folder, "let others pass it (chmod o+x)")),
    }
}

fn check_readable(path: &Path, depth: u32, looks: &mut u32) -> Result<(), Failure> {
    *looks = looks.saturating_sub(1);
    if *looks == 0 {
        return Ok(());
    }
    let is_folder = path.is_dir();
    let wanted = if is_folder { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
    if is_refused(path, wanted) {
        return Err(refusal("read", path, "let others read it (chmod o+rX)"));
    }
    if !is_folder || depth == 0 {
        return Ok(());
    }
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .try_for_each(|entry| check_readable(&entry.path(), depth - 1, looks))
}

fn is_refused(path: &Path, wanted: Access) -> bool {
    matches!(
        access(path, wanted),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM | rustix::io::Errno::ROFS)
    )
}

fn refusal(what: &str, path: &Path, remedy: &str) -> Failure {
    let user = rustix::process::getuid();
    Failure::configuration(format!(
        "the core runs as the user {user} and cannot {what} {}: {remedy}, name a user that can in \
         privileges.user, or start with --no-privilege-split",
        path.display()
    ))
}

/// Folders in folders that are looked through, and files in all: those of rules have two levels and
/// some hundred files. What is beyond is told by its reader when it is refused.
const MAX_DEPTH: u32 = 3;
const MAX_LOOKS: u32 = 4_000;
