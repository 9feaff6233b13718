//! `oneOf` whose branches are not told apart. See [`crate::ambiguity`] for the method.

use super::{Code, Context, Report};
use crate::{ambiguity::ambiguous_pair, places::Kind};

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        if let Some((first, second)) = ambiguous_pair(context.document, node.list("oneOf")) {
            let detail = format!("branches {first} and {second} are not disjoint");
            report.add(Code::AmbiguousOneOf, &node.at("oneOf"), detail);
        }
    }
}
