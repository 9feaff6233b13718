//! The content of one message: what was kept, what was missing, and its digest.

use sha2::{Digest as _, Sha256};

use crate::{exchange::Hole, headers::Headers};

/// The content of a message after the transfer coding was removed; the content coding
/// (`Content-Encoding`) is still on, [`crate::content`] takes it off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The first bytes of the content, at most the retention limit. Where a hole lies inside, the
    /// bytes around it are *not* joined: retention stops at the first hole.
    pub bytes: Vec<u8>,
    /// Length of the content, holes included.
    pub length: u64,
    /// Of these, bytes that were not seen.
    pub missing: u64,
    /// Trailer field lines of a chunked message.
    pub trailers: Headers,
    /// SHA-256 of the content, when asked for and nothing is missing.
    pub sha256: Option<[u8; 32]>,
    /// The first hole inside the content, if any.
    pub first_hole: Option<Hole>,
}

impl Body {
    /// A content that is known as a whole.
    #[must_use]
    pub fn whole(bytes: Vec<u8>, digest: bool) -> Self {
        let sha256 = digest.then(|| Sha256::digest(&bytes).into());
        Self { length: bytes.len() as u64, bytes, sha256, ..Self::default() }
    }

    /// True when `bytes` is the whole content.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.bytes.len() as u64 == self.length
    }
}
