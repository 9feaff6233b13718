//! What each effect does to the tree of a document.

use serde_json::{Map, Value};

use super::{Alternatives, Effect, Selector, selector::is_header_parameter};
use crate::{
    Document,
    ambiguity::ambiguous_pair,
    places::{Kind, METHODS, Places},
};

/// What came of one effect.
#[derive(Default)]
pub(super) struct Outcome {
    /// Places that were changed, or found when nothing is to be changed.
    pub(super) places: usize,
    /// Parts of the document that were not searched.
    pub(super) not_searched: usize,
}

/// Applies one effect.
pub(super) fn apply(effect: &Effect, document: &mut Document) -> Outcome {
    match effect {
        Effect::DropRequestHeaders { names } => drop_request_headers(document, names),
        Effect::EmptyBody { statuses } => empty_body(document, statuses),
        Effect::LeaveAsPublished { select } => each(document, select, |_| true),
        Effect::MaximumLength { select, from, to } => each(document, select, |schema| {
            let found = schema.get("maxLength").and_then(Value::as_u64) == Some(*from);
            found && set(schema, "maxLength", Value::from(*to))
        }),
        Effect::MoveToItems { select, keywords, or_as_published } => {
            each(document, select, |schema| move_to_items(schema, keywords, *or_as_published))
        }
        Effect::OneOfAsAnyOf { alternatives } => one_of_as_any_of(document, alternatives),
        Effect::RemoveKeyword { select, keyword } => {
            each(document, select, |schema| schema.remove(keyword).is_some())
        }
        Effect::RemoveRequired { select, names } => {
            each(document, select, |schema| remove_required(schema, names))
        }
        Effect::RenameRequired { select, from, to } => {
            each(document, select, |schema| rename_required(schema, from, to))
        }
        Effect::ReplacePattern { patterns, with, select } => {
            let mut select = select.clone().unwrap_or_default();
            select.patterns.clone_from(patterns);
            each(document, &select, |schema| set(schema, "pattern", Value::from(with.as_str())))
        }
        Effect::ReplaceSchema { select, with } => each(document, select, |schema| {
            let Some(with) = with.as_object() else { return false };
            let changed = schema != with;
            schema.clone_from(with);
            changed
        }),
        Effect::SetKeyword { select, keyword, value } => {
            each(document, select, |schema| set(schema, keyword, value.clone()))
        }
    }
}

/// Visits the selected schemas; the visitor says whether it changed one.
fn each(
    document: &mut Document,
    select: &Selector,
    mut visit: impl FnMut(&mut Map<String, Value>) -> bool,
) -> Outcome {
    let (pointers, not_searched) = select.select(document);
    let mut places = 0;
    for pointer in pointers {
        // A schema inside one that was replaced before is no longer there.
        if let Some(schema) = document.tree.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            places += usize::from(visit(schema));
        }
    }
    Outcome { places, not_searched }
}

fn set(schema: &mut Map<String, Value>, keyword: &str, value: Value) -> bool {
    if schema.get(keyword) == Some(&value) {
        return false;
    }
    schema.insert(keyword.to_owned(), value);
    true
}

fn move_to_items(
    schema: &mut Map<String, Value>,
    keywords: &[String],
    or_as_published: bool,
) -> bool {
    let mut published = schema.clone();
    let moved: Vec<_> = keywords
        .iter()
        .filter_map(|keyword| Some((keyword.clone(), schema.remove(keyword)?)))
        .collect();
    if moved.is_empty() {
        return false;
    }
    schema.insert("type".to_owned(), Value::from("array"));
    let items = schema.entry("items").or_insert_with(|| Value::Object(Map::new()));
    if let Some(items) = items.as_object_mut() {
        items.extend(moved);
        items.insert("type".to_owned(), Value::from("object"));
    }
    if or_as_published {
        // On something else than a list they have no effect.
        for keyword in ["items", "minItems", "maxItems"] {
            published.remove(keyword);
        }
        let list = std::mem::take(schema);
        let both = vec![Value::Object(list), Value::Object(published)];
        schema.insert("anyOf".to_owned(), Value::Array(both));
    }
    true
}

fn remove_required(schema: &mut Map<String, Value>, names: &[String]) -> bool {
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else {
        return false;
    };
    let before = required.len();
    required.retain(|name| !names.iter().any(|removed| name.as_str() == Some(removed)));
    let changed = required.len() < before;
    // An empty `required` is not allowed.
    if required.is_empty() {
        schema.remove("required");
    }
    changed
}

fn rename_required(schema: &mut Map<String, Value>, from: &str, to: &str) -> bool {
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else {
        return false;
    };
    let mut changed = false;
    for name in required.iter_mut().filter(|name| name.as_str() == Some(from)) {
        *name = Value::from(to);
        changed = true;
    }
    changed
}

fn one_of_as_any_of(document: &mut Document, alternatives: &Alternatives) -> Outcome {
    let select = Selector {
        has: vec!["oneOf".to_owned()],
        pointers: match alternatives {
            Alternatives::Ambiguous => Vec::new(),
            Alternatives::Pointers(pointers) => pointers.clone(),
        },
        ..Selector::default()
    };
    let (mut pointers, not_searched) = select.select(document);
    if *alternatives == Alternatives::Ambiguous {
        pointers.retain(|pointer| {
            let branches = document.tree.pointer(pointer).and_then(|schema| schema.get("oneOf"));
            let branches = branches.and_then(Value::as_array);
            branches.is_some_and(|branches| ambiguous_pair(document, branches).is_some())
        });
    }
    let mut places = 0;
    for pointer in pointers {
        if let Some(schema) = document.tree.pointer_mut(&pointer).and_then(Value::as_object_mut)
            // Two lists of alternatives cannot be one.
            && !schema.contains_key("anyOf")
            && let Some(branches) = schema.remove("oneOf")
        {
            schema.insert("anyOf".to_owned(), branches);
            places += 1;
        }
    }
    Outcome { places, not_searched }
}

fn drop_request_headers(document: &mut Document, names: &[String]) -> Outcome {
    let mut outcome = Outcome::default();
    let paths: Vec<String> = document
        .section("paths")
        .into_iter()
        .flat_map(|paths| paths.keys())
        .map(|path| format!("/paths/{}", crate::places::escape(path)))
        .collect();
    for path in paths {
        let lists = std::iter::once(format!("{path}/parameters"))
            .chain(METHODS.iter().map(|method| format!("{path}/{method}/parameters")));
        for list in lists {
            let Some(parameters) = document.tree.pointer(&list).and_then(Value::as_array) else {
                continue;
            };
            let kept: Vec<Value> = parameters
                .iter()
                .filter(|parameter| {
                    let resolved = document.resolve(parameter);
                    !resolved.is_ok_and(|parameter| is_header_parameter(parameter, names))
                })
                .cloned()
                .collect();
            outcome.places += parameters.len() - kept.len();
            if let Some(parameters) = document.tree.pointer_mut(&list) {
                *parameters = Value::Array(kept);
            }
        }
    }
    outcome
}

fn empty_body(document: &mut Document, statuses: &[String]) -> Outcome {
    let places = Places::of(&document.tree);
    let mut outcome = Outcome { places: 0, not_searched: places.omitted };
    let responses: Vec<String> = places
        .of_kind(Kind::Response)
        .filter(|place| place.pointer.starts_with("/paths/") && statuses.contains(&place.name))
        .map(|place| place.pointer.clone())
        .collect();
    for pointer in responses {
        let Some(published) = document.tree.pointer(&pointer) else { continue };
        let Ok(resolved) = document.resolve(published) else { continue };
        if resolved.get("content").is_none() {
            continue;
        }
        // A response that is referred to may serve other statuses too, so the copy is changed.
        let mut own = resolved.clone();
        if let Some(own) = own.as_object_mut() {
            own.remove("content");
        }
        if let Some(response) = document.tree.pointer_mut(&pointer) {
            *response = own;
            outcome.places += 1;
        }
    }
    outcome
}
