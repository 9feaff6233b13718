//! What is wrong with a configuration: where, and what would be right. Never the value itself,
//! which may be a secret.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::tree::Origin;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The keys that lead to it.
    path: Vec<String>,
    /// Where it stands; `None` for what stands nowhere.
    origin: Option<Origin>,
    kind: ProblemKind,
}

#[derive(Clone, Debug)]
enum ProblemKind {
    /// A required key of the table is missing.
    Missing(&'static str),
    /// The key has no meaning; these have.
    Unknown { known: &'static [&'static str] },
    /// Anything else, in words.
    Wrong(String),
}

impl Problem {
    /// A value that means nothing sensible: `key` is the way to it, such as `outbox.max_mib`.
    pub(crate) fn new(key: &str, text: impl Display) -> Self {
        Self {
            path: key.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            origin: None,
            kind: ProblemKind::Wrong(text.to_string()),
        }
    }

    /// Says where it stands, unless that is known already.
    pub(super) fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Says that it lies inside this key.
    pub(super) fn within(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    /// The required key that the table at the path misses.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.kind {
            ProblemKind::Missing(key) => Some(key),
            ProblemKind::Unknown { .. } | ProblemKind::Wrong(_) => None,
        }
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, origin, kind } = self;
        if let Some(origin) = origin {
            write!(formatter, "{origin}: ")?;
        }
        let key = shown(&path.join("."));
        match kind {
            ProblemKind::Missing(missing) if key.is_empty() => {
                write!(formatter, "the key `{missing}` is missing")
            }
            ProblemKind::Missing(missing) => {
                write!(formatter, "[{key}] must have the key `{missing}`")
            }
            ProblemKind::Unknown { known } => {
                write!(formatter, "there is no key `{key}`")?;
                let last = path.last().map_or("", String::as_str);
                match suggestion(last, known) {
                    Some(meant) => write!(formatter, "; did you mean `{meant}`?"),
                    None if known.is_empty() => Ok(()),
                    None => write!(formatter, "; here belong: {}", known.join(", ")),
                }
            }
            ProblemKind::Wrong(text) if key.is_empty() => formatter.write_str(text),
            ProblemKind::Wrong(text) => write!(formatter, "`{key}`: {text}"),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: Display>(text: T) -> Self {
        Self::new("", text)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("", format_args!("{} is wanted, not {}", wanted(expected), kind(unexpected)))
    }

    fn invalid_value(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("", format_args!("{} is wanted", wanted(expected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new("", format_args!("{expected} is wanted, not {length} values"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let one_of = known.join(", ");
        match suggestion(variant, known) {
            Some(meant) => {
                Self::new("", format_args!("one of {one_of} is wanted; did you mean `{meant}`?"))
            }
            None => Self::new("", format_args!("one of {one_of} is wanted")),
        }
    }

    fn unknown_field(_field: &str, known: &'static [&'static str]) -> Self {
        Self { path: Vec::new(), origin: None, kind: ProblemKind::Unknown { known } }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: Vec::new(), origin: None, kind: ProblemKind::Missing(field) }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("", format_args!("`{field}` stands twice"))
    }
}

/// The known name that was probably meant.
fn suggestion(name: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let name: String = name.chars().take(MAX_SHOWN).collect::<String>().replace('-', "_");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known), *known))
        .filter(|(distance, known)| *distance <= MAX_EDITS.min(known.len() / 2))
        .min()
        .map(|(_, known)| known)
        .or_else(|| known.iter().copied().find(|known| is_part(&name, known)))
}

/// `folder` for `outbox_folder`, and the other way round.
fn is_part(name: &str, known: &str) -> bool {
    name.len() >= MIN_PART
        && known.len() >= MIN_PART
        && (known.contains(name) || name.contains(known))
}

/// A key that may be anything, as it can be printed.
fn shown(key: &str) -> String {
    let mut text: String = key.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if key.chars().nth(MAX_SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// What a type expects, where serde only says the name of the type.
fn wanted(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let most = match expected.as_str() {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" | "a nonzero u64" | "a nonzero usize" => {
            return "a whole number that is not negative".to_owned();
        }
        "a boolean" => return "true or false".to_owned(),
        "a string" | "path string" => return "text in quotes".to_owned(),
        "a sequence" => return "a list".to_owned(),
        _ => return expected,
    };
    format!("a whole number from 0 to {most}")
}

/// The kind of a value, without the value.
fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        Unexpected::Enum | Unexpected::UnitVariant => "a word",
        _ => "this",
    }
}

/// Keys are much shorter; beyond it a message is no longer one line.
const MAX_SHOWN: usize = 100;

/// Two slips and a wrong unit, as in `max_gb` for `max_mib`; more is another word.
const MAX_EDITS: usize = 3;

/// Shorter parts are in too many names.
const MIN_PART: usize = 3;
