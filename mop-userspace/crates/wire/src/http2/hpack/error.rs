//! What a header block may break.

/// Why a block cannot be decoded: to its receiver a connection error of type `COMPRESSION_ERROR`
/// (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    /// The code that ends every padding is in a string (RFC 7541 section 5.2).
    #[error("the end-of-string code is in a string")]
    EndOfStringCode,
    /// A string ends with more than 7 bits that are no symbol, or with others than ones (RFC 7541
    /// section 5.2).
    #[error("the padding of a string is wrong")]
    HuffmanPadding,
    /// There is no such entry, and all entries are known (RFC 7541 section 2.3.3).
    #[error("an index is beyond the table")]
    IndexBeyondTable,
    /// Index 0 names nothing (RFC 7541 section 6.1).
    #[error("an index is zero")]
    IndexZero,
    /// It does not fit into 32 bits (RFC 7541 section 5.1 asks for a limit).
    #[error("an integer is too large")]
    IntegerTooLarge,
    /// The table changes its size only in front of the first field (RFC 7541 section 4.2).
    #[error("the table changes its size behind a field")]
    SizeUpdateBehindField,
    /// The table would be larger than its receiver offered (RFC 7541 section 6.3).
    #[error("the table becomes larger than what was offered")]
    TableSizeNotOffered,
    /// The block ends within a field.
    #[error("the block ends within a field")]
    Truncated,
}
