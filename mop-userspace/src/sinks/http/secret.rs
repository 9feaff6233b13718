//! Secrets of the configuration: never shown.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::read_small;

/// A value that stands in the configuration itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

/// A file that holds a secret in one line. Read each time, so that it can be changed while the
/// program runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct SecretFile(pub(crate) PathBuf);

impl Secret {
    /// The value, for who sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Serialize for Secret {
    /// A configuration that is shown does not show it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl SecretFile {
    /// The secret, without the end of its line.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut secret = read_small(&self.0)?;
        let length = secret.trim_ascii_end().len();
        secret.truncate(length);
        if secret.is_empty() {
            return Err(format!("{} is empty", self.0.display()));
        }
        Ok(secret)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|secret| Self(Zeroizing::new(secret)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cr3t\r\n").expect("written");
        let file = SecretFile(path);
        assert_eq!(&**file.read().expect("readable"), b"s3cr3t");
        assert!(!format!("{file:?}").contains("s3cr3t"));
        let secret = Secret(Zeroizing::new("s3cr3t".to_owned()));
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.reveal(), "s3cr3t");
        std::fs::write(&file.0, "\n").expect("written");
        assert!(file.read().is_err());
    }
}
