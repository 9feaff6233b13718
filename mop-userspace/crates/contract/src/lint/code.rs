//! The classes of defects: their stable names, how much they weigh, and what can be done.

use std::fmt::{Display, Formatter};

/// Class of a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Two branches of a `oneOf` that one instance may satisfy.
    AmbiguousOneOf,
    /// A list that says nothing of its items.
    ArrayWithoutItems,
    /// An `enum` member that is empty or has spaces around it.
    BlankEnumMember,
    /// A body under a status that has none.
    BodyOnEmptyStatus,
    /// A closed object under `allOf` that refuses what the rest of it declares.
    ClosedUnderAllOf,
    /// A lower bound above the upper one.
    ContradictoryBounds,
    /// A pattern for `date-time` that refuses regular times.
    DateTimePatternTooNarrow,
    /// A `default` that its own schema refuses.
    DefaultBreaksSchema,
    /// The same member twice in an `enum`.
    DuplicateEnumMember,
    /// The same `operationId` twice.
    DuplicateOperationId,
    /// An `enum` member that its own schema refuses.
    EnumMemberBreaksSchema,
    /// An example that its own schema refuses.
    ExampleBreaksSchema,
    /// A header that may be no longer than its usual values are.
    HeaderLengthBelowUsualValues,
    /// A keyword or format that has no effect on the declared type.
    KeywordOfAnotherType,
    /// A `maxLength` that regular values of the format exceed.
    LengthTooShortForFormat,
    /// A media type with parameters as a key.
    MediaTypeWithParameters,
    /// A pattern for names that refuses letters and marks of Portuguese names.
    NamePatternTooNarrow,
    /// Parts of the document that were not searched.
    NotSearched,
    /// A body that may be absent by omission of `required`.
    OptionalRequestBody,
    /// A parameter of the template that is not declared.
    PathParameterNotDeclared,
    /// A declared path parameter that the template does not have.
    PathParameterNotInTemplate,
    /// A pattern that no engine compiles.
    PatternDoesNotCompile,
    /// A pattern that only a backtracking engine compiles.
    PatternNeedsBacktracking,
    /// A demanded property that is not declared.
    RequiredNotDeclared,
    /// A mandatory request header that only servers send.
    ResponseHeaderInRequest,
    /// Anchors that hold for some alternatives of a pattern only.
    UnanchoredAlternation,
    /// A format that has no known meaning.
    UnknownFormat,
    /// A reference that leads nowhere.
    UnresolvableReference,
}

/// What a defect does to the judgement of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Correct messages are refused, or cannot be judged.
    Error,
    /// Something is not checked, or not as it reads.
    Warning,
    /// Messages are judged as they should be.
    Note,
}

impl Code {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// How much it weighs.
    pub fn severity(self) -> Severity {
        self.facts().1
    }

    /// What can be done.
    pub fn remedy(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, Severity, &'static str) {
        use Severity::{Error, Note, Warning};
        match self {
            Self::AmbiguousOneOf => (
                "ambiguous-one-of",
                Error,
                "read it as anyOf, or give the branches a distinguishing mandatory property",
            ),
            Self::ArrayWithoutItems => ("array-without-items", Warning, "declare the items"),
            Self::BlankEnumMember => {
                ("blank-enum-member", Error, "remove the spaces or the empty member")
            }
            Self::BodyOnEmptyStatus => {
                ("body-on-empty-status", Error, "remove the content of this status")
            }
            Self::ClosedUnderAllOf => {
                ("closed-under-all-of", Error, "close the whole and not its part")
            }
            Self::ContradictoryBounds => {
                ("contradictory-bounds", Error, "exchange or correct the bounds")
            }
            Self::DateTimePatternTooNarrow => (
                "date-time-pattern-too-narrow",
                Error,
                "let the pattern accept a fraction of a second",
            ),
            Self::DefaultBreaksSchema => ("default-breaks-schema", Warning, "correct the default"),
            Self::DuplicateEnumMember => ("duplicate-enum-member", Note, "remove one of them"),
            Self::DuplicateOperationId => {
                ("duplicate-operation-id", Note, "give each operation its own")
            }
            Self::EnumMemberBreaksSchema => {
                ("enum-member-breaks-schema", Error, "correct the member or the rule it breaks")
            }
            Self::ExampleBreaksSchema => (
                "example-breaks-schema",
                Warning,
                "find out which of the two is meant, and correct the other",
            ),
            Self::HeaderLengthBelowUsualValues => {
                ("header-length-below-usual-values", Error, "raise the maximum length")
            }
            Self::KeywordOfAnotherType => {
                ("keyword-of-another-type", Warning, "remove the keyword, or correct the type")
            }
            Self::LengthTooShortForFormat => (
                "length-too-short-for-format",
                Error,
                "raise the maximum length to that of the format",
            ),
            Self::MediaTypeWithParameters => {
                ("media-type-with-parameters", Note, "compare media types without their parameters")
            }
            Self::NamePatternTooNarrow => (
                "name-pattern-too-narrow",
                Error,
                "let the pattern accept every letter, apostrophe and hyphen",
            ),
            Self::NotSearched => ("not-searched", Warning, "split the document"),
            Self::OptionalRequestBody => (
                "optional-request-body",
                Note,
                "set `required: true` where a request without body makes no sense",
            ),
            Self::PathParameterNotDeclared => {
                ("path-parameter-not-declared", Warning, "declare the parameter")
            }
            Self::PathParameterNotInTemplate => (
                "path-parameter-not-in-template",
                Error,
                "remove the parameter, or name it in the template",
            ),
            Self::PatternDoesNotCompile => {
                ("pattern-does-not-compile", Error, "correct the pattern")
            }
            Self::PatternNeedsBacktracking => {
                ("pattern-needs-backtracking", Warning, "write the pattern without look-around")
            }
            Self::RequiredNotDeclared => {
                ("required-not-declared", Error, "declare the property, or do not demand it")
            }
            Self::ResponseHeaderInRequest => {
                ("response-header-in-request", Error, "declare the header on the responses")
            }
            Self::UnanchoredAlternation => (
                "unanchored-alternation",
                Warning,
                "put the alternatives in a group, between the anchors",
            ),
            Self::UnknownFormat => {
                ("unknown-format", Note, "add a pattern, for the format is not checked")
            }
            Self::UnresolvableReference => {
                ("unresolvable-reference", Error, "correct the reference")
            }
        }
    }
}

impl Display for Code {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
