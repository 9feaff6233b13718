//! Limits of the kernel side, each with its reason.

/// The largest payload of one segment: longer calls become several segments.
pub const MAX_SEGMENT: usize = 64 << 10;

/// Segments that one call may become: 4,096 of 64 KiB are 256 MiB, and `IOV_MAX` is 1,024 buffers.
/// Past it the rest of the call is a hole. It bounds the time that one call can be held up.
pub const MAX_SEGMENTS_PER_CALL: u32 = 4096;

/// Calls on a connection that was not seen from its start may pass without a sign of HTTP before
/// it is ignored for good: long enough to outlast the rest of a body that was already under way.
pub const SNIFF_CALLS_MIDWAY: u16 = 1024;

/// Slots for the state of threads that use TLS, a power of two. A thread's slot follows from its id,
/// which costs far less than a look-up in a hash table; ids count up, so threads rarely collide.
pub const THREAD_SLOTS: u32 = 16_384;

/// Threads that use TLS and found their slot taken.
pub const MAX_OVERFLOW_THREADS: u32 = 16_384;

/// Goroutines of all running processes that ever were inside a TLS call: one a connection mostly, and
/// two where reading and writing are apart. The runtime uses those that ended again. 7 MB.
pub const MAX_GOROUTINES: u32 = 16_384;

/// Running Go programs that are remembered, to forget their goroutines when they end.
pub const MAX_GO_PROCESSES: u32 = 4096;

/// Slots for the state of TLS connections, a power of two, as for threads.
pub const TLS_SLOTS: u32 = 32_768;

/// TLS connections that found their slot taken and are remembered; the least recently used one
/// makes room.
pub const MAX_OVERFLOW_TLS_CONNECTIONS: u32 = 32_768;

/// A slot whose connection was silent for this long is given to another one. Its process may have
/// died without a word; if not, the connection is taken up again where it then is.
pub const TLS_SLOT_IDLE_NS: u64 = 300_000_000_000;

/// TCP sockets that are remembered; the least recently used one makes room.
pub const MAX_SOCKETS: u32 = 131_072;

/// Lanes that data can be spread over; CPUs beyond that share one. At the default size they take
/// 256 MiB on the largest machine.
pub const MAX_LANES: u32 = 32;

/// A lane that is fuller than one part in this many wakes its reader at once; below it the reader
/// comes by itself every few milliseconds, which spares the observed process the wake-up.
pub const WAKE_AT_FRACTION: u64 = 4;

/// Producers of one CPU that may interrupt each other between looking whether there is room in its
/// lane and claiming it: a lane is full when less than this many largest records fit.
pub const INTERRUPTED_PRODUCERS: u64 = 8;

/// Files mapped as code that are remembered, so that each is looked into once.
pub const MAX_CODE_FILES: u32 = 16_384;

/// The largest certificate that is taken; those of the ecosystem have some 2.3 KiB.
pub const MAX_CERTIFICATE_BYTES: u64 = 8 << 10;

/// The smallest: an RSA certificate of 512 bits with empty names is larger.
pub const MIN_CERTIFICATE_BYTES: u64 = 128;

/// The longest list of certificates in a handshake that is believed to be one: OpenSSL's own limit
/// for a peer's chain is 100 KiB.
pub const MAX_CERTIFICATE_LIST_BYTES: u64 = 100 << 10;

/// The largest kept session that is looked through for its certificate.
pub const MAX_SESSION_BYTES: u64 = 16 << 10;

/// Fields of a kept session in front of its certificate: six that are always there, and two that
/// may be.
pub const MAX_SESSION_FIELDS: u32 = 10;

/// Bytes of one direction of a socket that are shown as its TLS hello. A client's has 0.2 to 0.6 KiB,
/// 1.8 KiB with the key share of a post-quantum group, and some 3 KiB more with a session ticket that
/// holds the client's certificate; a server's has 0.1 to 1.2 KiB.
pub const MAX_HELLO_BYTES: u64 = 8 << 10;

/// Calls in which both hellos of a socket may come: one or two for each, a few more in slow pieces.
/// It bounds the records that a peer can cause who sends single bytes.
pub const MAX_HELLO_CALLS: u16 = 32;

/// Bytes that are shown behind a hello that does not fit its first record: heads of further ones.
pub const HELLO_SLACK_BYTES: u64 = 64;

/// Keys of rustls whose sockets are remembered: two for each of 8,192 connections, and as many again of
/// handshakes that are over. The least recently used makes room.
pub const MAX_AEAD_KEYS: u32 = 1 << 15;

/// Size of what the kernel side remembers of a thread: the value of its maps `THREADS` and
/// `OVERFLOW_THREADS`. It begins with the thread's own counts of [`crate::Counter::TlsEntries`] and
/// [`crate::Counter::TlsExits`].
pub const THREAD_STATE_BYTES: usize = 576;
