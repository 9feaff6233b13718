//! The file with the root of pseudonyms, `security.pseudonym_key_file`: whoever reads it can find
//! the person behind each of them.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use mop_insight::data::digest::Key;
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Reads the root: 32 bytes, or 64 hexadecimal digits in one line.
///
/// # Errors
///
/// A configuration failure: there is no such file, others may read it, or it holds no key.
pub(super) fn read(path: &Path) -> Result<Key, Failure> {
    let failed = |text: &dyn std::fmt::Display| {
        Failure::configuration(format!("security.pseudonym_key_file: {}: {text}", path.display()))
    };
    let unreadable = |error: io::Error| failed(&format_args!("it cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    // Of what was opened, and not of what has its name by now.
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(failed(&"it is no file"));
    }
    if is_open_to_others(&facts, geteuid().as_raw(), getegid().as_raw()) {
        return Err(failed(
            &"others may read it: let its owner alone (chmod 0400), who is the user that MOP runs \
              as, or that user's own group (chown root:65532, chmod 0440)",
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    file.take(MAX_BYTES as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    key_of(&bytes).ok_or_else(|| {
        failed(
            &"32 random bytes, or 64 hexadecimal digits in one line, are wanted: make them with \
              `openssl rand -hex 32`",
        )
    })
}

/// Whether more than the process itself can read or change it. A file of another owner is read by
/// the group of the process, as where a container is given its secrets: that one may read it.
fn is_open_to_others(facts: &Metadata, user: u32, group: u32) -> bool {
    let is_by_group = facts.gid() == group && facts.uid() != user;
    let allowed = if is_by_group { READ_BY_GROUP } else { 0 };
    facts.mode() & GROUP_AND_OTHERS & !allowed != 0
}

fn key_of(bytes: &[u8]) -> Option<Key> {
    if let Ok(key) = <[u8; 32]>::try_from(bytes) {
        // A password is not random, and neither is a file of zeros.
        let is_text = key.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let is_varied = key.iter().any(|byte| Some(byte) != key.first());
        return (!is_text && is_varied).then(|| Key::new(key));
    }
    let digits = bytes.trim_ascii();
    if digits.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (to, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = pair else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        *to = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    let is_varied = key.iter().any(|byte| Some(byte) != key.first());
    is_varied.then(|| Key::new(*key))
}

/// 64 digits and the end of a line; one byte more is too long.
const MAX_BYTES: usize = 67;
const GROUP_AND_OTHERS: u32 = 0o077;
const READ_BY_GROUP: u32 = 0o040;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use mop_insight::data::digest::Subject;

    use super::*;

    fn written(folder: &tempfile::TempDir, content: &[u8], mode: u32) -> PathBuf {
        let path = folder.path().join("key");
        let _ = fs::remove_file(&path);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        path
    }

    #[test]
    fn a_root_is_32_bytes_or_as_many_in_digits() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = |key: &Key| key.digest(Subject::Key, b"");
        let bytes: Vec<u8> = (100..132).collect();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let expected = mark(&Key::new(bytes.clone().try_into().expect("32")));
        for content in [bytes, digits.clone().into_bytes(), format!("{digits}\n").into_bytes()] {
            let root = read(&written(&folder, &content, 0o400)).expect("a key");
            assert_eq!(mark(&root), expected);
        }
        let zeros = "0".repeat(64);
        let wrong: [&[u8]; 7] = [
            b"",
            &[7; 31],
            &[0; 32],
            b"a password that is 32 bytes long",
            zeros.as_bytes(),
            &digits.as_bytes()[1..],
            "g".repeat(64).as_bytes().to_owned().leak(),
        ];
        for content in wrong {
            let failure = read(&written(&folder, content, 0o600)).expect_err("no key").into_parts();
            assert!(failure.0 == 78 && failure.1.contains("openssl rand -hex 32"), "{failure:?}");
        }
        let absent = read(&folder.path().join("nothing")).expect_err("absent").into_parts();
        assert!(absent.0 == 78 && absent.1.contains("security.pseudonym_key_file"), "{absent:?}");
    }

    #[test]
    fn a_root_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let content: Vec<u8> = (100..132).collect();
        for mode in [0o640, 0o604, 0o602, 0o620, 0o644] {
            let failure = read(&written(&folder, &content, mode)).expect_err("open").into_parts();
            assert!(failure.0 == 78 && failure.1.contains("chmod 0400"), "{mode:o} {failure:?}");
        }
        assert!(read(folder.path()).is_err(), "a folder");
    }

    #[test]
    fn the_group_of_the_core_may_read_what_another_owns() {
        let folder = tempfile::tempdir().expect("a folder");
        let facts = |mode| fs::metadata(written(&folder, b"x", mode)).expect("there");
        let open = |mode, of_user: u32, of_group: u32| {
            let facts = facts(mode);
            is_open_to_others(&facts, facts.uid() + of_user, facts.gid() + of_group)
        };
        assert!(!open(0o440, 1, 0));
        assert!(open(0o440, 0, 0) && open(0o440, 1, 1) && open(0o460, 1, 0) && open(0o444, 1, 0));
        assert!(!open(0o600, 0, 0));
    }
}
