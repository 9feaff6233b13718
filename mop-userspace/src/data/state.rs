//! What the modules know, on disk: their key, digests of tokens, how far each consent is, and what
//! security knows of who called with what.
//!
//! ```text
//! folder/key      32 bytes, for nobody else to read
//! folder/tokens   what the analyst learnt
//! folder/funnel   consents
//! folder/peers    who is at the other end of open connections
//! folder/metrics  figures of the last days
//! folder/alarms   what is usual, and which alarms are open
//! folder/clients  organisations that were seen, for security
//! folder/profile  tokens, consents and assertions, as the checks of the profile know them
//! ```
//!
//! Files are replaced as a whole, so that a crash leaves the old or the new one.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use mop_insight::{data::digest::Key, security::watch::WatchSnapshot};

use crate::failure::Failure;

/// Where it is kept; nowhere without an outbox.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: Option<PathBuf>,
}

impl State {
    /// Beside the lanes of an outbox.
    pub(crate) fn beside(outbox: Option<&Path>) -> Self {
        Self { folder: outbox.map(|outbox| outbox.join(FOLDER)) }
    }

    /// The key of this participant, made when there is none yet.
    pub(crate) fn key(&self) -> Result<Key, Failure> {
        let Some(folder) = &self.folder else { return fresh_key().map(Key::new) };
        let path = folder.join(KEY);
        let failed = |error: io::Error| {
            Failure::runtime(format!("the key of the data module, {}: {error}", path.display()))
        };
        match fs::read(&path) {
            Ok(bytes) => {
                let bytes = <[u8; 32]>::try_from(&*bytes).map_err(|_other_length| {
                    failed(io::Error::other("it is not of 32 bytes; remove it to have a new one"))
                })?;
                Ok(Key::new(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = fresh_key()?;
                fs::create_dir_all(folder).and_then(|()| replace(&path, &key)).map_err(failed)?;
                Ok(Key::new(key))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The key, which must be there.
    pub(super) fn known_key(&self) -> Result<Key, Failure> {
        let is_there = self.folder.as_ref().is_some_and(|folder| folder.join(KEY).is_file());
        if !is_there {
            return Err(Failure::runtime(
                "nothing is kept of funnels yet: `mop observe` with a section [data] begins it",
            ));
        }
        self.key()
    }

    pub(super) fn tokens(&self) -> Option<Vec<u8>> {
        self.read(TOKENS)
    }

    pub(super) fn funnel(&self) -> Option<Vec<u8>> {
        self.read(FUNNEL)
    }

    pub(super) fn peers(&self) -> Option<Vec<u8>> {
        self.read(PEERS)
    }

    /// Keeps who is at the other end of open connections.
    pub(super) fn save_peers(&self, peers: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        replace(&folder.join(PEERS), peers)
    }

    pub(super) fn metrics(&self) -> Option<Vec<u8>> {
        self.read(METRICS)
    }

    /// Keeps figures. Without a folder, nothing is kept.
    pub(super) fn save_metrics(&self, metrics: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        replace(&folder.join(METRICS), metrics)
    }

    /// Keeps both. Without a folder, nothing is kept.
    pub(super) fn save(&self, tokens: &[u8], funnel: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        replace(&folder.join(TOKENS), tokens)?;
        replace(&folder.join(FUNNEL), funnel)
    }

    pub(super) fn alarms(&self) -> Option<Vec<u8>> {
        self.read(ALARMS)
    }

    /// Keeps what alarms learnt. Without a folder, nothing is kept.
    pub(super) fn save_alarms(&self, alarms: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        replace(&folder.join(ALARMS), alarms)
    }

    pub(crate) fn clients(&self) -> Option<Vec<u8>> {
        self.read(CLIENTS)
    }

    pub(crate) fn profile(&self) -> Option<Vec<u8>> {
        self.read(PROFILE)
    }

    /// Keeps what security knows. Without a folder, nothing is kept.
    pub(crate) fn save_watch(&self, watch: &WatchSnapshot) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        replace(&folder.join(CLIENTS), &watch.clients)?;
        watch.profile.as_ref().map_or(Ok(()), |profile| replace(&folder.join(PROFILE), profile))
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.as_ref()?.join(name);
        match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                eprintln!("mop: {}: {error}; what it knew is learnt anew", path.display());
                None
            }
        }
    }
}

fn fresh_key() -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut key)
        .map_err(|_no_random| Failure::runtime("the machine gives no random numbers"))?;
    Ok(key)
}

pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

/// In the folder of the outbox, beside its lanes.
pub(super) const FOLDER: &str = "insight";
const KEY: &str = "key";
const TOKENS: &str = "tokens";
const FUNNEL: &str = "funnel";
const PEERS: &str = "peers";
const METRICS: &str = "metrics";
const ALARMS: &str = "alarms";
const CLIENTS: &str = "clients";
const PROFILE: &str = "profile";

#[cfg(test)]
mod tests {
    use mop_insight::data::digest::Subject;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt as _;
        let outbox = tempfile::tempdir().expect("a folder");
        let state = State::beside(Some(outbox.path()));
        let digest =
            |state: &State| state.key().map(|key| key.digest(Subject::Token, b"x")).expect("a key");
        assert_eq!(digest(&state), digest(&State::beside(Some(outbox.path()))));
        let file = outbox.path().join(FOLDER).join(KEY);
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(&file, "short").expect("written");
        assert!(state.key().err().is_some_and(|failure| failure.to_string().contains("32 bytes")));
        let nowhere = State::beside(None);
        assert_ne!(digest(&nowhere), digest(&nowhere));
    }

    #[test]
    fn what_was_kept_is_there_again() {
        let outbox = tempfile::tempdir().expect("a folder");
        let state = State::beside(Some(outbox.path()));
        assert_eq!(state.tokens(), None);
        state.key().expect("a key");
        state.save(b"tokens", b"funnel").expect("saved");
        assert_eq!(state.tokens().as_deref(), Some(&b"tokens"[..]));
        assert_eq!(state.funnel().as_deref(), Some(&b"funnel"[..]));
    }
}
