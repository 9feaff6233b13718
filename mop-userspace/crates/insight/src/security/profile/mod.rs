//! The security profile of the ecosystem, checked by what can be seen: transport, client
//! authentication, authorization requests, tokens, consents, headers, and how often.
//!
//! ```text
//! exchange + call -> FactsReader   digests, times, numbers and words of closed lists
//!                 -> Profile       what one call breaks, and what several calls break together
//!                 -> Breach        -> finding
//! ```
//!
//! [`Facts`] are made where the bytes are and hold no value of a message. [`Profile`] is the only
//! thing that remembers. What each check is called, how bad a breach is and which numbers bound it
//! is data: `rules/security/profile/checks.yml`.
//!
//! Invariants:
//! - Wrong is worse than missing: what was not seen whole breaks nothing, and what is not known,
//!   such as the certificate behind a proxy, is never assumed.
//! - Entries of every memory `<=` its limit; the oldest goes first and is counted.
//! - Times are arguments. Whether one call was after another is decided by the kernel's clock where
//!   both are known, else with [`LEEWAY_SECONDS`]; the clock of a day may jump without a breach.

mod activity;
mod assertion;
mod authorization;
mod breach;
mod check;
mod checks;
mod consents;
mod content;
mod facts;
mod idempotency;
mod jwt;
mod memory;
mod operations;
mod reader;
mod single;
mod snapshot;
mod state;
mod token_use;
mod transport;
mod when;

pub use self::{
    breach::{Breach, Seen},
    check::{Check, RULE_PREFIX},
    checks::{CheckRule, Checks, ChecksError, HeldFor, MAX_FILE_BYTES},
    facts::{
        Algorithm, Audience, Certificate, Challenge, ClientCertificate, ConsentAct, ConsentStatus,
        Content, Facts, HeaderFacts, InteractionId, Jwt, JwtKind, Links, RequestUri, RetryAfter,
        Step, Tls, Verb,
    },
    operations::{Operations, OperationsError, Permission, Permissions},
    reader::{Connection, FactsReader, ReaderSettings},
    snapshot::{MAX_SNAPSHOT_BYTES, ProfileSnapshotError},
    state::{Profile, ProfileCounts, ProfileSettings},
    when::LEEWAY_SECONDS,
};
