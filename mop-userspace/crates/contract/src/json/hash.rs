//! A quick hash of names, to find a name in a fixed table.

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
