//! `mop contracts diff`.
//!
//! Compares what decides on verdicts, place by place: descriptions and the order of keys are no
//! difference. Documents are matched by name, and by the version of their base path.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::ExitCode};

use mop_contract::{Document, document::escape_token, pack};
use serde::Serialize;
use serde_json::Value as Tree;

use crate::{
    failure::Failure,
    rulebook::{documents, each_document},
    stdout::{print, print_line},
};

/// One difference.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    api: String,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// JSON Pointer into the document; empty for the document itself.
    pointer: String,
    old: Option<String>,
    new: Option<String>,
}

pub(super) fn run(old: &Path, new: &Path, json: bool) -> Result<ExitCode, Failure> {
    let (old, new) = (read(old)?, read(new)?);
    let mut found = Vec::new();
    for (name, before) in &old {
        match new.get(name) {
            Some(after) => {
                if before.version != after.version {
                    let versions = (Some(before.version.clone()), Some(after.version.clone()));
                    found.push(difference(name, "changed", "/info/version", versions));
                }
                let (before, after) = (pack::facts(&before.tree), pack::facts(&after.tree));
                for section in ["servers", "paths", "components"] {
                    let (one, two) = (before.get(section), after.get(section));
                    compare(name, &format!("/{section}"), one, two, &mut found);
                }
            }
            None => {
                found.push(difference(name, "removed", "", (Some(before.version.clone()), None)));
            }
        }
    }
    for (name, after) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        found.push(difference(name, "added", "", (None, Some(after.version.clone()))));
    }
    if json {
        print_line(&serde_json::to_string_pretty(&found).map_err(Failure::runtime)?);
    } else {
        let mut lines = String::new();
        for Difference { api, change, pointer, old, new } in &found {
            let values = match (old, new) {
                (Some(old), Some(new)) => format!(": {old} -> {new}"),
                (Some(only), None) | (None, Some(only)) => format!(": {only}"),
                (None, None) => String::new(),
            };
            let _ = writeln!(lines, "{change:<7} {api} {pointer}{values}");
        }
        let _ = writeln!(
            lines,
            "{} differences in {} and {} documents.",
            found.len(),
            old.len(),
            new.len()
        );
        print(&lines);
    }
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}

/// Documents by name. A name that ends in a version of its own (`consents_v3`) tells versions
/// apart by itself.
fn read(path: &Path) -> Result<BTreeMap<String, Document>, Failure> {
    let mut read = BTreeMap::new();
    for text in documents(path)? {
        each_document(&text, &mut |document| {
            read.insert(document.name.clone(), document);
        })?;
    }
    Ok(read)
}

fn compare(
    api: &str,
    pointer: &str,
    old: Option<&Tree>,
    new: Option<&Tree>,
    found: &mut Vec<Difference>,
) {
    match (old, new) {
        (None, None) => {}
        (Some(old), Some(new)) if old == new => {}
        (Some(Tree::Object(old)), Some(Tree::Object(new))) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let pointer = format!("{pointer}/{}", escape_token(name));
                compare(api, &pointer, old.get(name), new.get(name), found);
            }
        }
        (Some(Tree::Array(old)), Some(Tree::Array(new)))
            if old.iter().chain(new).all(Tree::is_string) =>
        {
            // Sets of names: `required` and `enum`.
            for gone in old.iter().filter(|member| !new.contains(member)) {
                found.push(difference(api, "removed", pointer, (brief(gone), None)));
            }
            for more in new.iter().filter(|member| !old.contains(member)) {
                found.push(difference(api, "added", pointer, (None, brief(more))));
            }
        }
        (Some(Tree::Array(old)), Some(Tree::Array(new))) if old.len() == new.len() => {
            for (place, (old, new)) in old.iter().zip(new).enumerate() {
                compare(api, &format!("{pointer}/{place}"), Some(old), Some(new), found);
            }
        }
        (Some(old), Some(new)) => {
            found.push(difference(api, "changed", pointer, (brief(old), brief(new))));
        }
        (Some(old), None) => found.push(difference(api, "removed", pointer, (brief(old), None))),
        (None, Some(new)) => found.push(difference(api, "added", pointer, (None, brief(new)))),
    }
}

fn difference(
    api: &str,
    change: &'static str,
    pointer: &str,
    (old, new): (Option<String>, Option<String>),
) -> Difference {
    Difference { api: api.to_owned(), change, pointer: pointer.to_owned(), old, new }
}

/// A scalar as it is; of what has parts, only that it has.
fn brief(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Object(_) | Tree::Array(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_place() {
        let old =
            json!({"a": {"maxLength": 3, "required": ["x", "y"]}, "gone": {"type": "string"}});
        let new =
            json!({"a": {"maxLength": 4, "required": ["y", "z"]}, "more": {"type": "string"}});
        let mut found = Vec::new();
        compare("api", "", Some(&old), Some(&new), &mut found);
        let told: Vec<String> = found
            .iter()
            .map(|found| {
                format!("{} {} {:?} {:?}", found.change, found.pointer, found.old, found.new)
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"changed /a/maxLength Some("3") Some("4")"#,
                r#"removed /a/required Some("\"x\"") None"#,
                r#"added /a/required None Some("\"z\"")"#,
                "removed /gone None None",
                "added /more None None",
            ]
        );
    }
}
