//! HTTP/2 against published cases, against other programs, and by its own properties.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod appendix_c;
mod cases;
mod encoded;
mod frames;
mod generated;
mod limits;
mod midway;
mod references;
mod stories;
