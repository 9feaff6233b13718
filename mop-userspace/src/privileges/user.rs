//! Whom the core runs as.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, fchown, lchown},
    path::Path,
};

use crate::failure::Failure;

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// Finds the user that the configuration names.
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        // Without the file no name is known, but numbers still are.
        let accounts = fs::read_to_string(ACCOUNTS).unwrap_or_default();
        Self::find(name, &accounts).map_err(Failure::configuration)
    }

    fn find(name: &str, accounts: &str) -> Result<Self, String> {
        let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut known = fields.filter_map(|fields| match fields.as_slice() {
            [name, _password, uid, gid, ..] => {
                Some((*name, Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? }))
            }
            _ => None,
        });
        let user = match name.parse() {
            Ok(uid) => known
                .find_map(|(_, user)| (user.uid == uid).then_some(user))
                .unwrap_or(Self { uid, gid: uid }),
            Err(_) => known.find_map(|(known, user)| (known == name).then_some(user)).ok_or_else(
                || {
                    format!(
                        "privileges.user: {ACCOUNTS} has no user {name:?}; make one \
                         (`useradd --system`), or give a number such as 65532"
                    )
                },
            )?,
        };
        match user {
            Self { uid: 0, .. } | Self { gid: 0, .. } => Err("privileges.user: the core must not \
                 run as root; name another user, or set privileges.split = false"
                .to_owned()),
            // The kernel takes it for "no change".
            Self { uid: u32::MAX, .. } | Self { gid: u32::MAX, .. } => {
                Err("privileges.user: that is no user's number".to_owned())
            }
            user => Ok(user),
        }
    }

    /// Makes a folder that this user can write, or gives an empty one to it. One that holds
    /// something is left alone: whose it is, is not for a program to change that runs as root.
    pub(super) fn take_folder(self, folder: &Path) -> Result<(), Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::configuration(format!(
                "the folder {} cannot be made or given to the user {}: {error}",
                folder.display(),
                self.uid
            ))
        };
        self.make_folders(folder).map_err(|error| unusable(&error))?;
        let opened = fs::File::open(folder).map_err(|error| unusable(&error))?;
        let facts = opened.metadata().map_err(|error| unusable(&error))?;
        let is_empty = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if facts.uid() != self.uid && is_empty() {
            // By the descriptor that was looked at, so that nothing else can have taken its place.
            fchown(&opened, Some(self.uid), Some(self.gid)).map_err(|error| unusable(&error))?;
        }
        Ok(())
    }

    /// Makes what is missing of a path. Whatever mask this process has, the user can pass it.
    fn make_folders(self, folder: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|part| !part.as_os_str().is_empty() && !part.exists())
            .collect();
        for part in missing.into_iter().rev() {
            fs::create_dir(part)?;
            lchown(part, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }
}

const ACCOUNTS: &str = "/etc/passwd";

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "root:x:0:0:root:/root:/bin/bash\nmop:x:998:997::/:/bin/false\nbroken\n\
                        also-root:x:5:0::/:\n::::\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        assert_eq!(User::find("mop", SOME), Ok(User { uid: 998, gid: 997 }));
        assert_eq!(User::find("998", SOME), Ok(User { uid: 998, gid: 997 }));
        assert_eq!(User::find("65532", SOME), Ok(User { uid: 65532, gid: 65532 }));
    }

    #[test]
    fn root_and_nobody_at_all_are_refused() {
        for name in ["root", "0", "also-root", "5", "unknown", "", "-1", "4294967295", "4294967296"]
        {
            assert!(User::find(name, SOME).is_err(), "{name}");
        }
    }
}
