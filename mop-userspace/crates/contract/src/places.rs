//! Where in a document the schemas, parameters, bodies and responses stand.
//!
//! A place is a JSON pointer and not a borrowed node, so that one list serves both the reader of a
//! tree and the one who changes it. Order is the order of the document's own walk, which is
//! deterministic: maps of the tree are sorted by key or keep their order, lists keep theirs.

use serde_json::Value;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A header of a response (`headers`).
    Header,
    /// An entry of `content`.
    MediaType,
    /// An operation of a path.
    Operation,
    /// A parameter of a request.
    Parameter,
    /// A body of a request.
    RequestBody,
    /// A response.
    Response,
    /// A schema, or a reference to one.
    Schema,
}

/// One place of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What stands there.
    pub(crate) kind: Kind,
    /// Where, from the root.
    pub(crate) pointer: String,
    /// The last step that names something: a property, a component, a status, a media type.
    pub(crate) name: String,
}

/// Every place of a document, and how many were beyond [`MAX_DEPTH`] or [`MAX_PLACES`].
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// In the order of the walk.
    pub(crate) found: Vec<Place>,
    /// Subtrees that were not entered.
    pub(crate) omitted: usize,
}

impl Places {
    /// Walks the components and the paths.
    pub(crate) fn of(tree: &Value) -> Self {
        let mut places = Self::default();
        for (section, kind) in COMPONENTS {
            let at = format!("/components/{section}");
            places.each(tree.pointer(&at), &at, |places, node, pointer, name| {
                places.enter(node, kind, pointer, name, 0);
            });
        }
        places.each(tree.get("paths"), "/paths", |places, item, pointer, _| {
            places.path_item(item, &pointer);
        });
        places
    }

    /// The places of one kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Place> {
        self.found.iter().filter(move |place| place.kind == kind)
    }

    fn path_item(&mut self, item: &Value, at: &str) {
        self.list(item, "parameters", Kind::Parameter, at, 0);
        for method in METHODS {
            if let Some(operation) = item.get(method).filter(|operation| operation.is_object()) {
                self.enter(operation, Kind::Operation, format!("{at}/{method}"), method, 0);
            }
        }
    }

    fn enter(&mut self, node: &Value, kind: Kind, pointer: String, name: &str, depth: usize) {
        if depth > MAX_DEPTH || self.found.len() >= MAX_PLACES {
            self.omitted += 1;
            return;
        }
        let at = pointer.clone();
        self.found.push(Place { kind, pointer, name: name.to_owned() });
        if node.get("$ref").is_some_and(Value::is_string) {
            return;
        }
        let below = depth + 1;
        match kind {
            Kind::Operation => {
                self.list(node, "parameters", Kind::Parameter, &at, below);
                self.single(node, "requestBody", Kind::RequestBody, &at, below);
                self.named(node, "responses", Kind::Response, &at, below);
            }
            Kind::RequestBody => self.named(node, "content", Kind::MediaType, &at, below),
            Kind::Response => {
                self.named(node, "headers", Kind::Header, &at, below);
                self.named(node, "content", Kind::MediaType, &at, below);
            }
            Kind::Header | Kind::Parameter => {
                self.single(node, "schema", Kind::Schema, &at, below);
                self.named(node, "content", Kind::MediaType, &at, below);
            }
            Kind::MediaType => self.single(node, "schema", Kind::Schema, &at, below),
            Kind::Schema => {
                self.named(node, "properties", Kind::Schema, &at, below);
                for keyword in ["items", "additionalProperties", "not"] {
                    self.single(node, keyword, Kind::Schema, &at, below);
                }
                for keyword in ["allOf", "anyOf", "oneOf"] {
                    self.list(node, keyword, Kind::Schema, &at, below);
                }
            }
        }
    }

    fn single(&mut self, node: &Value, key: &str, kind: Kind, at: &str, depth: usize) {
        if let Some(child) = node.get(key).filter(|child| child.is_object()) {
            self.enter(child, kind, format!("{at}/{key}"), key, depth);
        }
    }

    fn named(&mut self, node: &Value, key: &str, kind: Kind, at: &str, depth: usize) {
        self.each(node.get(key), &format!("{at}/{key}"), |places, child, pointer, name| {
            places.enter(child, kind, pointer, name, depth);
        });
    }

    fn list(&mut self, node: &Value, key: &str, kind: Kind, at: &str, depth: usize) {
        for (index, child) in
            node.get(key).and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            if child.is_object() {
                self.enter(child, kind, format!("{at}/{key}/{index}"), key, depth);
            }
        }
    }

    fn each(
        &mut self,
        node: Option<&Value>,
        at: &str,
        mut visit: impl FnMut(&mut Self, &Value, String, &str),
    ) {
        for (name, child) in node.and_then(Value::as_object).into_iter().flatten() {
            if child.is_object() {
                visit(self, child, format!("{at}/{}", escape(name)), name);
            }
        }
    }
}

/// A key as a step of a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The methods an operation of OpenAPI 3.0 can have.
pub(crate) const METHODS: [&str; 8] =
    ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

/// Sections of `components`, and what their entries are.
const COMPONENTS: [(&str, Kind); 5] = [
    ("headers", Kind::Header),
    ("parameters", Kind::Parameter),
    ("requestBodies", Kind::RequestBody),
    ("responses", Kind::Response),
    ("schemas", Kind::Schema),
];

/// Levels of schemas within schemas; published documents stay below 20 between references.
const MAX_DEPTH: usize = 64;

/// Places of one document; the largest published one has fewer than 6 000.
const MAX_PLACES: usize = 200_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, Places};

    #[test]
    fn every_schema_of_a_document_has_a_place() {
        let tree = json!({
            "components": {"schemas": {"A": {"properties": {"b/c": {"items": {"allOf": [{}]}}}}}},
            "paths": {"/a": {
                "parameters": [{"name": "x", "in": "header", "schema": {}}],
                "get": {"responses": {"200": {"content": {"application/json": {"schema": {}}}}}}
            }}
        });
        let places = Places::of(&tree);
        let pointers: Vec<_> =
            places.of_kind(Kind::Schema).map(|place| place.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/components/schemas/A",
                "/components/schemas/A/properties/b~1c",
                "/components/schemas/A/properties/b~1c/items",
                "/components/schemas/A/properties/b~1c/items/allOf/0",
                "/paths/~1a/parameters/0/schema",
                "/paths/~1a/get/responses/200/content/application~1json/schema",
            ]
        );
        assert!(pointers.iter().all(|pointer| tree.pointer(pointer).is_some()));
    }

    #[test]
    fn what_is_too_deep_is_counted() {
        let mut schema = json!({"type": "string"});
        for _ in 0..200 {
            schema = json!({"items": schema});
        }
        let places = Places::of(&json!({"components": {"schemas": {"A": schema}}}));
        assert_eq!(places.omitted, 1);
    }
}
