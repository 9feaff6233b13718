//! Calls of every published operation, with secrets in every place of their messages.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::{calls::Call, runs::Run, secrets::Secrets};

/// How a body is made from its schema.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Strings are secrets, and every object has a secret member; what has a few allowed values
    /// gets one of them.
    Kept,
    /// The same, but every string and number is a secret.
    Values,
    /// Every value has another type than declared.
    Types,
    /// An object with one member only, whose name and value are secrets.
    Emptied,
    /// Not an object at all.
    Flat,
}

/// Calls of every published operation, with secrets in every place.
pub(crate) fn calls(secrets: &mut Secrets) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let listed = Run::of(["contracts", "list", "--json"], None)?.document()?;
    let base_path = |name: &Value| {
        let document = listed.as_array()?.iter().find(|document| document["name"] == *name)?;
        document["base_paths"][0].as_str().map(str::to_owned)
    };
    for line in PACK.lines().skip(1) {
        let document: Value = serde_json::from_str(line)?;
        let (name, tree) = (&document["name"], &document["openapi"]);
        let base_path = base_path(name).with_context(|| format!("no base path of {name}"))?;
        for (path, methods) in tree["paths"].as_object().context("paths")? {
            for (method, operation) in methods.as_object().context("methods")? {
                if operation["responses"].is_null() {
                    continue;
                }
                let template = format!("{base_path}{path}");
                let made = Made { tree, operation, template, method: method.to_uppercase() };
                for shape in [Shape::Kept, Shape::Values, Shape::Types, Shape::Emptied, Shape::Flat]
                {
                    calls.push(made.call(shape, secrets)?);
                }
            }
        }
    }
    Ok(calls)
}

/// An operation that calls are made of.
struct Made<'a> {
    tree: &'a Value,
    operation: &'a Value,
    template: String,
    method: String,
}

impl Made<'_> {
    fn call(&self, shape: Shape, secrets: &mut Secrets) -> Result<Call> {
        let responses = self.operation["responses"].as_object().context("responses")?;
        // An error for some shapes, what is wanted for the others.
        let is_error = matches!(shape, Shape::Emptied);
        let status = responses
            .keys()
            .find(|status| status.starts_with(if is_error { '4' } else { '2' }))
            .or_else(|| responses.keys().next())
            .context("a response")?;
        let response = self.resolve(&responses[status]);
        let request = self.body(self.resolve(&self.operation["requestBody"]), shape, secrets);
        let answer = self.body(response, shape, secrets);
        let mut call = Call::with(
            &self.method,
            &self.target(shape, secrets),
            &request,
            status.parse().unwrap_or(500),
            &answer,
        );
        for parameter in self.operation["parameters"].as_array().into_iter().flatten() {
            let parameter = self.resolve(parameter);
            if parameter["in"] == "header" {
                let name = parameter["name"].as_str().context("a name")?.to_lowercase();
                let value = if is_shown(&name) { secrets.shown() } else { secrets.word() };
                call.request.set(&name, &value);
            }
        }
        for (name, value) in [
            ("authorization", format!("Bearer {}", secrets.word())),
            ("cookie", format!("a={}; {}={}", secrets.word(), secrets.word(), secrets.word())),
            ("user-agent", secrets.word()),
            ("referer", format!("https://{}.example/{}", secrets.word(), secrets.digits())),
            ("x-forwarded-for", secrets.word()),
            ("forwarded", format!("for={}", secrets.word())),
            ("x-fapi-customer-ip-address", secrets.digits()),
            ("from", format!("{0}@{0}.example", secrets.word())),
            ("host", format!("{}.example", secrets.shown())),
            ("accept-language", secrets.shown()),
        ] {
            call.request.set(name, &value);
        }
        call.request.set(&format!("x-{}", secrets.shown()), &secrets.word());
        for (name, value) in [
            ("set-cookie", format!("{}={}; Secure", secrets.word(), secrets.word())),
            ("location", format!("/{}?{}", secrets.word(), secrets.digits())),
            ("etag", format!("\"{}\"", secrets.word())),
            ("www-authenticate", format!("Bearer error=\"{}\"", secrets.word())),
            ("link", format!("<{}>", secrets.word())),
            ("server", secrets.shown()),
            ("x-v", secrets.word()),
        ] {
            call.response.set(name, &value);
        }
        if matches!(shape, Shape::Flat) {
            call.response.set("content-type", &format!("application/{}", secrets.shown()));
        }
        Ok(call)
    }

    fn target(&self, shape: Shape, secrets: &mut Secrets) -> String {
        let segments: Vec<String> = self
            .template
            .split('/')
            .map(|segment| match (segment.starts_with('{'), shape) {
                (false, _) => segment.to_owned(),
                (true, Shape::Kept) => secrets.digits(),
                (true, Shape::Types) => format!("{}%40{}", secrets.word(), secrets.word()),
                (true, Shape::Flat) => format!("urn:participante:{}", secrets.shown()),
                (true, _) => secrets.shown(),
            })
            .collect();
        let mut query = Vec::new();
        for parameter in self.operation["parameters"].as_array().into_iter().flatten() {
            let parameter = self.resolve(parameter);
            if let ("query", Some(name)) =
                (parameter["in"].as_str().unwrap_or_default(), parameter["name"].as_str())
            {
                query.push(format!("{name}={}", secrets.word()));
            }
        }
        query.push(format!("{}={}", secrets.shown(), secrets.word()));
        query.push(format!("cpfNumber={}", secrets.digits()));
        // Without a name it may be a value.
        query.push(secrets.word());
        format!("{}?{}", segments.join("/"), query.join("&"))
    }

    /// A body by the first schema of JSON, or `null` where there is none.
    fn body(&self, declared: &Value, shape: Shape, secrets: &mut Secrets) -> Value {
        let Some(content) = declared["content"].as_object() else { return Value::Null };
        let Some(media) = content.values().find(|media| !media["schema"].is_null()) else {
            return Value::Null;
        };
        match shape {
            Shape::Emptied => json!({ secrets.word(): secrets.word() }),
            Shape::Flat => json!([secrets.word(), { secrets.word(): secrets.digits() }]),
            shape => self.value(&media["schema"], shape, secrets, 0),
        }
    }

    fn value(&self, schema: &Value, shape: Shape, secrets: &mut Secrets, depth: usize) -> Value {
        let schema = self.resolve(schema);
        if depth > MAX_DEPTH {
            return secrets.word().into();
        }
        for alternatives in ["oneOf", "anyOf"] {
            if let Some(first) = schema[alternatives].get(0) {
                if matches!(shape, Shape::Types) {
                    return secrets.word().into();
                }
                return self.value(first, shape, secrets, depth + 1);
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut all = Map::new();
            for part in parts {
                match self.value(part, shape, secrets, depth + 1) {
                    Value::Object(members) => all.extend(members),
                    other => return other,
                }
            }
            return all.into();
        }
        let wrong = matches!(shape, Shape::Types);
        let kept = matches!(shape, Shape::Kept);
        match schema["type"].as_str() {
            Some("array") => {
                let mut element = || self.value(&schema["items"], shape, secrets, depth + 1);
                json!([element(), element()])
            }
            Some("integer" | "number") if wrong => secrets.word().into(),
            Some("integer" | "number") => json!(secrets.digits().parse::<u64>().unwrap_or(0)),
            Some("boolean") => {
                if wrong {
                    secrets.word().into()
                } else {
                    true.into()
                }
            }
            Some("string") if wrong => json!({ secrets.word(): [secrets.digits()] }),
            Some("string") if kept && schema["enum"][0].is_string() => schema["enum"][0].clone(),
            Some("string") if kept && schema["pattern"].is_null() && schema["format"].is_null() => {
                secrets.word().into()
            }
            Some("string") if kept => secrets.digits().into(),
            Some("string") => secrets.word().into(),
            _ => {
                let mut members = Map::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    members.insert(name.clone(), self.value(property, shape, secrets, depth + 1));
                }
                members.insert(secrets.word(), secrets.word().into());
                members.into()
            }
        }
    }

    fn resolve<'t>(&'t self, mut node: &'t Value) -> &'t Value {
        while let Some(target) = node["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.tree.pointer(pointer))
        {
            node = target;
        }
        node
    }
}

/// Whether records of kind `exchange` show the value of a field.
fn is_shown(name: &str) -> bool {
    [
        "accept",
        "cache-control",
        "content-security-policy",
        "content-type",
        "strict-transport-security",
        "x-content-type-options",
        "x-fapi-interaction-id",
        "x-frame-options",
    ]
    .contains(&name)
}

const PACK: &str = include_str!("../../../rules/opin/contracts/opin.contracts.jsonl");

/// The deepest published schema has 29 levels.
const MAX_DEPTH: usize = 40;
