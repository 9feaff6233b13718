//! A quick hash and comparison of names, to find a name in a fixed table.

/// Mixes length, first and last eight bytes. Names that differ only in their middle collide, so
/// whoever finds a hash must compare the name; no structure grows with hostile names.
#[must_use]
pub fn name_hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
            }
            _ => (bytes.iter().fold(0, |mixed, byte| mixed << 8 | u64::from(*byte)), 0),
        },
    };
    let mixed = (first ^ last.rotate_left(29) ^ (bytes.len() as u64) << 56)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // The high half of a product depends on every bit of its factors.
    (mixed >> 32) as u32
}

/// Whether two names are the same. Names are short: comparing them eight bytes at a time is
/// quicker than a call into the C library, which is made for longer texts.
#[inline]
pub(crate) fn is_same_name(one: &str, two: &str) -> bool {
    let (one, two) = (one.as_bytes(), two.as_bytes());
    if one.len() != two.len() {
        return false;
    }
    let (Some(one_last), Some(two_last)) = (one.last_chunk::<8>(), two.last_chunk::<8>()) else {
        return one.iter().zip(two).all(|(one, two)| one == two);
    };
    // The last eight bytes also cover what is left of the chunks before.
    let chunks = one.as_chunks::<8>().0.iter().zip(two.as_chunks::<8>().0);
    chunks.fold(one_last == two_last, |same, (one, two)| same && one == two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_when_every_byte_is() {
        for length in 0..40 {
            let name = "abcdefghijklmnopqrstuvwxyz0123456789ABCD".get(..length).expect("ASCII");
            assert!(is_same_name(name, name));
            assert!(!is_same_name(name, &format!("{name}x")));
            for place in 0..length {
                let mut other = name.as_bytes().to_vec();
                other[place] = b'_';
                let other = String::from_utf8(other).expect("ASCII");
                assert!(!is_same_name(name, &other), "{name} {other}");
            }
        }
    }
}
