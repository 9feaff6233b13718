//! How the funnel is reported, what became of all steps, and the name that a consent is looked up by.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{info::ConsentUser, step::Step, waiting::Unreported, wire::Inference};

/// A keyed digest of a consent's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsentDigest(pub [u8; 16]);

/// How the funnel is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunnelOptions {
    /// How long a step waits for earlier ones that are seen later. An interface may take 4 s
    /// (portal, non-functional requirements), a token that is waited for a little more.
    pub settle_seconds: i64,
    /// `consent-user` of every consent, if it is the same for all; else the hook tells it.
    pub consent_user: Option<ConsentUser>,
    /// Whether steps may be concluded from others.
    pub inference: Inference,
    /// Who reported what happened before the first step that is seen of a consent.
    pub history: History,
    /// How long a user has to authorize, as the authorization server of this participant has it:
    /// no document says it, so without it no authorization is said to have timed out.
    pub authorization_seconds: Option<i64>,
    /// Consents that are remembered.
    pub max_consents: usize,
}

/// Who reported what happened before the first step that is seen of a consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Another program, which this one takes over from: these steps count as reported.
    Elsewhere,
    /// Nobody: what comes after them waits for them.
    #[default]
    Nobody,
}

/// What became of all steps since the state was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelCounts {
    /// Steps that were seen, told or timed.
    pub proposed: u64,
    /// Of these, reported.
    pub reported: u64,
    /// Of these, known already.
    pub known: u64,
    /// Of these, not reported, and never will be.
    pub unreported: BTreeMap<Unreported, u64>,
    /// Reported steps, each by its name.
    pub by_step: BTreeMap<Step, u64>,
    /// Of those that were reported, the inferred ones.
    pub inferred: u64,
    /// Reported steps that lack a member of `additionalInfo` which the document demands.
    pub incomplete: u64,
    /// Permissions that the platform does not take; they are left out.
    pub permissions_refused: u64,
    /// Consents that were forgotten after their end.
    pub forgotten_ended: u64,
    /// Consents that were forgotten before: more were open than are remembered.
    pub forgotten_open: u64,
}

impl Default for FunnelOptions {
    fn default() -> Self {
        Self {
            settle_seconds: 60,
            consent_user: None,
            inference: Inference::Refused,
            history: History::Nobody,
            authorization_seconds: None,
            max_consents: MAX_CONSENTS,
        }
    }
}

impl ConsentDigest {
    /// Reads the form in which it is shown: 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(position * 2..position * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for ConsentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The whole ecosystem began 519 consents in June 2024 (Workshop_PCM.pdf); about 1 KB each.
pub const MAX_CONSENTS: usize = 50_000;
