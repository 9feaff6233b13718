//! Header fields, and parameters of path, query and cookies.

use std::borrow::Cow;

use mop_wire::Headers;

use super::{Found, Message, Seen, UnjudgedReason};
use crate::{
    check::{Checker, Collector},
    json::{Json, Kind, Reader},
    operation::{Parameter, Place, Rules},
    route::{decode, query_of},
    schema::{Schema, SchemaId, Schemas},
    violation::{Keyword, Location, Severity, Violation},
};

impl Found<'_, '_> {
    /// All parameters of a request.
    pub(super) fn request(
        &mut self,
        rules: &Rules,
        path: &[(&str, Cow<'_, str>)],
        target: &str,
        message: Message<'_>,
    ) {
        let query = pairs(query_of(target).unwrap_or_default());
        let seen = self.seen;
        let is_known = |place: Place| match place {
            Place::Header | Place::Cookie => seen == Seen::Wire,
            Place::Query => seen == Seen::Wire || query_of(target).is_some(),
            Place::Path => true,
        };
        for parameter in rules.parameters.iter().filter(|known| is_known(known.place)) {
            let name = &*parameter.name;
            let value = match parameter.place {
                Place::Header => header(message.headers, name),
                Place::Query => joined(query.iter().filter(|(known, _)| known == name)),
                Place::Path => {
                    path.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
                }
                Place::Cookie => cookie(message.headers, name),
            };
            self.parameter(parameter, value);
        }
        let declared = |place: Place, name: &str| {
            rules.parameters.iter().any(|known| known.place == place && *known.name == *name)
        };
        let mut undeclared: Vec<Cow<'_, str>> = query
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !declared(Place::Query, name))
            .take(MAX_UNDECLARED)
            .collect();
        undeclared.sort_unstable();
        undeclared.dedup();
        for name in undeclared {
            let name = self.known_name(&name);
            self.undeclared(Location::Query(name.into()), name, Severity::Warning);
        }
        if self.seen == Seen::Copy {
            return;
        }
        for (name, _) in message.headers.iter().take(MAX_UNDECLARED) {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-")
                && !declared(Place::Header, &name)
                && self.contract.header_names().contains(&name)
            {
                // Some other operation has it, so its name tells nothing about anybody.
                self.undeclared(Location::Header(name.as_str().into()), &name, Severity::Info);
            }
        }
    }

    /// Declared header fields of a response.
    pub(super) fn headers(&mut self, declared: &[Parameter], headers: &Headers) {
        if self.seen == Seen::Copy {
            return;
        }
        for parameter in declared {
            self.parameter(parameter, header(headers, &parameter.name));
        }
    }

    fn parameter(&mut self, parameter: &Parameter, value: Option<Cow<'_, str>>) {
        let name = &parameter.name;
        let location = match parameter.place {
            Place::Cookie => Location::Cookie(name.clone()),
            Place::Header => Location::Header(name.clone()),
            Place::Path => Location::Path(name.clone()),
            Place::Query => Location::Query(name.clone()),
        };
        let Some(text) = value else {
            if parameter.required {
                self.push(Violation {
                    direction: self.direction,
                    location,
                    keyword: Keyword::Required,
                    severity: Severity::Error,
                    attribute: name.to_string(),
                    schema_path: "/required".to_owned(),
                    expected: name.to_string(),
                    occurrences: 1,
                });
            }
            return;
        };
        let schemas = self.contract.schemas();
        let mut collector = Collector::default();
        let array_text;
        let json = match typed(schemas, parameter.schema) {
            Typed::Text => self.parameter.string(&text),
            Typed::Number => as_number(self.parameter, &text),
            Typed::Boolean => as_boolean(self.parameter, &text),
            Typed::Array(items) => {
                array_text = array(&text, items);
                match self.parameter.read(array_text.as_bytes()) {
                    Ok(json) => json,
                    Err(_) => return,
                }
            }
        };
        let mut checker = Checker::new(schemas, text.len());
        match checker.collect(parameter.schema, json.root(), &mut collector) {
            Ok(true) => {}
            Err(_) => self.parts.unjudged.push(UnjudgedReason::WorkLimit),
            Ok(false) => {
                let direction = self.direction;
                for violation in collector.into_violations(direction, location, name) {
                    self.push(violation);
                }
            }
        }
    }

    fn undeclared(&mut self, location: Location, name: &str, severity: Severity) {
        self.push(Violation {
            direction: self.direction,
            location,
            keyword: Keyword::Undeclared,
            severity,
            attribute: name.to_owned(),
            schema_path: "/parameters".to_owned(),
            expected: String::new(),
            occurrences: 1,
        });
    }

    /// A received name as it may be told: as it is when a contract has it, else hidden.
    fn known_name<'n>(&self, name: &'n str) -> &'n str {
        if self.contract.vocabulary().contains(name) { name } else { "*" }
    }
}

/// How the text of a parameter is to be read.
enum Typed {
    Text,
    Number,
    Boolean,
    /// Comma-separated; whether the elements are strings.
    Array(bool),
}

fn typed(schemas: &Schemas, id: SchemaId) -> Typed {
    let schema = resolved(schemas, id);
    let allows = |kind| schema.types.contains(kind);
    if allows(Kind::String) {
        Typed::Text
    } else if allows(Kind::Integer) {
        Typed::Number
    } else if allows(Kind::Boolean) {
        Typed::Boolean
    } else if allows(Kind::Array) {
        let items = schema.array.as_ref().and_then(|rules| rules.items);
        Typed::Array(
            items.is_none_or(|items| resolved(schemas, items).types.contains(Kind::String)),
        )
    } else {
        Typed::Text
    }
}

/// The schema that decides on the type: itself, or the only part of it.
fn resolved(schemas: &Schemas, id: SchemaId) -> &Schema {
    let schema = schemas.schema(id);
    match (schema.alias, schema.all_of()) {
        (Some(target), _) => schemas.schema(target),
        (None, [part]) if schema.types.contains(Kind::String) => schemas.schema(*part),
        _ => schema,
    }
}

/// A text that is no number stays a string, which the type of the schema refuses.
fn as_number<'a>(reader: &'a mut Reader, text: &'a str) -> Json<'a> {
    if Reader::is_number(text) { reader.number(text) } else { reader.string(text) }
}

fn as_boolean<'a>(reader: &'a mut Reader, text: &'a str) -> Json<'a> {
    if matches!(text, "true" | "false") { reader.boolean(text) } else { reader.string(text) }
}

/// Comma-separated elements as the text of a JSON array.
fn array(text: &str, of_strings: bool) -> String {
    let elements = text.split(',').map(|element| {
        if !of_strings && Reader::is_number(element) {
            element.to_owned()
        } else {
            serde_json::Value::from(element).to_string()
        }
    });
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

/// All field lines of a name as one value (RFC 9110, section 5.3).
fn header<'a>(headers: &'a Headers, name: &'a str) -> Option<Cow<'a, str>> {
    let mut values = headers.values(name).map(text);
    let first = values.next()?;
    match values.next() {
        None => Some(first),
        Some(second) => {
            let mut all = format!("{first}, {second}");
            for value in values {
                all.push_str(", ");
                all.push_str(&value);
            }
            Some(all.into())
        }
    }
}

/// Octets that are not UTF-8 are read as ISO-8859-1, as HTTP once said.
fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.iter().map(|octet| char::from(*octet)).collect::<String>().into(),
    }
}

fn cookie<'a>(headers: &'a Headers, name: &str) -> Option<Cow<'a, str>> {
    headers.values("cookie").find_map(|value| {
        std::str::from_utf8(value).ok()?.split(';').find_map(|pair| {
            let (known, value) = pair.trim().split_once('=')?;
            (known == name).then_some(Cow::Borrowed(value))
        })
    })
}

/// Names and values of a query, decoded (WHATWG URL, application/x-www-form-urlencoded).
fn pairs(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        decode(&spaced).map(Cow::into_owned).unwrap_or(spaced)
    };
    let decoded = |text| -> Cow<'_, str> {
        if str::contains(text, ['%', '+']) { decoded(text).into() } else { Cow::Borrowed(text) }
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_QUERY_PAIRS)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Repeated parameters as one comma-separated value: the form that arrays have.
fn joined<'a: 'b, 'b>(
    mut pairs: impl Iterator<Item = &'b (Cow<'a, str>, Cow<'a, str>)>,
) -> Option<Cow<'a, str>> {
    let (_, first) = pairs.next()?;
    let mut all = first.clone();
    for (_, value) in pairs {
        all.to_mut().push(',');
        all.to_mut().push_str(value);
    }
    Some(all)
}

/// Undeclared names that are looked at in one message.
const MAX_UNDECLARED: usize = 128;

/// Pairs of one query that are looked at: forms of pages have a dozen.
const MAX_QUERY_PAIRS: usize = 128;
