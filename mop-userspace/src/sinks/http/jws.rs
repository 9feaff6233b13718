//! Signs what is sent: a compact JWS (RFC 7515) with PS256 (RFC 7518).

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::Serialize;

use super::read_small;

/// Has the key, and takes another one when its file changes. Never shows it.
pub(crate) struct Signer {
    file: PathBuf,
    key: RwLock<Arc<EncodingKey>>,
    seen: Mutex<Version>,
    /// Encoded already.
    header: String,
}

/// Which version of the file the key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

impl Signer {
    pub(crate) fn new(file: &Path, kid: &str) -> Result<Self, String> {
        let seen = Version::of(file)?;
        let key = read_key(file)?;
        let header = Header { alg: "PS256", kid: kid.trim(), typ: "JWT" };
        let header = serde_json::to_vec(&header)
            .map_err(|_may_quote_the_key| "the kid is no text".to_owned())?;
        Ok(Self {
            file: file.to_owned(),
            key: RwLock::new(Arc::new(key)),
            seen: Mutex::new(seen),
            header: URL_SAFE_NO_PAD.encode(header),
        })
    }

    /// Takes the key of the file, if that changed.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let mut seen = lock(&self.seen);
        let now = Version::of(&self.file)?;
        if now == *seen {
            return Ok(());
        }
        let key = Arc::new(read_key(&self.file)?);
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        *seen = now;
        Ok(())
    }

    /// The signed form of these bytes.
    pub(crate) fn sign(&self, payload: &[u8]) -> Result<String, String> {
        let mut token = self.header.clone();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let key = Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner));
        let signature = crypto::sign(token.as_bytes(), &key, Algorithm::PS256)
            .map_err(|_may_quote_the_key| "the key does not sign with PS256".to_owned())?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

impl Version {
    fn of(file: &Path) -> Result<Self, String> {
        let metadata = std::fs::metadata(file)
            .map_err(|error| format!("cannot read the key {}: {error}", file.display()))?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
        })
    }
}

fn read_key(file: &Path) -> Result<EncodingKey, String> {
    let pem = read_small(&file.to_owned())?;
    let key = EncodingKey::from_rsa_pem(&pem).map_err(|_may_quote_the_key| {
        format!(
            "{} has no private RSA key in PEM (PKCS#8 or PKCS#1, not encrypted)",
            file.display()
        )
    })?;
    // A key that cannot sign is found now, not with the first message.
    crypto::sign(b"", &key, Algorithm::PS256).map_err(|_may_quote_the_key| {
        format!(
            "the key in {} cannot sign with PS256: RSA of 2048 bits or more is wanted",
            file.display()
        )
    })?;
    Ok(key)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_says_so_without_quoting_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        for text in
            ["", "secret", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"]
        {
            std::fs::write(&file, text).expect("written");
            let Err(problem) = Signer::new(&file, "kid") else { panic!("a key: {text}") };
            assert!(!problem.contains("secret") && !problem.contains("c2Vj"), "{problem}");
        }
        assert!(Signer::new(&folder.path().join("none"), "kid").is_err());
    }
}
