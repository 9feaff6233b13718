//! Makes the rules of the funnel from the published documents.
//!
//! Which step belongs to which journey and side, and which step demands which member of
//! `additionalInfo`, is said in descriptions only, so these are read, strictly: a line that is not
//! understood is an error and not passed over.

use std::collections::{BTreeMap, BTreeSet};

use mop_contract::Document;
use serde_json::Value;

use super::{
    rules::{FunnelTables, InfoTable, JourneyTable, Source},
    step::{FunnelKind, Journey, Step},
};

/// Why no rules could be made.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// A place of a document is not there, or of another type.
    #[error("{0} is missing or not as expected")]
    Missing(String),
    /// A step or permission of a description is not in the enumeration, or the other way round.
    #[error("{0} is listed in a description or an enumeration only")]
    OneSided(String),
    /// A description has another number of parts than there are journeys.
    #[error("the description of {0} has other parts than expected")]
    Parts(&'static str),
    /// A permission of version 2 of the consents has no single successor.
    #[error("the permission {0} has no successor in version 3")]
    NoSuccessor(String),
}

/// Reads `consent-funnel-ingestion` and both versions of the consents' document.
pub fn derive(ingestion: &Document, consents: [&Document; 2]) -> Result<FunnelTables, DeriveError> {
    let mut journeys = Vec::new();
    let mut additional_info = Vec::new();
    for (schema, funnel, expected) in [
        ("eventBodyV2", FunnelKind::V2, &[Journey::Data, Journey::PostSale][..]),
        ("eventBodyCotacaoContratacao", FunnelKind::Quote, &[Journey::Quote][..]),
    ] {
        let place = format!("/components/schemas/{schema}/properties");
        let properties =
            ingestion.tree.pointer(&place).ok_or_else(|| DeriveError::Missing(place.clone()))?;
        let steps = steps_of(properties)?;
        let permissions = permissions_of(properties)?;
        if steps.len() != expected.len() {
            return Err(DeriveError::Parts("step"));
        }
        if permissions.len() != expected.len() {
            return Err(DeriveError::Parts("permissions"));
        }
        for ((journey, [client, server]), permissions) in
            expected.iter().zip(steps).zip(permissions)
        {
            journeys.push(JourneyTable { journey: *journey, client, server, permissions });
        }
        info_of(properties, funnel, &mut additional_info)?;
    }
    let known: BTreeSet<&str> =
        journeys.iter().flat_map(|table| table.permissions.iter().map(String::as_str)).collect();
    let [old, new] = consents;
    let renamed_permissions = renamed(&consent_permissions(old)?, &known)?;
    let versions = [old, new].map(|document| document.version.trim().to_owned());
    Ok(FunnelTables {
        source: Source {
            document: ingestion.name.clone(),
            version: ingestion.version.trim().to_owned(),
            consents: versions.into(),
        },
        journeys,
        additional_info,
        renamed_permissions,
    })
}

/// Steps of each part of the description, client and server.
fn steps_of(properties: &Value) -> Result<Vec<[Vec<Step>; 2]>, DeriveError> {
    let mut parts: Vec<[Vec<Step>; 2]> = Vec::new();
    let mut side = 0;
    for line in text(properties, "/step/description")?.lines().map(str::trim) {
        if line.starts_with("Etapa do Funil") {
            parts.push([Vec::new(), Vec::new()]);
        } else if line.starts_with("Etapas do Cliente") {
            side = 0;
        } else if line.starts_with("Etapas do Servidor") {
            side = 1;
        } else if let Some(name) = line.strip_prefix("* ") {
            let step = Step::of_name(name).ok_or_else(|| DeriveError::OneSided(name.to_owned()))?;
            let sides = parts.last_mut().ok_or(DeriveError::Parts("step"))?;
            sides.get_mut(side).ok_or(DeriveError::Parts("step"))?.push(step);
        }
    }
    let listed = parts.iter().flatten().flatten().map(|step| step.name()).collect();
    same(&listed, &strings(properties, "/step/enum")?)?;
    Ok(parts)
}

/// Permissions of each part of the description.
fn permissions_of(properties: &Value) -> Result<Vec<Vec<String>>, DeriveError> {
    let mut parts: Vec<Vec<String>> = Vec::new();
    for line in text(properties, "/permissions/description")?.lines().map(str::trim) {
        if line.starts_with("Permissions relacionadas") {
            parts.push(Vec::new());
        } else if let Some(name) = line.strip_prefix("- ") {
            let part = parts.last_mut().ok_or(DeriveError::Parts("permissions"))?;
            part.push(name.to_owned());
        }
    }
    let listed = parts.iter().flatten().map(String::as_str).collect();
    same(&listed, &strings(properties, "/permissions/items/enum")?)?;
    Ok(parts)
}

/// Members of `additionalInfo`, and the steps that their descriptions name after `step for`.
fn info_of(
    properties: &Value,
    funnel: FunnelKind,
    into: &mut Vec<InfoTable>,
) -> Result<(), DeriveError> {
    let members = properties.pointer("/additionalInfo/properties").and_then(Value::as_object);
    let members = members.ok_or_else(|| DeriveError::Missing("additionalInfo".into()))?;
    let names = strings(properties, "/step/enum")?;
    for (name, member) in members {
        let description = text(member, "/description")?;
        let (_, condition) = description
            .split_once("quando o step for")
            .ok_or_else(|| DeriveError::Missing(format!("condition of {name}")))?;
        let words = condition.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '-'));
        // One name is cut short in the document: `quote-request-create`.
        let steps: Vec<Step> = words
            .filter(|word| word.contains('-'))
            .filter_map(|word| names.iter().find(|name| name.starts_with(word)))
            .filter_map(|name| Step::of_name(name))
            .collect();
        if steps.is_empty() {
            return Err(DeriveError::Missing(format!("steps of {name}")));
        }
        let values = match member.get("enum") {
            Some(_) => strings(member, "/enum")?.into_iter().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        into.push(InfoTable { funnel, name: name.clone(), values, steps });
    }
    Ok(())
}

/// Every name that a consent may ask for.
fn consent_permissions(document: &Document) -> Result<BTreeSet<&str>, DeriveError> {
    let mut found = BTreeSet::new();
    collect(&document.tree, &mut found);
    if found.is_empty() {
        return Err(DeriveError::Missing(format!("permissions of {}", document.name)));
    }
    Ok(found)
}

fn collect<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            let list = members.get("permissions").and_then(|it| it.pointer("/items/enum"));
            let names = list.and_then(Value::as_array).into_iter().flatten();
            found.extend(names.filter_map(Value::as_str));
            members.values().for_each(|member| collect(member, found));
        }
        _ => {}
    }
}

/// Old names and their successors: what was added at the end, or taken away at the beginning.
fn renamed(
    old: &BTreeSet<&str>,
    known: &BTreeSet<&str>,
) -> Result<BTreeMap<String, String>, DeriveError> {
    let mut renamed = BTreeMap::new();
    for name in old.difference(known) {
        let longer = format!("{name}_READ");
        let candidates = [Some(longer.as_str()), name.strip_prefix("QUOTE_")];
        let mut successors = candidates.into_iter().flatten().filter(|it| known.contains(it));
        let successor =
            successors.next().ok_or_else(|| DeriveError::NoSuccessor((*name).into()))?;
        renamed.insert((*name).to_owned(), successor.to_owned());
    }
    Ok(renamed)
}

fn same(described: &BTreeSet<&str>, listed: &[&str]) -> Result<(), DeriveError> {
    let listed = listed.iter().copied().collect();
    match described.symmetric_difference(&listed).next() {
        Some(name) => Err(DeriveError::OneSided((*name).to_owned())),
        None => Ok(()),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, DeriveError> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.ok_or_else(|| DeriveError::Missing(pointer.to_owned()))
}

fn strings<'a>(value: &'a Value, pointer: &str) -> Result<Vec<&'a str>, DeriveError> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    let list = list.ok_or_else(|| DeriveError::Missing(pointer.to_owned()))?;
    Ok(list.iter().filter_map(Value::as_str).collect())
}
