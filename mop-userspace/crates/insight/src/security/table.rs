//! Tables by byte, made when the program is built: what a byte is of is one load, whatever the number
//! of its classes.

/// The table of a `const fn` from a byte to what it is of.
macro_rules! by_byte {
    ($class:path) => {{
        let mut table = [$class(0); 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            #[expect(clippy::indexing_slicing, reason = "below 256, when the program is built")]
            {
                table[byte] = $class(byte as u8);
            }
            byte += 1;
        }
        table
    }};
}

pub(super) use by_byte;
