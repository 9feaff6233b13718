//! Bits of the number that an attached probe carries, so that one program serves every function
//! of every library.

/// The function sends bytes; without it, it receives them.
pub const WRITES: u64 = 1;

/// The function returns 1 and puts the number of bytes where its fourth argument points
/// (`SSL_read_ex`, `SSL_write_ex`); without it, the return value is the number.
pub const COUNT_BY_POINTER: u64 = 2;

/// The function returns the number of bytes as 64 bits, and no process ever holds them
/// (`SSL_sendfile`): they are a hole.
pub const UNSEEN: u64 = 4;

/// The function moves no bytes (`SSL_do_handshake`): only which socket it touches matters, and what
/// certificates are read meanwhile.
pub const HANDSHAKE: u64 = 8;

/// The function is a method of Go: its first argument is the second one in registers.
pub const METHOD: u64 = 16;

/// The function is `EVP_AEAD_CTX_seal_scatter`, whose arguments stand further up than those of
/// `EVP_AEAD_CTX_seal`.
pub const SCATTER: u64 = 32;

/// The function is `EVP_AEAD_CTX_init_with_direction`, to which `EVP_AEAD_CTX_init` passes its call on
/// for some kinds of keys.
pub const PASSED_ON: u64 = 64;

/// The rest of the number names the library.
pub const LIBRARY_SHIFT: u32 = 8;
