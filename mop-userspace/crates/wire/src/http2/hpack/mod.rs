//! Header compression of HTTP/2 (HPACK, RFC 7541), decoded by an observer.
//!
//! A header block refers to fields by their place in two tables: a static one, and one that both
//! ends fill alike while they talk. Whoever listens from the first byte has the same table. An
//! observer may come later or miss blocks, and then has to tell what it knows from what it does
//! not: see [`Decoder`].
//!
//! ```text
//!   0   1   2   3   4   5   6   7
//! | 1 |        Index (7+)         |   indexed field                    section 6.1
//! | 0 | 1 |      Index (6+)       |   literal, added to the table              6.2.1
//! | 0 | 0 | 0 | 0 |  Index (4+)   |   literal                                  6.2.2
//! | 0 | 0 | 0 | 1 |  Index (4+)   |   literal that nobody may index            6.2.3
//! | 0 | 0 | 1 |   Max size (5+)   |   size of the table                        6.3
//! ```

mod decoder;
mod dynamic_table;
mod error;
mod field;
mod field_list;
mod huffman;
mod huffman_code;
mod reader;
mod static_table;

pub use decoder::Decoder;
pub use error::HpackError;
pub use field::Field;
pub use field_list::Extent;
