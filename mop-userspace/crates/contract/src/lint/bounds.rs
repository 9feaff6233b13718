//! Bounds that contradict each other, or the format beside them.

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let number = |keyword| node.value.get(keyword).and_then(Value::as_f64);
        for (lower, upper) in BOUNDS {
            if let (Some(least), Some(most)) = (number(lower), number(upper))
                && least > most
            {
                let detail = format!("{lower} {least} is above {upper} {most}");
                report.add(Code::ContradictoryBounds, &node.at(lower), detail);
            }
        }
        let format = node.text("format").unwrap_or_default();
        let needed = LENGTHS.iter().find(|(name, _)| *name == format).map(|(_, needed)| *needed);
        if let (Some(needed), Some(most)) =
            (needed, node.value.get("maxLength").and_then(Value::as_u64))
            && most < needed
        {
            let detail = format!("{format} needs up to {needed} characters and may have {most}");
            report.add(Code::LengthTooShortForFormat, &node.at("maxLength"), detail);
        }
    }
}

const BOUNDS: [(&str, &str); 4] = [
    ("minItems", "maxItems"),
    ("minLength", "maxLength"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
];

/// The longest regular value of a format: a time with nine digits of fraction and an offset
/// (RFC 3339, section 5.6), an address with an embedded one (RFC 4291, section 2.2).
const LENGTHS: [(&str, u64); 5] =
    [("date", 10), ("date-time", 35), ("ipv4", 15), ("ipv6", 45), ("uuid", 36)];
