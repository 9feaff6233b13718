//! An OpenAPI 3.0 document as it was published: a tree, with its references not yet followed.
//!
//! Kept as a plain tree and not as typed structures, because real documents hold what typed
//! models refuse: a defect in one place must not cost the rest.

use serde_json::{Map, Value};
use thiserror::Error;

/// A document and what names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Name of the API: the file's name without its ending, such as `consents_v3`.
    pub name: String,
    /// `info.version`, such as `3.0.0`.
    pub version: String,
    /// The whole tree.
    pub tree: Value,
}

/// Why a text is no document.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// Longer than [`MAX_DOCUMENT_BYTES`].
    #[error("it is longer than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong,
    /// Neither YAML nor JSON.
    #[error("it is neither YAML nor JSON: {0}")]
    Syntax(String),
    /// Not OpenAPI 3.0.
    #[error("it is no OpenAPI 3.0 document: {0}")]
    NotOpenApi(&'static str),
}

/// Why a reference leads nowhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReferenceError {
    /// Only references into the same document are followed.
    #[error("the reference {0} does not point into the document")]
    External(String),
    /// Nothing is there.
    #[error("the reference {0} points to nothing")]
    Missing(String),
    /// It leads back to itself, or through more than [`MAX_REFERENCE_HOPS`] others.
    #[error("the reference {0} leads in a circle")]
    Circle(String),
}

impl Document {
    /// Reads YAML or JSON.
    pub fn parse(name: &str, text: &str) -> Result<Self, DocumentError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLong);
        }
        let tree: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| DocumentError::Syntax(error.to_string()))?
        } else {
            serde_saphyr::from_str(text)
                .map_err(|error| DocumentError::Syntax(first_line(&error.to_string())))?
        };
        Self::from_tree(name, tree)
    }

    /// Takes a tree that was read already.
    pub fn from_tree(name: &str, tree: Value) -> Result<Self, DocumentError> {
        let openapi = tree.get("openapi").and_then(Value::as_str);
        if !openapi.is_some_and(|version| version.starts_with("3.0")) {
            return Err(DocumentError::NotOpenApi("`openapi` is not 3.0.x"));
        }
        let version = match tree.pointer("/info/version") {
            Some(Value::String(version)) => version.clone(),
            Some(Value::Number(version)) => version.to_string(),
            _ => return Err(DocumentError::NotOpenApi("`info.version` is missing")),
        };
        if !tree.get("paths").is_some_and(Value::is_object) {
            return Err(DocumentError::NotOpenApi("`paths` is missing"));
        }
        Ok(Self { name: name.to_owned(), version, tree })
    }

    /// Follows `$ref` until something else is there.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> Result<&'a Value, ReferenceError> {
        let mut at = value;
        for _ in 0..MAX_REFERENCE_HOPS {
            let Some(reference) = at.get("$ref").and_then(Value::as_str) else { return Ok(at) };
            let pointer = reference
                .strip_prefix('#')
                .ok_or_else(|| ReferenceError::External(reference.to_owned()))?;
            at = self
                .tree
                .pointer(pointer)
                .ok_or_else(|| ReferenceError::Missing(reference.to_owned()))?;
        }
        Err(ReferenceError::Circle(value["$ref"].as_str().unwrap_or_default().to_owned()))
    }

    /// The object under this key of the root, when there is one.
    pub fn section(&self, key: &str) -> Option<&Map<String, Value>> {
        self.tree.get(key)?.as_object()
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Path of a server's URL, without scheme and host; `/` when it has none.
pub(crate) fn path_of_url(url: &str) -> &str {
    match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => url,
    }
}

/// The largest published document has 0.4 MB; this also bounds what a wrong path can cost.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// References to references; published documents have none.
pub const MAX_REFERENCE_HOPS: usize = 32;

/// A name as a token of a JSON Pointer (RFC 6901, section 3).
#[must_use]
pub fn escape_token(name: &str) -> std::borrow::Cow<'_, str> {
    if name.contains(['~', '/']) {
        name.replace('~', "~0").replace('/', "~1").into()
    } else {
        name.into()
    }
}
