//! Bytes to HTTP exchanges.
//!
//! The kernel side delivers what each call moved as segments, in any order and sometimes with
//! holes. A [`FlowTable`] puts them in order, reads HTTP/1 on both directions of a connection
//! (RFC 9112), and reports each [`Exchange`] once, with proof of how much of it was seen.
//! [`content`] takes content codings off; [`tls`] reads what a TLS connection says in clear text before
//! it is encrypted; [`mopcap`] is the file format in which segments are
//! captured and replayed.
//!
//! Nothing here does I/O, reads a clock or allocates without a limit: bytes and times in, exchanges
//! out. Every limit is in [`limits`].
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic, clippy::expect_used))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod anomaly;
mod body;
mod connection;
pub mod content;
mod context;
mod excerpt;
mod exchange;
mod flow_table;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod headers;
mod http1;
pub mod http2;
pub mod limits;
mod message;
pub mod mopcap;
mod per_direction;
mod session;
mod stamp;
mod stats;
mod stream;
pub mod tls;

pub use anomaly::{Anomalies, Anomaly};
pub use body::Body;
pub use excerpt::Excerpt;
pub use exchange::{
    Completeness, Ending, Exchange, Hole, Request, Response, Role, Seen, Timing, Version,
};
pub use flow_table::{FlowTable, Options};
pub use hash::OwnKeyHasher;
pub use headers::Headers;
pub use stats::FlowStats;
