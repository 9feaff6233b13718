//! From a call to its event: each part of both messages, in each form in which it may be read.

use mop_wire::Exchange;

use super::{
    event::{Event, EventMap, Value, has_run_of_hyphens},
    field::{Body, Field, Side},
    field_set::FieldSet,
};
use crate::security::{
    normalise::{
        chain::Chain,
        part::{self, Limits, Message, Part, Place, Visited},
        shape,
        step::{Kind, Step, Steps},
    },
    personal::secrets,
};

/// Makes events of calls, one after the other; buffers are kept.
#[derive(Default)]
pub struct Reading {
    wanted: Wanted,
    chain: Chain,
    parts: part::Scratch,
    event: Event,
    visited: Option<Visited>,
}

/// The fields that somebody looks at by name; all of them, when nobody says which.
#[derive(Clone, Copy, Default)]
struct Wanted(Option<FieldSet>);

impl Wanted {
    /// Whether somebody looks at a part. Detectors look at all input but what its shape says they
    /// find nothing in; of a body that is most of its names and many of its values. Of fields of a
    /// response, leaks and secrets are all that is looked for beside what rules name.
    fn has(self, sorted: Sorted, part: Part<'_>) -> bool {
        let is_for_matchers = match (part.place, part.of) {
            (
                Place::FormName
                | Place::FormValue
                | Place::JsonName
                | Place::JsonNumber
                | Place::JsonString
                | Place::MultipartName,
                _,
            ) => sorted.forms != Forms::Sent,
            (Place::HeaderValue, Message::Response) => {
                let name = part.name.unwrap_or_default();
                secrets::is_banner(name, part.value) || has_run_of_hyphens(part.value)
            }
            _ => true,
        };
        is_for_matchers || self.0.is_none_or(|fields| !fields.and(sorted.fields).is_empty())
    }
}

impl Reading {
    /// For rules that look at these fields, see `RuleSet::fields`. What no rule and no detector looks
    /// at is left out of events.
    #[must_use]
    pub fn of(fields: FieldSet) -> Self {
        Self { wanted: Wanted(Some(fields)), ..Self::default() }
    }

    /// Begins another call. What is known beside its messages is noted before they are read.
    pub fn begin(&mut self) {
        self.event.clear();
        self.chain.begin_exchange();
        self.visited = None;
    }

    /// Notes something that is known beside the messages of the call.
    pub fn note(&mut self, field: &Field, value: &[u8]) {
        self.event.push(Value::fact(FieldSet::of(std::slice::from_ref(field)), value));
    }

    /// Reads the messages of the call. What is beyond the limits of this module is counted, see
    /// [`Event::unscanned_bytes`].
    pub fn read(&mut self, exchange: &Exchange) -> &Event {
        let Self { wanted, chain, parts, event, visited } = self;
        if let Some(request) = &exchange.request {
            event.push(Value::fact(URL, request.target.as_bytes()));
        }
        *visited = Some(part::visit(exchange, Limits::default(), parts, &mut |part| {
            read_part(*wanted, chain, event, part);
        }));
        event
    }

    /// Takes a written event in: its values are treated as they would be where their fields stand.
    pub fn read_written(&mut self, written: &EventMap) -> &Event {
        self.begin();
        let Self { wanted, chain, parts: _, event, visited: _ } = self;
        for (field, value) in written.entries() {
            match WrittenAs::of(field) {
                WrittenAs::Fact => event.push(Value::fact(
                    FieldSet::of(std::slice::from_ref(field)).or(ANYWHERE),
                    value,
                )),
                WrittenAs::Part { place, name, of } => {
                    read_part(*wanted, chain, event, Part { place, name, value, behind: 0, of });
                }
                WrittenAs::Query => {
                    let of = Message::Request;
                    read_part(
                        *wanted,
                        chain,
                        event,
                        Part { place: Place::Query, name: None, value, behind: 0, of },
                    );
                    part::query_pairs(value, &mut |part| read_part(*wanted, chain, event, part));
                }
                WrittenAs::Cookies => {
                    let (place, name, of) = (Place::HeaderValue, Some("cookie"), Message::Request);
                    read_part(*wanted, chain, event, Part { place, name, value, behind: 0, of });
                    part::cookie_pairs(value, &mut |part| read_part(*wanted, chain, event, part));
                }
            }
        }
        event
    }

    /// The event that was read last, and why something of its call is not in it, in a word each.
    pub fn last(&self) -> (&Event, impl Iterator<Item = &'static str>) {
        (&self.event, self.visited.into_iter().flat_map(Visited::unread))
    }
}

/// Adds each form of a part.
fn read_part(wanted: Wanted, chain: &mut Chain, event: &mut Event, part: Part<'_>) {
    let Part { place, name, value: sent, behind, of } = part;
    // Nobody attacks with names of fields that the server chose.
    if place == Place::HeaderName && of == Message::Response {
        return;
    }
    // Of an upload, its beginning says what it is, and nobody reads the rest as text.
    let is_upload = matches!(place, Place::Text | Place::MultipartValue) && shape::is_binary(sent);
    let most = match of {
        Message::Request if is_upload => MAX_UPLOAD_BYTES,
        Message::Request => MAX_VALUE_BYTES,
        Message::Response => MAX_RESPONSE_BYTES,
    };
    let value = sent.get(..most).unwrap_or(sent);
    let is_whole = value.len() == sent.len() && behind == 0;
    let left_out = usize::try_from(behind).unwrap_or(usize::MAX);
    event.leave_out(left_out.saturating_add(sent.len() - value.len()));
    let part = Part { value, ..part };
    let sorted = sorted(part);
    if !wanted.has(sorted, part) {
        return;
    }
    let number = event.begin_part();
    let add = |event: &mut Event, bytes: &[u8], steps: Steps| {
        let name = name.unwrap_or_default().as_bytes();
        let Sorted { fields, header, .. } = sorted;
        let is_plain = sorted.forms == Forms::Sent;
        // What is encoded is read by nobody as it stands, and is like many things that are attacks.
        let is_encoded = steps.is_within(Step::Percent)
            && is_percent_encoded(place, bytes)
            && !has_encoded_dot(bytes);
        let is_referring = steps.is_within(Step::Html) && is_referring(place, bytes);
        let is_read = !(is_encoded || is_referring);
        let fields = if is_read { fields } else { fields.without(READ) };
        let place = Some(place);
        event.push(Value {
            bytes,
            fields,
            header,
            name,
            place,
            part: number,
            steps,
            is_plain,
            is_whole,
        });
    };
    match sorted.forms {
        Forms::None => {}
        Forms::Sent => add(event, value, Steps::NONE),
        Forms::All => {
            chain.views(value, place.kind(), &mut |view| add(event, view.bytes, view.steps));
        }
        Forms::Decoded => {
            chain.views(value, place.kind(), &mut |view| {
                if !view.steps.is_empty() {
                    add(event, view.bytes, view.steps);
                }
            });
        }
    }
}

/// Whether it stands where percent-encoding is taken off, and has some.
fn is_percent_encoded(place: Place, value: &[u8]) -> bool {
    let is_where = matches!(place.kind(), Kind::Form | Kind::Path)
        || matches!(place, Place::CookieName | Place::CookieValue);
    let is_escape = |window: &[u8]| matches!(window, [b'%', one, two] if one.is_ascii_hexdigit() && two.is_ascii_hexdigit());
    is_where && value.contains(&b'%') && value.windows(3).any(is_escape)
}

/// Whether it is text of XML with one of its own references (XML 1.0, section 4.6), which every
/// reader resolves.
fn is_referring(place: Place, value: &[u8]) -> bool {
    let is_reference = |from: &[u8]| {
        [&b"&amp;"[..], b"&lt;", b"&gt;", b"&quot;", b"&apos;"]
            .iter()
            .any(|it| from.starts_with(it))
    };
    matches!(place, Place::XmlAttribute | Place::XmlText)
        && value.contains(&b'&')
        && value
            .windows(6)
            .chain([value.get(value.len().saturating_sub(5)..).unwrap_or_default()])
            .any(is_reference)
}

/// Whether a dot is encoded, which only who hides one does: it is reserved nowhere (RFC 3986, section
/// 2.3).
fn has_encoded_dot(value: &[u8]) -> bool {
    value.windows(3).any(|window| matches!(window, b"%2e" | b"%2E"))
}

/// What a part is of, and which of its forms are looked at.
#[derive(Clone, Copy)]
struct Sorted {
    fields: FieldSet,
    header: Option<Side>,
    forms: Forms,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Forms {
    /// It is part of what is looked at elsewhere.
    None,
    /// As it was sent: its shape says what it is, or it is no input.
    Sent,
    /// As it was sent, decoded and folded.
    All,
    /// Decoded and folded only, since the form that was sent stands in another part.
    Decoded,
}

fn sorted(part: Part<'_>) -> Sorted {
    let Part { place, name, value, behind: _, of } = part;
    let request = |fields: &[Field], forms| Sorted {
        fields: FieldSet::of(fields).or(INPUT),
        header: None,
        forms,
    };
    let values = Field::Body(Side::Request, Body::Values);
    let names = Field::Body(Side::Request, Body::Names);
    let forms_of_value = if shape::is_fixed(value) { Forms::Sent } else { Forms::All };
    let forms_of_name = if shape::is_plain_name(value) { Forms::Sent } else { Forms::All };
    match place {
        Place::Body => Sorted { fields: RESPONSE_BODY, header: None, forms: Forms::Sent },
        Place::Status => Sorted { fields: STATUS, header: None, forms: Forms::Sent },
        Place::Method => Sorted { fields: METHOD, header: None, forms: Forms::Sent },
        Place::Path => request(&[Field::Path], Forms::All),
        Place::PathSegment => request(&[], Forms::Decoded),
        // Its names and values are looked at one by one.
        Place::Query => Sorted { fields: QUERY, header: None, forms: Forms::Sent },
        Place::QueryName => request(&[Field::QueryNames], forms_of_name),
        Place::QueryValue => request(&[Field::QueryValues], forms_of_value),
        Place::CookieName if shape::is_plain_name(value) => request(&[], Forms::None),
        Place::CookieName | Place::CookieValue => request(&[], Forms::All),
        Place::HeaderName if shape::is_plain_name(value) => request(&[], Forms::None),
        Place::HeaderName => request(&[], Forms::All),
        Place::HeaderValue => header(name.unwrap_or_default(), value, of),
        Place::FormName | Place::JsonName | Place::MultipartName => {
            request(&[names], forms_of_name)
        }
        Place::JsonNumber => Sorted { fields: BODY_VALUES, header: None, forms: Forms::Sent },
        Place::FormValue | Place::JsonString => request(&[values], forms_of_value),
        Place::MultipartFileName | Place::MultipartValue | Place::XmlAttribute | Place::XmlText => {
            request(&[values], Forms::All)
        }
        Place::Text | Place::XmlMarkup => {
            request(&[values, Field::Body(Side::Request, Body::Content)], Forms::All)
        }
    }
}

fn header(name: &str, value: &[u8], of: Message) -> Sorted {
    let side = match of {
        Message::Request => Side::Request,
        Message::Response => {
            let fields = RESPONSE_HEADERS;
            return Sorted { fields, header: Some(Side::Response), forms: Forms::Sent };
        }
    };
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let fields = REQUEST_HEADERS.or(if is("user-agent") {
        USER_AGENT
    } else if is("referer") {
        REFERER
    } else if is("host") {
        HOST
    } else if is("cookie") {
        COOKIE
    } else {
        FieldSet::default()
    });
    if is_written_by_grammar(name, value) {
        return Sorted { fields, header: Some(side), forms: Forms::Sent };
    }
    // Cookies are looked at one by one; a token is base64 of claims that nobody interprets, and
    // those of the profile are looked at elsewhere.
    if is("cookie") || is("authorization") && shape::is_bearer_of_token(value) {
        return Sorted { fields, header: Some(side), forms: Forms::Sent };
    }
    Sorted { fields: fields.or(INPUT), header: Some(side), forms: Forms::All }
}

/// Whether a value is what the grammar of its field allows, and can be no attack then.
fn is_written_by_grammar(name: &str, value: &[u8]) -> bool {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    match name.as_bytes().first() {
        Some(b'a' | b'A' | b'c' | b'C' | b't' | b'T') if FIELDS_OF_TOKENS.iter().any(is) => {
            shape::is_list_of_tokens(value)
        }
        _ => shape::is_fixed(value),
    }
}

/// What the value of a field of a written event is.
enum WrittenAs<'f> {
    Cookies,
    Fact,
    Part { place: Place, name: Option<&'f str>, of: Message },
    Query,
}

impl<'f> WrittenAs<'f> {
    fn of(field: &'f Field) -> Self {
        let part = |place| Self::Part { place, name: None, of: Message::Request };
        let named =
            |name| Self::Part { place: Place::HeaderValue, name: Some(name), of: Message::Request };
        match field {
            Field::Body(Side::Request, Body::Content) => part(Place::Text),
            Field::Body(Side::Request, Body::Names) => part(Place::JsonName),
            Field::Body(Side::Request, Body::Values) => part(Place::JsonString),
            Field::Body(Side::Response, _) => {
                Self::Part { place: Place::Body, name: None, of: Message::Response }
            }
            Field::Cookie => Self::Cookies,
            Field::Header(Side::Request, name) if name.eq_ignore_ascii_case("cookie") => {
                Self::Cookies
            }
            Field::Header(Side::Request, name) => named(name),
            Field::Header(Side::Response, name) => {
                Self::Part { place: Place::HeaderValue, name: Some(name), of: Message::Response }
            }
            Field::Headers(Side::Request) => named("x-any"),
            Field::Headers(Side::Response) => {
                Self::Part { place: Place::HeaderValue, name: Some("x-any"), of: Message::Response }
            }
            Field::Host => named("host"),
            Field::Input => part(Place::QueryValue),
            Field::Method => part(Place::Method),
            Field::Path => part(Place::Path),
            Field::Query => Self::Query,
            Field::QueryNames => part(Place::QueryName),
            Field::QueryValues => part(Place::QueryValue),
            Field::Referer => named("referer"),
            Field::Status => Self::Part { place: Place::Status, name: None, of: Message::Response },
            Field::UserAgent => named("user-agent"),
            Field::Anywhere
            | Field::Client
            | Field::ClientAddress
            | Field::ClientCertificate
            | Field::ClientSubject
            | Field::ClientOrganisation
            | Field::Consent
            | Field::ContractMatch
            | Field::DurationMs
            | Field::Ja3
            | Field::Ja4
            | Field::Operation
            | Field::PathParameters
            | Field::Route
            | Field::ServerOrganisation
            | Field::ServerPort
            | Field::Size(_)
            | Field::TlsCipher
            | Field::TlsServerName
            | Field::TlsVersion
            | Field::Url => Self::Fact,
        }
    }
}

/// Bytes of the body of a response: what leaks stands near the front, and a page of policies has
/// megabytes.
pub const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Bytes of one value of a request: payloads are short, and what firewalls for applications read of a
/// body is of that size as well.
pub const MAX_VALUE_BYTES: usize = 16 << 10;

/// How serialised objects and documents begin.
const MAX_UPLOAD_BYTES: usize = 1 << 10;

/// Fields whose values are lists of tokens or types, with parameters or not.
const FIELDS_OF_TOKENS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-type",
    "te",
    "transfer-encoding",
];

/// What detectors read.
const READ: FieldSet = FieldSet::of(&[Field::Input]);
const ANYWHERE: FieldSet = FieldSet::of(&[Field::Anywhere]);
const INPUT: FieldSet = FieldSet::of(&[Field::Input, Field::Anywhere]);
const URL: FieldSet = FieldSet::of(&[Field::Url]);
const QUERY: FieldSet = FieldSet::of(&[Field::Query, Field::Anywhere]);
const METHOD: FieldSet = FieldSet::of(&[Field::Method, Field::Anywhere]);
const STATUS: FieldSet = FieldSet::of(&[Field::Status, Field::Anywhere]);
const USER_AGENT: FieldSet = FieldSet::of(&[Field::UserAgent]);
const REFERER: FieldSet = FieldSet::of(&[Field::Referer]);
const HOST: FieldSet = FieldSet::of(&[Field::Host]);
const COOKIE: FieldSet = FieldSet::of(&[Field::Cookie]);
const BODY_VALUES: FieldSet =
    FieldSet::of(&[Field::Body(Side::Request, Body::Values), Field::Anywhere]);
const REQUEST_HEADERS: FieldSet = FieldSet::of(&[Field::Headers(Side::Request), Field::Anywhere]);
const RESPONSE_HEADERS: FieldSet = FieldSet::of(&[Field::Headers(Side::Response), Field::Anywhere]);
const RESPONSE_BODY: FieldSet =
    FieldSet::of(&[Field::Body(Side::Response, Body::Content), Field::Anywhere]);
