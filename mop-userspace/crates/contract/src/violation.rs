//! What is wrong with a message, told without any of its values.
//!
//! Every word of a violation comes from the contract: names of attributes and headers, types,
//! patterns, enumerations. Positions in arrays are numbers. A received name that no contract has
//! is written `*`, since a name can be personal data as well as a value.

use std::{fmt, fmt::Write as _, sync::Arc};

/// One defect of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which message.
    pub direction: Direction,
    /// Which part of it, and what of that part.
    pub location: Location,
    /// The rule that is broken.
    pub keyword: Keyword,
    /// How much it matters.
    pub severity: Severity,
    /// The attribute without positions in arrays, such as `data.permissions`; for headers and
    /// parameters, their name.
    pub attribute: String,
    /// Where the rule is, from the schema of the part down, references followed:
    /// `/properties/data/properties/status/enum`.
    pub schema_path: String,
    /// What would have been right, in the contract's words.
    pub expected: String,
    /// How often: the same rule broken by several elements of an array is told once, with the
    /// location of the first.
    pub occurrences: u32,
}

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// The part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// A place in the body: a JSON Pointer, empty for the whole.
    Body(String),
    /// The `Content-Type`.
    ContentType,
    /// A cookie.
    Cookie(Arc<str>),
    /// A header field.
    Header(Arc<str>),
    /// A segment of the path.
    Path(Arc<str>),
    /// A parameter of the query.
    Query(Arc<str>),
    /// The status.
    Status,
}

/// How much a violation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Against a recommendation, or something that contracts leave open.
    Warning,
    /// Against the contract.
    Error,
}

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Keyword {
    /// An undeclared property where only declared ones may be.
    AdditionalProperties,
    /// Matches no alternative.
    AnyOf,
    /// Not a member of the enumeration.
    Enum,
    /// Not of the format.
    Format,
    /// More elements than allowed.
    MaxItems,
    /// More characters than allowed.
    MaxLength,
    /// More properties than allowed.
    MaxProperties,
    /// Above the maximum.
    Maximum,
    /// Fewer elements than wanted.
    MinItems,
    /// Fewer characters than wanted.
    MinLength,
    /// Fewer properties than wanted.
    MinProperties,
    /// Below the minimum.
    Minimum,
    /// Not a multiple.
    MultipleOf,
    /// Matches what it must not.
    Not,
    /// Not JSON where JSON is declared.
    NotJson,
    /// Matches no alternative, or more than one.
    OneOf,
    /// Does not match the pattern.
    Pattern,
    /// Not there.
    Required,
    /// Of another type.
    Type,
    /// There, but not declared.
    Undeclared,
    /// The same element twice.
    UniqueItems,
}

impl Violation {
    /// Stable code: part and rule, such as `body.required` or `header.pattern`.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{}.{}", self.location.part(), self.keyword.code())
    }

    /// A sentence for people, in English, without any value.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = match &self.location {
            Location::Body(_) if self.attribute.is_empty() => "the body".to_owned(),
            Location::Body(_) => format!("attribute `{}`", self.attribute),
            Location::ContentType => "the content type".to_owned(),
            Location::Cookie(name) => format!("cookie `{name}`"),
            Location::Header(name) => format!("header `{name}`"),
            Location::Path(name) => format!("path parameter `{name}`"),
            Location::Query(name) => format!("query parameter `{name}`"),
            Location::Status => "the status".to_owned(),
        };
        let problem = self.keyword.problem();
        // What is missing or no JSON says by that what was expected.
        let says_it = matches!(self.keyword, Keyword::NotJson | Keyword::Required);
        if self.expected.is_empty() || says_it {
            format!("{what} {problem}")
        } else {
            format!("{what} {problem}: {}", self.expected)
        }
    }
}

impl Location {
    /// Name of the part, which begins the code.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        match self {
            Self::Body(_) => "body",
            Self::ContentType => "content_type",
            Self::Cookie(_) => "cookie",
            Self::Header(_) => "header",
            Self::Path(_) => "path",
            Self::Query(_) => "query",
            Self::Status => "status",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.part())?;
        match self {
            Self::Body(rest) => write!(formatter, ":{rest}"),
            Self::Cookie(rest) | Self::Header(rest) | Self::Path(rest) | Self::Query(rest) => {
                write!(formatter, ":{rest}")
            }
            Self::ContentType | Self::Status => Ok(()),
        }
    }
}

impl Direction {
    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

impl Severity {
    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Keyword {
    /// Every rule, in the order of codes.
    pub const ALL: [Self; 21] = [
        Self::AdditionalProperties,
        Self::AnyOf,
        Self::Enum,
        Self::Format,
        Self::MaxItems,
        Self::MaxLength,
        Self::MaxProperties,
        Self::Maximum,
        Self::MinItems,
        Self::MinLength,
        Self::MinProperties,
        Self::Minimum,
        Self::MultipleOf,
        Self::Not,
        Self::NotJson,
        Self::OneOf,
        Self::Pattern,
        Self::Required,
        Self::Type,
        Self::Undeclared,
        Self::UniqueItems,
    ];

    /// The word of JSON Schema, or our own where it has none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// Ends the code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.words().1
    }

    /// What is wrong, to follow the name of the attribute.
    #[must_use]
    pub const fn problem(self) -> &'static str {
        self.words().2
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::AdditionalProperties => (
                "additionalProperties",
                "additional_properties",
                "has attributes that are not declared",
            ),
            Self::AnyOf => ("anyOf", "any_of", "matches none of its alternatives"),
            Self::Enum => ("enum", "enum", "is none of the allowed values"),
            Self::Format => ("format", "format", "does not have its format"),
            Self::MaxItems => ("maxItems", "max_items", "has too many elements"),
            Self::MaxLength => ("maxLength", "max_length", "is too long"),
            Self::MaxProperties => ("maxProperties", "max_properties", "has too many attributes"),
            Self::Maximum => ("maximum", "maximum", "is too large"),
            Self::MinItems => ("minItems", "min_items", "has too few elements"),
            Self::MinLength => ("minLength", "min_length", "is too short"),
            Self::MinProperties => ("minProperties", "min_properties", "has too few attributes"),
            Self::Minimum => ("minimum", "minimum", "is too small"),
            Self::MultipleOf => ("multipleOf", "multiple_of", "is no multiple"),
            Self::Not => ("not", "not", "matches what it must not"),
            Self::NotJson => ("json", "not_json", "is not JSON"),
            Self::OneOf => ("oneOf", "one_of", "does not match exactly one of its alternatives"),
            Self::Pattern => ("pattern", "pattern", "does not match its pattern"),
            Self::Required => ("required", "required", "is required and missing"),
            Self::Type => ("type", "type", "has the wrong type"),
            Self::Undeclared => ("undeclared", "undeclared", "is not declared"),
            Self::UniqueItems => ("uniqueItems", "unique_items", "has an element twice"),
        }
    }
}

/// Appends a list of words, at most `most` of them.
pub(crate) fn list<'a>(words: impl ExactSizeIterator<Item = &'a str>, most: usize) -> String {
    let count = words.len();
    let mut text = String::new();
    for (place, word) in words.take(most).enumerate() {
        let _ = write!(text, "{}{word}", if place == 0 { "" } else { ", " });
    }
    if count > most {
        let _ = write!(text, ", and {} more", count - most);
    }
    text
}
