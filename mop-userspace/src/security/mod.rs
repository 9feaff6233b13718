//! Module security, joined to the observer: findings of calls, told as records and to MISP, and what
//! others know to be bad.
#![allow(dead_code, unused_imports, reason = "the thread of the module uses it")]

mod configuration;
pub(crate) mod feed;
pub(crate) mod intelligence;

pub(crate) use self::configuration::SecurityConfiguration;
