//! An operation of an API, and what its contract says of its messages.

use std::sync::Arc;

use crate::{media_type::MediaRange, schema::SchemaId};

/// One method of one path of one document.
#[derive(Debug)]
pub struct Operation {
    /// The document it is from.
    pub document: DocumentId,
    /// The method, in capitals.
    pub method: Arc<str>,
    /// Base path and path template, such as
    /// `/open-insurance/consents/v3/consents/{consentId}`.
    pub template: Arc<str>,
    /// `operationId`, when the document gives one.
    pub operation_id: Option<Arc<str>>,
    /// What the document says, as it was published.
    pub published: Arc<Rules>,
    /// What it says once its known defects are corrected; the same allocation when it has none.
    pub corrected: Arc<Rules>,
}

/// A document of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(pub(crate) u32);

/// An operation of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(pub(crate) u32);

impl OperationId {
    /// Position among the contract's operations.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What one reading of a document says of the messages of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Parameters of requests.
    pub parameters: Box<[Parameter]>,
    /// Body of requests; without one, none is declared.
    pub request_body: Option<RequestBody>,
    /// Responses, exact statuses first, then ranges, then `default`.
    pub responses: Box<[Response]>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Where it is.
    pub place: Place,
    /// Its name; header names in lower case.
    pub name: Arc<str>,
    /// Whether it must be there.
    pub required: bool,
    /// Of its value.
    pub schema: SchemaId,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A cookie.
    Cookie,
    /// A header field.
    Header,
    /// A segment of the path.
    Path,
    /// The query of the target.
    Query,
}

/// Body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBody {
    /// Whether it must be there.
    pub required: bool,
    /// Its forms.
    pub content: Box<[Media]>,
}

/// One form of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Which content it is for.
    pub range: MediaRange,
    /// Of the body, when the document gives one.
    pub schema: Option<SchemaId>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Which statuses it is for.
    pub status: Status,
    /// Its header fields.
    pub headers: Box<[Parameter]>,
    /// Its forms; empty when no body is declared.
    pub content: Box<[Media]>,
}

/// A key of `responses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// One status.
    Code(u16),
    /// All of one class, such as `4XX`.
    Class(u8),
    /// All that are not declared.
    Default,
}

impl Rules {
    /// The response that is declared for a status.
    #[must_use]
    pub fn response(&self, status: u16) -> Option<&Response> {
        self.responses.iter().find(|response| response.status.matches(status))
    }
}

impl Status {
    /// From a key of `responses`.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        if key == "default" {
            return Some(Self::Default);
        }
        if let Some(class) = key.strip_suffix("XX").or_else(|| key.strip_suffix("xx")) {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class);
        }
        key.parse().ok().filter(|code| (100..=599).contains(code)).map(Self::Code)
    }

    /// Whether it is for this status.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(class) => u16::from(class) == status / 100,
            Self::Default => true,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "{code}"),
            Self::Class(class) => write!(formatter, "{class}XX"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

impl Place {
    /// As OpenAPI writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
        }
    }

    /// From the word of OpenAPI.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Cookie, Self::Header, Self::Path, Self::Query]
            .into_iter()
            .find(|place| place.name() == name)
    }
}
