//! Every limit of this crate, each with its reason.

/// Bytes of one message head. nginx refuses more than 32 KiB by default, Apache 8 KiB a line and
/// Node 16 KiB in all; twice the largest of them reads whatever such a server accepts.
pub const MAX_HEAD_BYTES: usize = 64 << 10;

/// Field lines of one head. Apache accepts 100 by default; the table of slices for them lies on
/// the stack.
pub const MAX_HEADER_LINES: usize = 128;

/// Bytes of the fields of one HTTP/2 header block, with 32 more for each field (RFC 9113 section
/// 6.5.2): as long as a head of HTTP/1.1 may be. nginx accepts 32 KiB by default, Go 1 MiB.
pub const MAX_FIELD_LIST_BYTES: usize = MAX_HEAD_BYTES;

/// Bytes of the fields of one block up to which it is decoded for the sake of the table, when its
/// fields are passed on no longer. A field of three bytes in a block can copy a name of
/// [`MAX_HPACK_TABLE_BYTES`]; no honest block comes near.
pub const MAX_FIELD_LIST_WORK_BYTES: usize = 1 << 20;

/// Bytes of the table of one direction that are kept, counted as RFC 7541 section 4.1 does. Most
/// programs offer 4 KiB, Chromium and Firefox 64 KiB; entries beyond it are unknown.
pub const MAX_HPACK_TABLE_BYTES: usize = 64 << 10;

/// Bytes of a chunk-size line with its extensions (RFC 9112 section 7.1.1 asks for a limit).
pub const MAX_CHUNK_LINE_BYTES: usize = 4 << 10;

/// Bytes of a trailer section: checksums and signatures, not content.
pub const MAX_TRAILER_BYTES: usize = 16 << 10;

/// Interim responses that one exchange lists; further ones are only read past.
pub const MAX_INTERIM_RESPONSES: usize = 8;

/// Holes that one message lists; further ones are only counted.
pub const MAX_HOLES_LISTED: usize = 16;

/// Requests of one connection that wait for their responses. Browsers that pipelined sent at most
/// six; API clients send one.
pub const MAX_OUTSTANDING_REQUESTS: usize = 32;

/// Bytes of one direction that wait for earlier ones. A program that is preempted while it writes a
/// record holds up what stands behind it in its lane, for some milliseconds; a connection whose
/// thread then went on on another CPU moves that much at a gigabyte a second.
pub const MAX_REORDER_BYTES: usize = 16 << 20;

/// Pieces of one direction that wait for earlier ones: 2 KiB each when the bytes are used up.
pub const MAX_REORDER_PIECES: usize = 8192;

/// How much later than its response a client's request may be stamped: a thread that was preempted
/// at the end of its write comes back within a few time slices of a loaded machine, mostly sooner.
pub const STAMP_SLACK_NS: u64 = 1_000_000;

/// Default for the content bytes kept of one message: a page of a thousand policies, the most that
/// one OPIN response may hold, has some 4 MB.
pub const DEFAULT_RETAIN_BODY_BYTES: usize = 8 << 20;

/// Default for the connections of one flow table.
pub const DEFAULT_MAX_CONNECTIONS: usize = 65_536;

/// Default for the bytes that all flows of one table may hold.
pub const DEFAULT_MAX_BUFFERED_BYTES: usize = 256 << 20;

/// Streams of one HTTP/2 connection that are under way: nginx and Envoy allow 128 and 100 by default,
/// gRPC servers often more.
pub const MAX_STREAMS: usize = 1024;

/// Bytes of an HTTP/2 frame that is kept whole: fields, settings, and what debuggers are told. Fields
/// come in frames of 16 KiB at most unless a receiver asks for larger ones, and the rest of a section
/// in further frames.
pub const MAX_FRAME_BYTES: usize = 256 << 10;

/// Bytes of an HTTP/2 field section in its compressed form: as many as of a frame.
pub const MAX_BLOCK_BYTES: usize = MAX_FRAME_BYTES;

/// Room for frames that came in pieces that is kept between them.
pub const MAX_IDLE_FRAME_BYTES: usize = 4 << 10;

/// Content codings that may be stacked on one body; two is already unusual.
pub const MAX_CONTENT_CODINGS: usize = 2;

/// Bytes that a decoder produces before its limits are looked at again.
pub const DECODE_STEP_BYTES: usize = 64 << 10;

/// Default for the plain bytes that decoding one body may produce: 8 times the retained bytes.
pub const DEFAULT_MAX_PLAIN_BYTES: usize = 64 << 20;

/// Plain bytes per coded byte that are accepted. JSON compresses 5 to 30 times.
pub const DEFAULT_MAX_RATIO: usize = 100;

/// Plain bytes up to which the ratio is not looked at, since small bodies of one repeated
/// character compress far better than that.
pub const RATIO_FREE_BYTES: usize = 1 << 20;

/// Bytes of a hello of TLS. A key share of a post-quantum group has 1.2 KiB, a ticket that holds the
/// certificate of a client some 3 KiB, and both are in the largest of them; OpenSSL refuses more than
/// 131 KB, and nobody sends more than a few KiB.
pub const MAX_HELLO_BYTES: usize = 16 << 10;

/// Extensions of a hello of TLS; browsers send some 20, and about 60 are defined.
pub const MAX_HELLO_EXTENSIONS: usize = 256;

/// Application protocols of a hello of TLS that are kept; clients offer two or three.
pub const MAX_ALPN_NAMES: usize = 16;

/// Payload bytes of one record of a capture file: the largest segment of the kernel side is
/// 64 KiB; sixteen times that leaves room for captures made otherwise.
pub const MAX_CAPTURE_RECORD_BYTES: usize = 1 << 20;
