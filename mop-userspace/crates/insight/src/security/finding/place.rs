//! Where in a call something was noticed: a part of it, and the name of a field.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A place in a message: its part and, where there is one, the name of a field. Names are hostile,
/// too: one that could hold a value is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    part: Part,
    name: Option<String>,
}

/// A part of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Certificate of the client.
    Certificate,
    /// The connection: protocol, cipher, addresses.
    Connection,
    /// A cookie.
    Cookie,
    /// The path.
    Path,
    /// The query.
    Query,
    /// The body of the request.
    RequestBody,
    /// A field of the request.
    RequestHeader,
    /// The body of the response.
    ResponseBody,
    /// A field of the response.
    ResponseHeader,
    /// A claim or header of a token.
    Token,
}

impl Place {
    /// A part as a whole.
    #[must_use]
    pub const fn whole(part: Part) -> Self {
        Self { part, name: None }
    }

    /// A field of a part: `user-agent`, `data/items/*/name`. A name that is longer than
    /// [`MAX_PLACE_BYTES`], has other characters than names have, or so many digits that it could
    /// be a number of a person, is left out.
    #[must_use]
    pub fn field(part: Part, name: &str) -> Self {
        Self { part, name: is_name(name).then(|| name.to_owned()) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (part, name) = match text.split_once(':') {
            Some((part, name)) => (part, Some(name)),
            None => (text, None),
        };
        let part = Part::ALL.into_iter().find(|it| it.name() == part)?;
        match name {
            Some(name) => is_name(name).then(|| Self::field(part, name)),
            None => Some(Self::whole(part)),
        }
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Certificate,
        Self::Connection,
        Self::Cookie,
        Self::Path,
        Self::Query,
        Self::RequestBody,
        Self::RequestHeader,
        Self::ResponseBody,
        Self::ResponseHeader,
        Self::Token,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Connection => "connection",
            Self::Cookie => "cookie",
            Self::Path => "path",
            Self::Query => "query",
            Self::RequestBody => "request.body",
            Self::RequestHeader => "request.header",
            Self::ResponseBody => "response.body",
            Self::ResponseHeader => "response.header",
            Self::Token => "token",
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.name {
            Some(name) => serializer.collect_str(&format_args!("{}:{name}", self.part.name())),
            None => serializer.serialize_str(self.part.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a place"))
    }
}

fn is_name(name: &str) -> bool {
    let is_character = |it: u8| it.is_ascii_alphanumeric() || b"-_./*[]$".contains(&it);
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    !name.is_empty()
        && name.len() <= MAX_PLACE_BYTES
        && name.bytes().all(is_character)
        && digits <= MAX_PLACE_DIGITS
}

/// Paths in bodies of the contracts have at most some 100 characters.
pub const MAX_PLACE_BYTES: usize = 128;
/// A CPF has 11 digits, a telephone number 8 or more; no field of a contract has more than 3.
const MAX_PLACE_DIGITS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_hold_a_value_are_left_out() {
        let written = |name: &str| serde_json::to_string(&Place::field(Part::Query, name)).unwrap();
        assert_eq!(written("page-size"), r#""query:page-size""#);
        assert_eq!(written("data/items/*/v2"), r#""query:data/items/*/v2""#);
        let long = "a".repeat(MAX_PLACE_BYTES + 1);
        for hostile in ["", "52998224725", "529.982.247-25", "a@b.example", "Ana Lima", "ã", &long]
        {
            assert_eq!(written(hostile), r#""query""#, "{hostile}");
        }
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for part in Part::ALL {
            for place in [Place::whole(part), Place::field(part, "name")] {
                let text = serde_json::to_string(&place).unwrap();
                assert_eq!(serde_json::from_str::<Place>(&text).unwrap(), place);
            }
        }
        for wrong in ["\"body\"", "\"query:\"", "\"query:52998224725\"", "1"] {
            assert!(serde_json::from_str::<Place>(wrong).is_err());
        }
    }
}
