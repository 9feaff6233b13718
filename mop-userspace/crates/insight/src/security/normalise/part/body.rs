//! Bodies of requests: taken apart by their media type.
//!
//! A media type that is not declared, or says nothing of the structure, is guessed from the first
//! character, since frameworks do so too. What then cannot be read is given as text, not left out.

use std::borrow::Cow;

use mop_contract::{
    json::{Kind, Reader, Value},
    media_type,
};
use mop_wire::{
    Body, Headers,
    content::{self, ContentError, DecodeLimits},
};

use super::{BodyRead, Place, Visit, form, multipart, xml};

/// How a body is taken apart.
#[derive(Clone, Copy)]
pub(super) enum Media<'h> {
    Form,
    Json,
    /// With its boundary.
    Multipart(&'h [u8]),
    Text,
    Xml,
}

/// Whole content without its content coding, of at most so many bytes.
pub(super) fn plain<'b>(
    headers: &Headers,
    body: &'b Body,
    max_bytes: usize,
) -> Result<Cow<'b, [u8]>, BodyRead> {
    if body.length == 0 {
        return Err(BodyRead::Absent);
    }
    if !body.is_whole() {
        return Err(BodyRead::Unwhole);
    }
    if body.bytes.len() > max_bytes {
        return Err(BodyRead::TooLong);
    }
    let limits = DecodeLimits { max_plain_bytes: max_bytes, ..DecodeLimits::default() };
    content::codings(headers)
        .and_then(|codings| content::decode(&codings, &body.bytes, limits))
        .map_err(|error| match error {
            ContentError::TooLarge(_) | ContentError::RatioExceeded(_) => BodyRead::TooLong,
            ContentError::Corrupt(_)
            | ContentError::TooManyCodings
            | ContentError::TrailingBytes(_)
            | ContentError::Truncated(_)
            | ContentError::UnknownCoding => BodyRead::Undecodable,
        })
}

/// The beginning of a content that is longer, or of which no more was kept, though all of it was seen, and
/// how many bytes follow. None where a content coding makes the beginning say nothing.
pub(super) fn beginning<'b>(
    headers: &Headers,
    body: &'b Body,
    max_bytes: usize,
) -> Option<(&'b [u8], u64)> {
    let bytes = body.bytes.get(..max_bytes).unwrap_or(&body.bytes);
    let behind = body.length.checked_sub(bytes.len() as u64)?;
    let is_beginning = behind > 0 && body.missing == 0 && !bytes.is_empty();
    let is_plain = || content::codings(headers).is_ok_and(|codings| codings.is_empty());
    (is_beginning && is_plain()).then_some((bytes, behind))
}

impl<'h> Media<'h> {
    pub(super) fn of(headers: &'h Headers, bytes: &[u8]) -> Self {
        let declared = headers.first("content-type").unwrap_or_default();
        let essence = declared.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let text = std::str::from_utf8(essence).unwrap_or_default();
        if media_type::is_json(text) {
            return Self::Json;
        }
        if essence.eq_ignore_ascii_case(FORM) {
            return Self::Form;
        }
        if essence.get(..MULTIPART.len()).is_some_and(|it| it.eq_ignore_ascii_case(MULTIPART)) {
            return multipart::boundary(declared).map_or(Self::Text, Self::Multipart);
        }
        let is_xml = essence.len().checked_sub(XML.len()).and_then(|at| essence.get(at..));
        if is_xml.is_some_and(|it| it.eq_ignore_ascii_case(XML)) {
            return Self::Xml;
        }
        match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => Self::Json,
            Some(b'<') => Self::Xml,
            _ => Self::Text,
        }
    }
}

impl Visit<'_> {
    pub(super) fn body(&mut self, media: Media<'_>, bytes: &[u8], reader: &mut Reader) {
        match media {
            Media::Form => form::pairs(bytes, &mut |name, value| {
                self.named(Place::FormName, Place::FormValue, name, value);
            }),
            Media::Json => match reader.read(bytes) {
                Ok(json) => self.json(None, json.root()),
                // Readers that are less strict may still take it.
                Err(_unreadable) => self.part(Place::Text, None, bytes),
            },
            Media::Multipart(boundary) => {
                let mut is_found = false;
                multipart::fields(bytes, boundary, &mut |field| {
                    is_found = true;
                    let name = field.name.and_then(|name| std::str::from_utf8(name).ok());
                    self.part(Place::MultipartName, None, field.name.unwrap_or_default());
                    let file_name = field.file_name.unwrap_or_default();
                    self.part(Place::MultipartFileName, name, file_name);
                    self.part(Place::MultipartValue, name, field.value);
                });
                if !is_found {
                    self.part(Place::Text, None, bytes);
                }
            }
            Media::Text => self.part(Place::Text, None, bytes),
            Media::Xml => xml::pieces(bytes, &mut |piece| {
                let name = piece.name.and_then(|name| std::str::from_utf8(name).ok());
                self.part(piece.place, name, piece.text);
            }),
        }
    }

    /// Goes as deep as the reader allows, which is
    /// [`MAX_DEPTH`](mop_contract::json::MAX_DEPTH).
    fn json(&mut self, name: Option<&str>, value: Value<'_>) {
        match value.kind() {
            Kind::Array => {
                for element in value.elements() {
                    self.json(name, element);
                }
            }
            Kind::Object => {
                for member in value.members() {
                    self.part(Place::JsonName, None, member.name.as_bytes());
                    self.json(Some(member.name), member.value);
                }
            }
            Kind::String => {
                self.part(Place::JsonString, name, value.as_str().unwrap_or_default().as_bytes());
            }
            Kind::Integer | Kind::Number => {
                let text = value.as_number().map_or("", |number| number.text);
                self.part(Place::JsonNumber, name, text.as_bytes());
            }
            Kind::Boolean | Kind::Null => {}
        }
    }
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const MULTIPART: &[u8] = b"multipart/";
/// The end of `text/xml`, `application/xml` and of every `+xml` (RFC 7303).
const XML: &[u8] = b"xml";
