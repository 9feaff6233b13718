//! The list of endpoints, taken from the document of the ingestion interface.
//!
//! The `enum` says which templates there are; the description of the document lists them, with
//! `{majorVersionApi}` in place of the version, under one heading a phase.

use std::collections::HashMap;

use mop_contract::Document;
use serde_json::Value;
use thiserror::Error;

use super::{EndpointFile, EndpointGroup, Group};

/// Why nothing can be taken from a document.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the document has no list of strings at {0}")]
pub struct NoList(pub &'static str);

/// Takes the list.
///
/// # Errors
///
/// [`NoList`] when the document has no `enum` of endpoints.
pub fn derive(document: &Document) -> Result<EndpointFile, NoList> {
    let phases = phases(document.tree.pointer("/info/description").and_then(Value::as_str));
    let list = document.tree.pointer(ENUM).and_then(Value::as_array).ok_or(NoList(ENUM))?;
    let mut groups: Vec<EndpointGroup> =
        [Group::Phase1, Group::Phase2, Group::Phase3, Group::Phases2And3, Group::Unlisted]
            .map(|group| EndpointGroup { group, templates: Vec::new() })
            .into();
    for template in list {
        let template = template.as_str().ok_or(NoList(ENUM))?;
        let group = phases.get(&unversioned(template)).copied().unwrap_or(Group::Unlisted);
        let known = groups.iter_mut().find(|known| known.group == group);
        known.into_iter().for_each(|known| known.templates.push(template.to_owned()));
    }
    groups.retain(|group| !group.templates.is_empty());
    Ok(EndpointFile { document: document.name.clone(), version: document.version.clone(), groups })
}

/// Group of each template of the description.
fn phases(description: Option<&str>) -> HashMap<String, Group> {
    let mut phases = HashMap::new();
    let mut group = None;
    for line in description.unwrap_or_default().lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('#') {
            group = match heading.trim_start_matches('#').trim() {
                "Fase 1" => Some(Group::Phase1),
                "Fase 2" => Some(Group::Phase2),
                "Fase 3" => Some(Group::Phase3),
                "Fases 2 e 3" => Some(Group::Phases2And3),
                _ => None,
            };
        } else if let (Some(group), Some(template)) = (group, line.strip_prefix("- /")) {
            phases.insert(format!("/{template}"), group);
        }
    }
    phases
}

/// The template with `{majorVersionApi}` for its version, as the description writes it.
fn unversioned(template: &str) -> String {
    let mut segments: Vec<&str> = template.split('/').collect();
    if let Some(version) = segments.get_mut(3) {
        *version = "{majorVersionApi}";
    }
    segments.join("/")
}

const ENUM: &str = "/components/schemas/eventBody/properties/endpoint/enum";
