//! Attacks on a transmitting participant, and calls that look like them and are none.

mod answers;
mod attacks;
mod live;
mod outcome;
mod pseudonyms;
mod replayed;
mod scenario;
mod secrets;
mod stage;
