//! Lists of values: members that are there twice, that are blank, or that their own schema refuses.

use super::{Code, Context, Report, examples::broken_rule};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let members = node.list("enum");
        for (index, member) in members.iter().enumerate() {
            let at = format!("{}/enum/{index}", node.pointer);
            if members.iter().take(index).any(|earlier| earlier == member) {
                report.add(Code::DuplicateEnumMember, &at, format!("{member} is there twice"));
            }
            if let Some(text) = member.as_str()
                && (text.is_empty() || text.trim() != text)
            {
                report.add(Code::BlankEnumMember, &at, format!("{member} is blank or padded"));
            } else if let Some(rule) = broken_rule(context, node.value, member) {
                report.add(Code::EnumMemberBreaksSchema, &at, format!("{member} breaks {rule}"));
            }
        }
        if let Some(value) = node.value.get("default")
            && !value.is_null()
            && let Some(rule) = broken_rule(context, node.value, value)
        {
            let detail = format!("the default breaks {rule}");
            report.add(Code::DefaultBreaksSchema, &node.at("default"), detail);
        }
    }
}
