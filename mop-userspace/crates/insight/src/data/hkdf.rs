//! HKDF with SHA-256 (RFC 5869): keys for one purpose each, made of one secret. None of them leads
//! to the secret or to another one.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// `LENGTH` bytes of the secret for what `info` names: both steps of the RFC in one. At most 8160
/// bytes, which is checked when this is compiled.
pub(super) fn derive<const LENGTH: usize>(
    secret: &[u8],
    salt: &[u8],
    info: &[u8],
) -> Zeroizing<[u8; LENGTH]> {
    const { assert!(LENGTH <= 255 * HASH_BYTES, "RFC 5869, section 2.3") };
    let extracted = mac(salt, &[secret]);
    let mut made = Zeroizing::new([0; LENGTH]);
    let mut block = Zeroizing::new([0; HASH_BYTES]);
    for (number, to) in (1..=u8::MAX).zip(made.chunks_mut(HASH_BYTES)) {
        let before: &[u8] = if number == 1 { &[] } else { &*block };
        block = mac(&*extracted, &[before, info, &[number]]);
        for (to, from) in to.iter_mut().zip(block.iter()) {
            *to = *from;
        }
    }
    made
}

/// HMAC (RFC 2104). The key is given as a block, as which it cannot be refused: with zeros behind
/// it, and a longer one as its hash.
fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; HASH_BYTES]> {
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    let hash: Zeroizing<[u8; HASH_BYTES]>;
    let key = if key.len() > BLOCK_BYTES {
        hash = Zeroizing::new(Sha256::digest(key).into());
        &*hash
    } else {
        key
    };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

const HASH_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn hexadecimal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn range(from: u8, to: u8) -> Vec<u8> {
        (from..=to).collect()
    }

    /// RFC 5869, appendices A.1 to A.3.
    #[test]
    fn it_is_the_published_function() {
        let made = derive::<42>(&[0x0b; 22], &range(0, 0x0c), &range(0xf0, 0xf9));
        assert_eq!(
            hexadecimal(&*made),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        let made = derive::<82>(&range(0, 0x4f), &range(0x60, 0xaf), &range(0xb0, 0xff));
        assert_eq!(
            hexadecimal(&*made),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6\
             5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        );
        let made = derive::<42>(&[0x0b; 22], &[], &[]);
        assert_eq!(
            hexadecimal(&*made),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }
}
