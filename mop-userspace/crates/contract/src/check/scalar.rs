//! Strings, numbers and enumerations.

use super::{Checker, Sink};
use crate::{
    json::{Kind, Reader, Value, name_hash},
    schema::{Constants, NumberRules, StringRules},
    violation::Keyword,
};

impl Checker<'_> {
    pub(super) fn string<S: Sink>(
        &mut self,
        rules: &StringRules,
        value: Value<'_>,
        sink: &mut S,
    ) -> bool {
        let text = value.as_str().unwrap_or_default();
        let mut valid = true;
        if !has_at_least(text, rules.min_length) {
            sink.defect(Keyword::MinLength, || format!("at least {} characters", rules.min_length));
            valid = false;
        }
        if !has_at_most(text, rules.max_length) {
            sink.defect(Keyword::MaxLength, || format!("at most {} characters", rules.max_length));
            valid = false;
        }
        if !S::goes_on(valid) {
            return false;
        }
        if let Some(pattern) = rules.pattern.and_then(|id| self.schemas.pattern(id)) {
            if text.len() > MAX_MATCHED_BYTES {
                // Too long already, or nothing is known of it.
                self.exhausted |= valid;
                return valid;
            }
            self.steps_left = self.steps_left.saturating_sub(text.len() as u64 / BYTES_PER_STEP);
            match pattern.is_match(text) {
                Ok(true) => {}
                Ok(false) => {
                    sink.defect(Keyword::Pattern, || pattern.source().to_owned());
                    valid = false;
                }
                Err(_) => self.exhausted = true,
            }
        }
        if let Some(format) = rules.format
            && S::goes_on(valid)
            && !format.accepts(text)
        {
            sink.defect(Keyword::Format, || format.name().to_owned());
            valid = false;
        }
        valid
    }
}

pub(super) fn number<S: Sink>(rules: &NumberRules, value: Value<'_>, sink: &mut S) -> bool {
    let Some(number) = value.as_number() else { return true };
    let mut valid = true;
    if let Some((limit, excluded)) = rules.minimum {
        let limit = limit.value();
        if number.value < limit || (excluded && number.value <= limit) {
            sink.defect(Keyword::Minimum, || bound("at least", "more than", excluded, limit));
            valid = false;
        }
    }
    if let Some((limit, excluded)) = rules.maximum {
        let limit = limit.value();
        if number.value > limit || (excluded && number.value >= limit) {
            sink.defect(Keyword::Maximum, || bound("at most", "less than", excluded, limit));
            valid = false;
        }
    }
    if let Some(step) = rules.multiple_of {
        let quotient = number.value / step.value();
        // Decimal fractions such as 0.01 are no exact doubles: a multiple is off by some bits.
        if (quotient - quotient.round()).abs() > quotient.abs().max(1.0) * 1e-9 {
            sink.defect(Keyword::MultipleOf, || format!("a multiple of {}", step.value()));
            valid = false;
        }
    }
    if let Some(format) = rules.format
        && value.kind() == Kind::Integer
        && !number.text.parse().is_ok_and(|integer| format.accepts_integer(integer))
    {
        sink.defect(Keyword::Format, || format.name().to_owned());
        valid = false;
    }
    valid
}

pub(super) fn is_constant(constants: &Constants, value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => constants.null,
        Kind::String => {
            let text = value.as_str().unwrap_or_default();
            constants.strings.position(text, name_hash(text)).is_some()
        }
        _ => constants.others.iter().any(|other| {
            Reader::default().read(other.as_bytes()).is_ok_and(|other| other.root().equals(value))
        }),
    }
}

/// Characters are counted only when the number of bytes leaves a doubt.
fn has_at_most(text: &str, most: u32) -> bool {
    text.len() <= most as usize || text.chars().count() <= most as usize
}

fn has_at_least(text: &str, least: u32) -> bool {
    text.len() >= least as usize && (least <= 1 || text.chars().count() >= least as usize)
}

fn bound(inclusive: &str, exclusive: &str, excluded: bool, limit: f64) -> String {
    format!("{} {limit}", if excluded { exclusive } else { inclusive })
}

/// No published pattern is for more than a few thousand characters.
const MAX_MATCHED_BYTES: usize = 64 << 10;

/// A linear pattern looks at some hundred megabytes a second: this many bytes in the time of a
/// step.
const BYTES_PER_STEP: u64 = 8;
