//! Which rule of the metrics platform a step of a funnel would break, in words, as
//! [`crate::data::event::prevalidate`] does for calls.
//!
//! The rules are those of `consent-funnel-ingestion` 1.0.5 that one event shows alone. That earlier
//! steps of the consent must have been reported, it does not; and members of `additionalInfo` that the
//! description of a step asks for are not missed, since the schema does not. Values are not repeated.

use mop_contract::json::{Kind, Value};

use super::{
    FunnelRules,
    hook::is_consent,
    step::{FunnelKind, Journey, Side, Step},
};
use crate::data::event::prevalidate::{Breach, Check};

/// Every rule that a step's event breaks; none when it may be sent.
#[must_use]
pub fn prevalidate(
    event: Value<'_>,
    funnel: FunnelKind,
    side: Side,
    rules: &FunnelRules,
) -> Vec<Breach> {
    let mut check = Check::of(event);
    if !check.is_object() {
        return check.breaches;
    }
    check.text("consentId", true, is_consent, "must be a URN of at most 256 characters");
    check.identity();
    check.parties(true);
    let step = check.required("step").map(Step::of_name);
    let journeys = || Journey::ALL.into_iter().filter(|journey| journey.funnel() == funnel);
    match step {
        Some(Some(step)) if journeys().any(|journey| rules.has_step(journey, side, step)) => {
            info(&mut check, funnel, rules);
        }
        Some(_) => check.breach("step", "must be a step of this interface and side"),
        None => {}
    }
    let is_known = |permission: Value<'_>| {
        let name = permission.as_str();
        name.is_some_and(|name| {
            // The platform takes current names only.
            rules.permission(name).is_some_and(|(id, journey)| {
                journey.funnel() == funnel && rules.permission_name(id) == Some(name)
            })
        })
    };
    match event.member("permissions") {
        None => check.breach("permissions", "is missing"),
        Some(list) if list.kind() != Kind::Array || list.is_empty() => {
            check.breach("permissions", "must be a list of at least one");
        }
        Some(list) if !list.elements().all(is_known) => {
            check.breach("permissions", "must be permissions that this interface lists");
        }
        Some(_) => {}
    }
    check.two_organisations();
    check.breaches
}

fn info(check: &mut Check<'_>, funnel: FunnelKind, rules: &FunnelRules) {
    let info = check.event.member("additionalInfo");
    if info.is_some_and(|info| info.kind() != Kind::Object) {
        check.breach("additionalInfo", "must be an object");
        return;
    }
    let is_allowed = |name: &str, value: Value<'_>| {
        let values = rules.info(funnel, name).map(|table| &table.values);
        values.zip(value.as_str()).is_some_and(|(values, value)| {
            values.is_empty() || values.iter().any(|allowed| allowed == value)
        })
    };
    let mut members = info.into_iter().flat_map(Value::members);
    if !members.all(|member| is_allowed(member.name, member.value)) {
        check.breach("additionalInfo", "has a member or a value that is not listed");
    }
}
