//! Replays the corpus of a fuzz target in an ordinary test: on any compiler, without a sanitizer.
//!
//! A target is a function of bytes that panics when something is wrong. [`replay_folder`] runs it
//! on every file of a corpus, [`replay`] on a corpus that the test makes; both run it on what the
//! corpus says when it is cut off, and on mutations of it:
//!
//! ```
//! # fn target(_data: &[u8]) {}
//! mop_corpus::replay(&[b"timestamp,value\n".to_vec()], target, 100);
//! ```
//!
//! Nothing here depends on a clock, on the machine or on the order of a folder: what fails once
//! fails in every run. Tests that want numbers of their own take them from [`Random`].
//!
//! For tests only; no program depends on it.
#![forbid(unsafe_code)]

mod mutate;
mod random;
mod replay;

pub use mutate::mutate;
pub use random::Random;
pub use replay::{replay, replay_folder};
