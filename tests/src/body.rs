//! Bodies whose every byte depends on its place, with their digests.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A body in a file.
///
/// Its content repeats only after a prime number of bytes, so that a lost, repeated or moved part
/// of any usual size changes the digest.
#[derive(Clone, Debug)]
pub struct Body {
    /// Where it lies.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Body {
    /// Writes a body of this length as `NAME` into a folder.
    pub fn write(folder: &Path, name: &str, bytes: u64) -> Result<Self> {
        let path = folder.join(name);
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut digest = Sha256::new();
        let block = block();
        let mut left = bytes;
        while left > 0 {
            let part = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            out.write_all(&block[..part])?;
            digest.update(&block[..part]);
            left -= part as u64;
        }
        out.flush()?;
        Ok(Self { path, bytes, sha256: hex(&digest.finalize()) })
    }

    /// The digest of a file that a client or a server stored.
    pub fn digest_of(path: &Path) -> Result<String> {
        let mut file =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut digest = Sha256::new();
        io::copy(&mut file, &mut digest)?;
        Ok(hex(&digest.finalize()))
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Pseudo-random bytes from a fixed linear congruence.
fn block() -> Vec<u8> {
    let mut state: u32 = 20_261_124;
    (0..BLOCK_BYTES)
        .map(|_| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            state.to_be_bytes()[1]
        })
        .collect()
}

/// The largest prime below 64 KiB: no power of two is a multiple of it.
const BLOCK_BYTES: usize = 65_521;
