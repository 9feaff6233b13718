//! The protocol of the official MOP server, and of its client.
//!
//! The official client is given copies of messages by the participant's applications, judges them,
//! takes the values out that the server does not want, signs the rest and sends it. Here messages
//! come from observation: [`message`] makes of one side of a call what the official client would
//! make of its copy, [`anonymizer`] takes the values out as [`field_policy`] says, and
//! `sinks::mop_server` signs and sends. [`door`] takes the copies of applications that already send
//! them.

pub(crate) mod anonymizer;
pub(crate) mod door;
pub(crate) mod field_policy;
mod java;
pub(crate) mod message;
pub(crate) mod validations;
