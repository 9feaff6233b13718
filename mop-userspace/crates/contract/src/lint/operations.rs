//! Parameters of paths that do not fit the template, and operations with the same id.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::{Kind, escape};

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    duplicate_ids(context, report);
    for (path, item) in context.document.section("paths").into_iter().flatten() {
        let template = template_parameters(path);
        let shared = path_parameters(context, item);
        for operation in context.nodes(Kind::Operation) {
            let at = format!("/paths/{}/{}", escape(path), operation.name);
            if operation.pointer != at {
                continue;
            }
            let own = path_parameters(context, operation.value);
            let declared: BTreeSet<_> = shared.union(&own).copied().collect();
            for name in template.difference(&declared) {
                let detail = format!("{name} is in the template only");
                report.add(Code::PathParameterNotDeclared, &at, detail);
            }
            for name in declared.difference(&template) {
                let detail = format!("{name} is not in the template");
                report.add(Code::PathParameterNotInTemplate, &at, detail);
            }
        }
    }
}

fn duplicate_ids(context: &Context<'_>, report: &mut Report) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for node in context.nodes(Kind::Operation) {
        let Some(id) = node.text("operationId") else { continue };
        if let Some(earlier) = first.get(id) {
            let detail = format!("{id} is the id of {earlier} too");
            report.add(Code::DuplicateOperationId, &node.at("operationId"), detail);
        } else {
            first.insert(id, node.pointer);
        }
    }
}

fn template_parameters(path: &str) -> BTreeSet<&str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

fn path_parameters<'a>(context: &Context<'a>, node: &'a Value) -> BTreeSet<&'a str> {
    let parameters = node.get("parameters").and_then(Value::as_array).into_iter().flatten();
    parameters
        .filter_map(|parameter| context.document.resolve(parameter).ok())
        .filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some("path"))
        .filter_map(|parameter| parameter.get("name")?.as_str())
        .collect()
}
