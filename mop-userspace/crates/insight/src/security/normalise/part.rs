//! The parts of an exchange that its caller controls, and what the answer shows.
//!
//! Values are given as they stand on the wire, except that content codings are taken off bodies and
//! escapes off JSON strings; [`super::chain`] decodes them further. Of the response only status,
//! fields and the body as a whole are given: they may leak, not attack.

mod body;
mod form;
mod multipart;
mod xml;

use mop_contract::json::Reader;
use mop_wire::{Exchange, Headers, Request, Response};

use self::body::Media;
use super::step::Kind;

/// One part. Has no `Debug`: what was received is never printed.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Where it stands.
    pub place: Place,
    /// The name that it goes by there: of a field, a cookie, a JSON member or an element. As it was
    /// sent; none where the place has none, or it is not UTF-8.
    pub name: Option<&'a str>,
    /// Its bytes; never empty.
    pub value: &'a [u8],
    /// Bytes of it that follow and were not kept.
    pub behind: u64,
    /// Which message it is of.
    pub of: Message,
}

/// A message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A whole body, of a response.
    Body,
    /// Name of a cookie.
    CookieName,
    /// Value of a cookie.
    CookieValue,
    /// Name of a field of a form.
    FormName,
    /// Value of a field of a form.
    FormValue,
    /// Name of a header or trailer field.
    HeaderName,
    /// Value of a header or trailer field.
    HeaderValue,
    /// Name of a JSON member.
    JsonName,
    /// A JSON number, as it was written.
    JsonNumber,
    /// A JSON string.
    JsonString,
    /// The method.
    Method,
    /// Name of a file that is uploaded.
    MultipartFileName,
    /// Name of a part of a multipart body.
    MultipartName,
    /// Content of a part of a multipart body.
    MultipartValue,
    /// The path of the target, as a whole.
    Path,
    /// One segment of it, when there are several.
    PathSegment,
    /// The query of the target, as a whole.
    Query,
    /// Name of a parameter of the query.
    QueryName,
    /// Value of a parameter of the query.
    QueryValue,
    /// The status code, in digits.
    Status,
    /// A body that is nothing else.
    Text,
    /// Value of an attribute of an XML element.
    XmlAttribute,
    /// A declaration or instruction of XML: document types and entities are there.
    XmlMarkup,
    /// Text of an XML element, or a comment.
    XmlText,
}

/// How much of an exchange is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body, after its content coding was taken off.
    pub max_body_bytes: usize,
    /// Parts of the exchange.
    pub max_parts: usize,
}

/// Buffers that are kept from one exchange to the next.
#[derive(Default)]
pub struct Scratch {
    reader: Reader,
}

/// What was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visited {
    /// Parts that were given.
    pub parts: usize,
    /// There were more than [`Limits::max_parts`].
    pub is_cut: bool,
    /// What became of the body of the request.
    pub request_body: BodyRead,
    /// What became of the body of the response.
    pub response_body: BodyRead,
}

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyRead {
    /// There is none, or it is empty.
    Absent,
    /// It was visited.
    Read,
    /// It is longer than [`Limits::max_body_bytes`], and its beginning would not be enough.
    TooLong,
    /// Its content coding is unknown, or its bytes do not obey it.
    Undecodable,
    /// Not all of it was seen.
    Unwhole,
}

impl Visited {
    /// Nothing was visited yet.
    pub const NOTHING: Self = Self {
        parts: 0,
        is_cut: false,
        request_body: BodyRead::Absent,
        response_body: BodyRead::Absent,
    };

    /// Why something of the exchange was not visited, in a word each.
    pub fn unread(self) -> impl Iterator<Item = &'static str> {
        let bodies =
            [self.request_body, self.response_body].into_iter().filter_map(BodyRead::unread);
        bodies.chain(self.is_cut.then_some("too_many_parts"))
    }
}

impl BodyRead {
    /// Why it was not visited, in a word.
    const fn unread(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Read => None,
            Self::TooLong => Some("too_long"),
            Self::Undecodable => Some("undecodable"),
            Self::Unwhole => Some("incomplete"),
        }
    }
}

/// Gives each part of an exchange, the request's first, in the order of the wire.
pub fn visit(
    exchange: &Exchange,
    limits: Limits,
    scratch: &mut Scratch,
    give: &mut dyn FnMut(Part<'_>),
) -> Visited {
    let mut visit = Visit { of: Message::Request, limits, visited: Visited::NOTHING, give };
    if let Some(request) = &exchange.request {
        visit.request(request, &mut scratch.reader);
    }
    visit.of = Message::Response;
    if let Some(response) = &exchange.response {
        visit.response(response);
    }
    visit.visited
}

/// Gives each name and value of a query, as [`visit`] does.
pub fn query_pairs(query: &[u8], give: &mut dyn FnMut(Part<'_>)) {
    Visit::of_request(give).query(query);
}

/// Gives each name and value of a line of cookies, as [`visit`] does.
pub fn cookie_pairs(line: &[u8], give: &mut dyn FnMut(Part<'_>)) {
    Visit::of_request(give).cookies(line);
}

/// A visit in progress.
struct Visit<'g> {
    of: Message,
    limits: Limits,
    visited: Visited,
    give: &'g mut dyn FnMut(Part<'_>),
}

impl<'g> Visit<'g> {
    /// A visit of a piece of a request.
    fn of_request(give: &'g mut dyn FnMut(Part<'_>)) -> Self {
        Self { of: Message::Request, limits: Limits::default(), visited: Visited::NOTHING, give }
    }
}

impl Visit<'_> {
    fn request(&mut self, request: &Request, reader: &mut Reader) {
        self.part(Place::Method, None, request.method.as_bytes());
        self.target(&request.target);
        self.headers(&request.headers);
        for value in request.headers.values("cookie") {
            self.cookies(value);
        }
        let bytes = body::plain(&request.headers, &request.body, self.limits.max_body_bytes);
        self.visited.request_body = match bytes {
            Ok(bytes) => {
                self.body(Media::of(&request.headers, &bytes), &bytes, reader);
                BodyRead::Read
            }
            Err(why) => why,
        };
        self.headers(&request.body.trailers);
    }

    fn response(&mut self, response: &Response) {
        let digits = [100, 10, 1].map(|unit| response.status / unit % 10);
        let status = digits.map(|digit| u8::try_from(digit).map_or(b'0', |digit| b'0' + digit));
        self.part(Place::Status, None, &status);
        self.headers(&response.headers);
        let (headers, body) = (&response.headers, &response.body);
        let most = self.limits.max_body_bytes;
        self.visited.response_body = match body::beginning(headers, body, most) {
            Some((value, behind)) => {
                self.give(Part { place: Place::Body, name: None, value, behind, of: self.of });
                BodyRead::Read
            }
            None => match body::plain(headers, body, most) {
                Ok(bytes) => {
                    self.part(Place::Body, None, &bytes);
                    BodyRead::Read
                }
                Err(why) => why,
            },
        };
        self.headers(&response.body.trailers);
    }

    fn target(&mut self, target: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // The absolute form, as proxies get it (RFC 9112, section 3.2.2), does not begin with a slash.
        let absolute = if path.starts_with('/') { None } else { path.split_once("://") };
        let path = match absolute {
            Some((scheme, rest)) if !scheme.contains('/') => {
                rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
            }
            _ => path,
        };
        self.part(Place::Path, None, path.as_bytes());
        let relative = path.strip_prefix('/').unwrap_or(path);
        if relative.contains('/') {
            for segment in relative.split('/') {
                self.part(Place::PathSegment, None, segment.as_bytes());
            }
        }
        self.part(Place::Query, None, query.as_bytes());
        self.query(query.as_bytes());
    }

    fn query(&mut self, query: &[u8]) {
        form::pairs(query, &mut |name, value| {
            self.named(Place::QueryName, Place::QueryValue, name, value);
        });
    }

    fn cookies(&mut self, line: &[u8]) {
        form::cookies(line, &mut |name, value| {
            self.named(Place::CookieName, Place::CookieValue, name, value);
        });
    }

    fn headers(&mut self, headers: &Headers) {
        for (name, value) in headers.iter() {
            self.part(Place::HeaderName, None, name.as_bytes());
            self.part(Place::HeaderValue, Some(name), value);
        }
    }

    /// A name and what it names, as two parts.
    fn named(&mut self, of_name: Place, of_value: Place, name: &[u8], value: &[u8]) {
        self.part(of_name, None, name);
        self.part(of_value, std::str::from_utf8(name).ok(), value);
    }

    fn part(&mut self, place: Place, name: Option<&str>, value: &[u8]) {
        self.give(Part { place, name, value, behind: 0, of: self.of });
    }

    fn give(&mut self, part: Part<'_>) {
        if part.value.is_empty() {
            return;
        }
        if self.visited.parts >= self.limits.max_parts {
            self.visited.is_cut = true;
            return;
        }
        self.visited.parts += 1;
        (self.give)(part);
    }
}

impl Place {
    /// How values are written there.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::FormName | Self::FormValue | Self::Query | Self::QueryName | Self::QueryValue => {
                Kind::Form
            }
            Self::Path | Self::PathSegment => Kind::Path,
            Self::Body
            | Self::CookieName
            | Self::CookieValue
            | Self::HeaderName
            | Self::HeaderValue
            | Self::JsonName
            | Self::JsonNumber
            | Self::JsonString
            | Self::Method
            | Self::MultipartFileName
            | Self::MultipartName
            | Self::MultipartValue
            | Self::Status
            | Self::Text
            | Self::XmlAttribute
            | Self::XmlMarkup
            | Self::XmlText => Kind::Plain,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body_bytes: MAX_BODY_BYTES, max_parts: MAX_PARTS }
    }
}

/// A page of a thousand policies, the most that one response may hold, has some 4 MB.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// The largest published request, a quote of 173 KB, has some five thousand names and values.
pub const MAX_PARTS: usize = 16 << 10;

#[cfg(test)]
mod tests;
