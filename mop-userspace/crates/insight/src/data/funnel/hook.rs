//! Steps that no call shows, told by the participant's own programs on the node.
//!
//! ```json
//! {"consentId": "urn:insurer:C1", "side": "server", "step": "user-authenticated",
//!  "timestamp": "2026-01-05T12:00:00Z", "additionalInfo": {}}
//! ```
//!
//! At most [`MAX_HOOK_BYTES`]. `additionalInfo` may be left out. A refusal is a sentence for the
//! author of the calling program and repeats nothing that was sent.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    info::AdditionalInfo,
    rules::FunnelRules,
    step::{FunnelKind, Journey, Side, Step},
};

/// A step that was told and can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStep {
    /// The consent.
    pub consent: String,
    /// The side that the program works for.
    pub side: Side,
    /// What happened.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// What is known beyond it.
    pub info: AdditionalInfo,
}

/// Why a step that was told is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HookRefusal {
    /// The same step of the same consent and second was reported before.
    #[error("the step was reported already; it needs no repetition")]
    AlreadyReported,
    /// Not `urn:<namespace>:<identifier>` of at most 256 characters.
    #[error(
        "consentId is not a URN as the platform takes it: urn:<namespace>:<identifier>, at most 256 characters"
    )]
    ConsentMalformed,
    /// The journey is over.
    #[error("the consent was rejected, revoked or has expired; nothing is reported after that")]
    ConsentEnded,
    /// Not JSON of the form that is described above.
    #[error(
        "the text is not a JSON object with consentId, side, step, timestamp and, where needed, additionalInfo"
    )]
    Form,
    /// A member that no event of this step's interface has, or that belongs to other steps.
    #[error("additionalInfo has a member that this step does not have")]
    InfoMisplaced,
    /// A member that the document demands is missing.
    #[error("additionalInfo lacks what the platform demands for this step")]
    InfoMissing,
    /// A value that is not in the document.
    #[error("additionalInfo has a value that the platform does not take")]
    InfoValue,
    /// The consent belongs to the other funnel, or to another side.
    #[error(
        "the permissions of this consent put it in a journey that does not have this step on this side"
    )]
    OtherJourney,
    /// No journey has this step on this side.
    #[error("this side does not report this step")]
    OtherSide,
    /// A step with a later time was reported already.
    #[error("a later step of this consent was reported already, and times must not go backwards")]
    TimeBackwards,
    /// Later than now.
    #[error("timestamp is in the future; check the clock of the calling program")]
    TimestampInFuture,
    /// Not RFC 3339.
    #[error("timestamp is not a time in RFC 3339, such as 2026-01-05T12:00:00Z")]
    TimestampMalformed,
    /// Older than what the platform takes.
    #[error(
        "timestamp is more than six months old; so late the platform takes steps through its service desk only"
    )]
    TimestampTooOld,
    /// More bytes than any step has.
    #[error("the text is longer than 4096 bytes")]
    TooLong,
    /// As many steps or consents are held as memory is set aside for.
    #[error("too many steps wait already; the step was not taken")]
    TooMany,
    /// Not a name of the document.
    #[error("step is not the name of a step of the consent funnel")]
    UnknownStep,
}

impl HookRefusal {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyReported => "already_reported",
            Self::ConsentMalformed => "consent_malformed",
            Self::ConsentEnded => "consent_ended",
            Self::Form => "form",
            Self::InfoMisplaced => "info_misplaced",
            Self::InfoMissing => "info_missing",
            Self::InfoValue => "info_value",
            Self::OtherJourney => "other_journey",
            Self::OtherSide => "other_side",
            Self::TimeBackwards => "time_backwards",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::UnknownStep => "unknown_step",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Told {
    consent_id: String,
    side: Side,
    step: String,
    timestamp: String,
    #[serde(default)]
    additional_info: Map<String, Value>,
}

impl HookStep {
    /// Reads and judges a step by everything that can be known without its consent.
    pub fn parse(bytes: &[u8], rules: &FunnelRules, now: Timestamp) -> Result<Self, HookRefusal> {
        if bytes.len() > MAX_HOOK_BYTES {
            return Err(HookRefusal::TooLong);
        }
        let told: Told = serde_json::from_slice(bytes).map_err(|_text| HookRefusal::Form)?;
        let step = Step::of_name(&told.step).ok_or(HookRefusal::UnknownStep)?;
        let at = told.timestamp.parse().map_err(|_text| HookRefusal::TimestampMalformed)?;
        let mut hook = Self {
            consent: told.consent_id,
            side: told.side,
            step,
            at,
            info: AdditionalInfo::default(),
        };
        hook.judge(now)?;
        hook.info = hook.read_info(told.additional_info, rules)?;
        Ok(hook)
    }

    fn judge(&self, now: Timestamp) -> Result<(), HookRefusal> {
        if !is_consent(&self.consent) {
            return Err(HookRefusal::ConsentMalformed);
        }
        let age = now.as_second().saturating_sub(self.at.as_second());
        if age < -MAX_CLOCK_SKEW_SECONDS {
            return Err(HookRefusal::TimestampInFuture);
        }
        if age > MAX_AGE_SECONDS {
            return Err(HookRefusal::TimestampTooOld);
        }
        Ok(())
    }

    /// Judges the members by the interface that has the step; of steps that both have, one must
    /// take them.
    fn read_info(
        &self,
        members: Map<String, Value>,
        rules: &FunnelRules,
    ) -> Result<AdditionalInfo, HookRefusal> {
        let has = |journey: &Journey| rules.has_step(*journey, self.side, self.step);
        let mut funnels: Vec<_> =
            Journey::ALL.into_iter().filter(has).map(Journey::funnel).collect();
        funnels.dedup();
        let mut refusal = HookRefusal::OtherSide;
        for funnel in funnels {
            match self.check_info(funnel, &members, rules) {
                Ok(()) => {
                    let info = serde_json::from_value(Value::Object(members));
                    return info.map_err(|_value| HookRefusal::InfoValue);
                }
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    fn check_info(
        &self,
        funnel: FunnelKind,
        members: &Map<String, Value>,
        rules: &FunnelRules,
    ) -> Result<(), HookRefusal> {
        for (name, value) in members {
            let table = rules.info(funnel, name).ok_or(HookRefusal::InfoMisplaced)?;
            if !table.steps.contains(&self.step) {
                return Err(HookRefusal::InfoMisplaced);
            }
            let text = value.as_str().ok_or(HookRefusal::InfoValue)?;
            let is_taken = if table.values.is_empty() {
                is_identifier(text)
            } else {
                table.values.iter().any(|it| it == text)
            };
            if !is_taken {
                return Err(HookRefusal::InfoValue);
            }
        }
        // What only the receiving side's program has; the other members are the same on both.
        let mut demanded = rules
            .demanded(funnel, self.step)
            .filter(|name| !matches!(*name, "quoteID" | "consent-user"));
        if demanded.any(|name| !members.contains_key(name)) {
            return Err(HookRefusal::InfoMissing);
        }
        Ok(())
    }
}

/// `^urn:[a-zA-Z0-9][a-zA-Z0-9-]{0,31}:[a-zA-Z0-9()+,\-.:=@;$_!*'%\/?#]+$`, at most 256 characters
/// (`consentId` of the ingestion document). Another one would be discarded by the platform.
pub(crate) fn is_consent(text: &str) -> bool {
    let Some((namespace, identifier)) =
        text.strip_prefix("urn:").and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    let is_namespace = namespace.len() <= 32
        && namespace.starts_with(|it: char| it.is_ascii_alphanumeric())
        && namespace.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    let is_identifier = !identifier.is_empty()
        && identifier
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || b"()+,-.:=@;$_!*'%/?#".contains(&it));
    text.len() <= MAX_CONSENT_CHARACTERS && is_namespace && is_identifier
}

/// Free text of the hook, narrowed to what identifiers are made of: a name or a sentence could be
/// personal.
fn is_identifier(text: &str) -> bool {
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || b"-_.:".contains(&it);
    (1..=MAX_IDENTIFIER_CHARACTERS).contains(&text.len()) && text.bytes().all(is_letter)
}

/// A step with every member is below 1000 bytes.
pub const MAX_HOOK_BYTES: usize = 4096;
/// `maxLength` of `consentId`.
pub const MAX_CONSENT_CHARACTERS: usize = 256;
/// Longest identifier in the ecosystem's own documents (`^[a-zA-Z0-9][a-zA-Z0-9-]{0,99}$`).
const MAX_IDENTIFIER_CHARACTERS: usize = 100;
/// Clocks of one node's programs agree; those of its containers' hosts within minutes.
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;
/// Six months of 31 days: later the service desk takes files only.
const MAX_AGE_SECONDS: i64 = 6 * 31 * 86_400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Result<HookStep, HookRefusal> {
        let rules = FunnelRules::published().unwrap();
        let now = "2026-01-05T12:00:00Z".parse().unwrap();
        HookStep::parse(value.to_string().as_bytes(), &rules, now)
    }

    fn told(changes: &Value) -> Value {
        let mut value = json!({
            "consentId": "urn:insurer:C1",
            "side": "server",
            "step": "user-authenticated",
            "timestamp": "2026-01-05T11:59:00Z",
        });
        for (name, member) in changes.as_object().unwrap() {
            value[name] = member.clone();
        }
        value
    }

    #[test]
    fn a_step_is_taken() {
        let step = parse(&told(&json!({}))).unwrap();
        assert_eq!((step.step, step.side), (Step::UserAuthenticated, Side::Server));
        let failed = told(&json!({
            "step": "user-authentication-failed",
            "additionalInfo": {"authentication-failure-reason": "invalid-mfa"},
        }));
        assert!(parse(&failed).is_ok());
        let created = told(&json!({
            "step": "quote-request-created", "side": "client",
            "additionalInfo": {"consent-user": "user", "quoteID": "Q-1"},
        }));
        assert_eq!(parse(&created).unwrap().info.quote_id.as_deref(), Some("Q-1"));
    }

    #[test]
    fn each_defect_has_its_own_refusal() {
        let cases = [
            (json!({"consentId": "C1"}), HookRefusal::ConsentMalformed),
            (json!({"consentId": "urn:insurer:com espaço"}), HookRefusal::ConsentMalformed),
            (json!({"side": "both"}), HookRefusal::Form),
            (json!({"more": 1}), HookRefusal::Form),
            (json!({"step": "user-logged-in"}), HookRefusal::UnknownStep),
            (json!({"side": "client"}), HookRefusal::OtherSide),
            (json!({"timestamp": "yesterday"}), HookRefusal::TimestampMalformed),
            (json!({"timestamp": "2026-01-05T12:06:00Z"}), HookRefusal::TimestampInFuture),
            (json!({"timestamp": "2025-06-05T12:06:00Z"}), HookRefusal::TimestampTooOld),
            (json!({"step": "user-authentication-failed"}), HookRefusal::InfoMissing),
            (
                json!({"step": "consent-rejected", "additionalInfo": {"rejected-by": "nobody"}}),
                HookRefusal::InfoValue,
            ),
            (json!({"additionalInfo": {"rejected-by": "user"}}), HookRefusal::InfoMisplaced),
            (json!({"additionalInfo": {"name": "x"}}), HookRefusal::InfoMisplaced),
            (
                json!({"step": "quote-request-created", "side": "client",
                       "additionalInfo": {"quoteID": "a name with spaces"}}),
                HookRefusal::InfoValue,
            ),
        ];
        for (changes, refusal) in cases {
            let value = told(&changes);
            assert_eq!(parse(&value), Err(refusal), "{value}");
            let sentence = refusal.to_string();
            assert!(sentence.len() > 30 && !sentence.contains("urn:insurer"), "{sentence}");
        }
        let rules = FunnelRules::published().unwrap();
        let long = vec![b' '; MAX_HOOK_BYTES + 1];
        assert_eq!(
            HookStep::parse(&long, &rules, Timestamp::UNIX_EPOCH),
            Err(HookRefusal::TooLong)
        );
    }
}
