//! CRC-32 as in IEEE 802.3, zlib and PNG: polynomial 0xedb88320, reflected.

/// A sum that is being computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32 {
    state: u32,
}

impl Crc32 {
    pub(super) fn new() -> Self {
        Self { state: u32::MAX }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut state = self.state;
        for byte in bytes {
            let index = (state ^ u32::from(*byte)) & 0xff;
            // The table has 256 entries, so the index is always inside.
            let entry = TABLE.get(index as usize).copied().unwrap_or_default();
            state = entry ^ (state >> 8);
        }
        self.state = state;
    }

    pub(super) fn finish(self) -> u32 {
        !self.state
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut entry = index as u32;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 { 0xedb8_8320 ^ (entry >> 1) } else { entry >> 1 };
            bit += 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
}

static TABLE: [u32; 256] = table();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value() {
        let mut sum = Crc32::new();
        sum.update(b"1234");
        sum.update(b"56789");
        assert_eq!(sum.finish(), 0xcbf4_3926);
    }
}
