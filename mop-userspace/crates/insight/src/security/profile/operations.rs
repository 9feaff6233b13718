//! What the published interfaces say of a path: its methods, whether it demands an idempotency key,
//! and the permission that its data needs. Paths are without their version.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::{
    checks::{MAX_FILE_BYTES, read_yaml},
    facts::Verb,
};
use crate::data::endpoint::Endpoint;

/// Methods and idempotency of paths.
#[derive(Clone, Debug)]
pub struct Operations(BTreeMap<String, Operation>);

/// Permissions that paths need.
#[derive(Clone, Debug)]
pub struct Permissions {
    by_path: BTreeMap<String, Permission>,
    by_name: BTreeMap<String, Permission>,
}

/// A permission that some path needs, by its place among them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, serde::Serialize,
)]
pub struct Permission(u16);

/// Why a file is refused, where, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OperationsError {
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("the file is longer than {MAX_FILE_BYTES} bytes; take lines out")]
    TooLong,
    /// Not the YAML that is wanted.
    #[error("it cannot be read at {place}: {reason}; write it as the one of the program")]
    Syntax {
        /// Line and column.
        place: String,
        /// What is wrong; quotes the file.
        reason: String,
    },
    /// A path that is there twice.
    #[error("line {0} of the list has a path that was there before; remove one")]
    Twice(usize),
    /// More than [`MAX_PATHS`].
    #[error("it has more than {MAX_PATHS} paths; take lines out")]
    TooMany,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    path: String,
    pub(super) methods: Vec<Verb>,
    #[serde(default)]
    pub(super) idempotency_key: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationsFile {
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Needed {
    path: String,
    needs: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionsFile {
    permissions: Vec<Needed>,
}

impl Operations {
    /// Those that come with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, OperationsError> {
        Self::parse(PUBLISHED_OPERATIONS)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Every [`OperationsError`]; lines are counted from 1 on.
    pub fn parse(text: &str) -> Result<Self, OperationsError> {
        let OperationsFile { operations } = read(text)?;
        let mut found = BTreeMap::new();
        for (at, operation) in operations.into_iter().enumerate() {
            if at >= MAX_PATHS {
                return Err(OperationsError::TooMany);
            }
            if found.insert(operation.path.clone(), operation).is_some() {
                return Err(OperationsError::Twice(at + 1));
            }
        }
        Ok(Self(found))
    }

    pub(super) fn of(&self, endpoint: &Endpoint) -> Option<&Operation> {
        self.0.get(&key(endpoint))
    }

    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Permissions {
    /// Those that come with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, OperationsError> {
        Self::parse(PUBLISHED_PERMISSIONS)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Every [`OperationsError`]; lines are counted from 1 on.
    pub fn parse(text: &str) -> Result<Self, OperationsError> {
        let PermissionsFile { permissions } = read(text)?;
        let (mut by_path, mut by_name) = (BTreeMap::new(), BTreeMap::new());
        for (at, Needed { path, needs }) in permissions.into_iter().enumerate() {
            if at >= MAX_PATHS {
                return Err(OperationsError::TooMany);
            }
            let next =
                u16::try_from(by_name.len()).map_err(|_too_many| OperationsError::TooMany)?;
            let permission = *by_name.entry(needs).or_insert(Permission(next));
            if by_path.insert(path, permission).is_some() {
                return Err(OperationsError::Twice(at + 1));
            }
        }
        Ok(Self { by_path, by_name })
    }

    /// The permission that a call to an endpoint needs, if that is known.
    #[must_use]
    pub fn needed(&self, endpoint: &Endpoint) -> Option<Permission> {
        self.by_path.get(&key(endpoint)).copied()
    }

    /// The permission of this name, if some path needs it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Permission> {
        self.by_name.get(name).copied()
    }

    /// Names of all of them, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Name of a permission.
    pub(super) fn name(&self, permission: Permission) -> Option<&str> {
        let mut names = self.by_name.iter();
        names.find(|(_, known)| **known == permission).map(|(name, _)| name.as_str())
    }

    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, OperationsError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(OperationsError::TooLong);
    }
    read_yaml(text).map_err(|(place, reason)| OperationsError::Syntax { place, reason })
}

/// A template without `/open-insurance/` and its version.
pub(super) fn key(endpoint: &Endpoint) -> String {
    format!("{}{}", endpoint.interface, endpoint.operation_path())
}

/// The published interfaces have some 160 paths.
const MAX_PATHS: usize = 1024;
const PUBLISHED_OPERATIONS: &str =
    include_str!("../../../../../../rules/security/profile/operations.yml");
const PUBLISHED_PERMISSIONS: &str =
    include_str!("../../../../../../rules/security/profile/permissions.yml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::endpoint::PcmEndpoints;

    #[test]
    fn every_path_is_one_of_the_platforms() {
        let endpoints = PcmEndpoints::published().unwrap();
        let known: Vec<String> = endpoints.endpoints().iter().map(|it| key(it)).collect();
        let (operations, permissions) =
            (Operations::published().unwrap(), Permissions::published().unwrap());
        for path in operations.paths().chain(permissions.paths()) {
            assert!(known.iter().any(|known| known == path), "{path}");
        }
        let judged = |path: &&String| operations.paths().any(|known| known == **path);
        let left_out: Vec<&String> = known.iter().filter(|path| !judged(path)).collect();
        assert!(left_out.iter().all(|path| path.starts_with("insurance-")), "{left_out:?}");
    }

    #[test]
    fn files_are_refused_with_place_and_remedy() {
        let twice = "permissions: [{path: a, needs: A}, {path: a, needs: B}]";
        let error = Permissions::parse(twice).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("remove"), "{error}");
        let wrong = "operations:\n  - {path: a, methods: [FETCH]}\n";
        let error = Operations::parse(wrong).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("FETCH"), "{error}");
    }
}
