//! How long the body of a message is (RFC 9112 section 6).

use crate::{
    anomaly::{Anomalies, Anomaly},
    exchange::{Request, Response, Version},
};

/// The fields of a head that decide about its body, gathered while the head is read.
#[derive(Debug, Default)]
pub(crate) struct FramingFields {
    length: Length,
    transfer: Option<Transfer>,
    /// A field value was folded over several lines.
    pub(crate) folded: bool,
    /// There is an `Upgrade` field.
    pub(crate) upgrade: bool,
}

/// All `Content-Length` values together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Once(u64),
    /// Several times the same value.
    Repeated(u64),
    Invalid,
}

/// All `Transfer-Encoding` values together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transfer {
    /// How often `chunked` is in the list.
    chunked: u32,
    /// The last coding of the list is `chunked`.
    chunked_last: bool,
    /// There is a coding other than `chunked`.
    other: bool,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, or one of this many bytes.
    Length(u64),
    Chunked,
    /// The body ends with the stream.
    UntilEnd,
}

impl Framing {
    /// Whether a body may be longer than this.
    pub(crate) fn may_exceed(self, bytes: usize) -> bool {
        match self {
            Self::Length(length) => length > bytes as u64,
            Self::Chunked | Self::UntilEnd => true,
        }
    }
}

/// The end of the body cannot be known: a sender's error that a server must refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unframeable;

/// What about the request decides how its response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Connect,
    Head,
    /// Any other method, or one that was not seen.
    Other,
}

impl FramingFields {
    /// Takes note of one field line.
    pub(crate) fn note(&mut self, name: &str, value: &[u8]) {
        // The lengths sort out nearly every line without comparing letters.
        match name.len() {
            7 if name.eq_ignore_ascii_case("upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case("content-length") => self.note_length(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.note_transfer(value),
            _ => {}
        }
    }

    /// RFC 9112 section 6.3 for a request.
    pub(crate) fn of_request(&self, request: &mut Request) -> Result<Framing, Unframeable> {
        let framing = match self.by_fields(request.version, &mut request.anomalies)? {
            Some(Framing::UntilEnd) => return Err(Unframeable),
            Some(framing) => framing,
            None => Framing::Length(0),
        };
        Ok(framing)
    }

    /// RFC 9112 section 6.3 for a final response, or an interim one.
    pub(crate) fn of_response(
        &self,
        response: &mut Response,
        asked: Asked,
    ) -> Result<Framing, Unframeable> {
        let bodiless = matches!(response.status, 100..=199 | 204 | 304);
        if bodiless && response.status != 304 && self.length != Length::Absent {
            response.anomalies.insert(Anomaly::ContentLengthNotAllowed);
        }
        let tunnel = asked == Asked::Connect && matches!(response.status, 200..=299);
        if bodiless || tunnel || asked == Asked::Head {
            return Ok(Framing::Length(0));
        }
        let framing = self.by_fields(response.version, &mut response.anomalies)?;
        Ok(framing.unwrap_or(Framing::UntilEnd))
    }

    /// True when both streams can be read as HTTP no longer after this message: a transfer coding
    /// in HTTP/1.0 means that the sender did not know what it wrote (RFC 9112 section 6.1).
    pub(crate) fn ends_connection(&self, version: Version) -> bool {
        self.transfer.is_some() && version == Version::Http10
    }

    fn by_fields(
        &self,
        version: Version,
        anomalies: &mut Anomalies,
    ) -> Result<Option<Framing>, Unframeable> {
        if let Some(transfer) = self.transfer {
            if self.length != Length::Absent {
                anomalies.insert(Anomaly::TransferEncodingAndContentLength);
            }
            if version == Version::Http10 {
                anomalies.insert(Anomaly::TransferEncodingInHttp10);
            }
            if transfer.other {
                anomalies.insert(Anomaly::TransferCodingUnknown);
            }
            // `chunked` must not be applied twice (RFC 9112 section 6.1).
            if transfer.chunked > 1 {
                return Err(Unframeable);
            }
            let framing = if transfer.chunked_last { Framing::Chunked } else { Framing::UntilEnd };
            return Ok(Some(framing));
        }
        match self.length {
            Length::Absent => Ok(None),
            Length::Once(length) => Ok(Some(Framing::Length(length))),
            Length::Repeated(length) => {
                anomalies.insert(Anomaly::DuplicateContentLength);
                Ok(Some(Framing::Length(length)))
            }
            Length::Invalid => Err(Unframeable),
        }
    }

    fn note_length(&mut self, value: &[u8]) {
        for member in value.split(|byte| *byte == b',') {
            let length = decimal(member.trim_ascii());
            self.length = match (self.length, length) {
                (Length::Absent, Some(length)) => Length::Once(length),
                (Length::Once(before) | Length::Repeated(before), Some(length))
                    if before == length =>
                {
                    Length::Repeated(length)
                }
                (
                    Length::Absent | Length::Once(_) | Length::Repeated(_) | Length::Invalid,
                    None | Some(_),
                ) => Length::Invalid,
            };
        }
    }

    fn note_transfer(&mut self, value: &[u8]) {
        let transfer =
            self.transfer.get_or_insert(Transfer { chunked: 0, chunked_last: false, other: false });
        for member in value.split(|byte| *byte == b',') {
            let coding = member.trim_ascii();
            if coding.is_empty() {
                // Empty list members are ignored (RFC 9110 section 5.6.1.2).
                continue;
            }
            transfer.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
            if transfer.chunked_last {
                transfer.chunked = transfer.chunked.saturating_add(1);
            } else {
                transfer.other = true;
            }
        }
    }
}

impl Asked {
    /// Methods are case-sensitive (RFC 9110 section 9.1).
    pub(crate) fn by_method(method: &str) -> Self {
        match method {
            "CONNECT" => Self::Connect,
            "HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

/// One or more digits and nothing else, within 64 bits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::{Parsed, parse_request, parse_response};

    fn request(fields: &str) -> (Result<Framing, Unframeable>, Vec<Anomaly>) {
        let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        let Parsed::Whole { mut head, fields, .. } = parse_request(text.as_bytes()) else {
            panic!("not a head: {text}");
        };
        let framing = fields.of_request(&mut head);
        (framing, head.anomalies.iter().collect())
    }

    fn response(start: &str, fields: &str, asked: Asked) -> Result<Framing, Unframeable> {
        let text = format!("HTTP/1.1 {start}\r\n{fields}\r\n");
        let Parsed::Whole { mut head, fields, .. } = parse_response(text.as_bytes()) else {
            panic!("not a head: {text}");
        };
        fields.of_response(&mut head, asked)
    }

    #[test]
    fn requests_by_section_6_3() {
        use Anomaly as A;
        let whole = Ok(Framing::Length(5));
        for (fields, framing, anomalies) in [
            ("", Ok(Framing::Length(0)), vec![]),
            ("Content-Length: 5\r\n", whole, vec![]),
            ("content-length:5 \r\n", whole, vec![]),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", whole, vec![A::DuplicateContentLength]),
            ("Content-Length: 5, 5\r\n", whole, vec![A::DuplicateContentLength]),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(Unframeable), vec![]),
            ("Content-Length: 5, 6, 5\r\n", Err(Unframeable), vec![]),
            ("Content-Length: +5\r\n", Err(Unframeable), vec![]),
            ("Content-Length: -5\r\n", Err(Unframeable), vec![]),
            ("Content-Length: 0x5\r\n", Err(Unframeable), vec![]),
            ("Content-Length: \r\n", Err(Unframeable), vec![]),
            ("Content-Length: 18446744073709551616\r\n", Err(Unframeable), vec![]),
            ("Content-Length: 18446744073709551615\r\n", Ok(Framing::Length(u64::MAX)), vec![]),
            ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked), vec![]),
            ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked), vec![]),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                Ok(Framing::Chunked),
                vec![A::TransferCodingUnknown],
            ),
            (
                "Transfer-Encoding: gzip, , chunked,\r\n",
                Ok(Framing::Chunked),
                vec![A::TransferCodingUnknown],
            ),
            (
                "Transfer-Encoding: chunked, gzip\r\n",
                Err(Unframeable),
                vec![A::TransferCodingUnknown],
            ),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(Unframeable), vec![]),
            ("Transfer-Encoding: identity\r\n", Err(Unframeable), vec![A::TransferCodingUnknown]),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n",
                Ok(Framing::Chunked),
                vec![A::TransferEncodingAndContentLength],
            ),
            (
                "Content-Length: nine\r\nTransfer-Encoding: chunked\r\n",
                Ok(Framing::Chunked),
                vec![A::TransferEncodingAndContentLength],
            ),
        ] {
            assert_eq!(request(fields), (framing, anomalies), "{fields}");
        }
    }

    #[test]
    fn responses_by_section_6_3() {
        let five = "Content-Length: 5\r\n";
        for (start, fields, asked, framing) in [
            ("200 OK", five, Asked::Other, Ok(Framing::Length(5))),
            ("200 OK", five, Asked::Head, Ok(Framing::Length(0))),
            ("200 OK", five, Asked::Connect, Ok(Framing::Length(0))),
            ("404 No", five, Asked::Connect, Ok(Framing::Length(5))),
            ("204 No Content", five, Asked::Other, Ok(Framing::Length(0))),
            ("304 Not Modified", five, Asked::Other, Ok(Framing::Length(0))),
            ("100 Continue", five, Asked::Other, Ok(Framing::Length(0))),
            ("200 OK", "", Asked::Other, Ok(Framing::UntilEnd)),
            ("200 OK", "Transfer-Encoding: chunked\r\n", Asked::Other, Ok(Framing::Chunked)),
            ("200 OK", "Transfer-Encoding: gzip\r\n", Asked::Other, Ok(Framing::UntilEnd)),
            ("200 OK", "Content-Length: x\r\n", Asked::Other, Err(Unframeable)),
            ("200 OK", "Content-Length: x\r\n", Asked::Head, Ok(Framing::Length(0))),
        ] {
            assert_eq!(response(start, fields, asked), framing, "{start} {fields} {asked:?}");
        }
    }
}
