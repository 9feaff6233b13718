//! The chunked transfer coding (RFC 9112 section 7.1), read in any split.
//!
//! ```text
//! chunked-body   = *chunk last-chunk trailer-section CRLF
//! chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! last-chunk     = 1*("0") [ chunk-ext ] CRLF
//! ```
//!
//! A bare LF ends a line as well, as it does in heads; a bare CR does not.

use crate::{exchange::Ending, headers::Headers, http1::head, limits};

/// Where in the coding the stream stands.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes of the line that is being read; `<= MAX_CHUNK_LINE_BYTES`.
    line_bytes: usize,
    /// The trailer section so far; empty until the last chunk; `<= MAX_TRAILER_BYTES`.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a chunk size; `digits` is false before the first one.
    Size {
        size: u64,
        digits: bool,
    },
    /// After the digits, up to the end of the line.
    Extension {
        size: u64,
    },
    /// After a CR in the size line.
    SizeLineFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// After the data: the CR or the LF.
    DataEnd,
    DataLineFeed,
    Trailers,
    Done,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes belong to the coding itself.
    Coding(usize),
    /// This many bytes are content.
    Content(usize),
    /// The body ended after this many bytes of the coding.
    End(usize, Headers),
    /// The coding is broken, or longer than a limit.
    Failed(Ending),
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { state: SIZE, line_bytes: 0, trailers: Vec::new() }
    }

    /// Reads the next bytes; `bytes` is not empty, and a step covers at least one of them unless
    /// it failed.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut used = 0;
        for byte in bytes {
            match self.state {
                State::Data { left } => {
                    if used > 0 {
                        return Step::Coding(used);
                    }
                    let content = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.skip_content(content as u64);
                    return Step::Content(content);
                }
                State::Trailers => return self.trailer_step(bytes, used),
                State::Done => return Step::End(used, Headers::default()),
                State::Size { .. }
                | State::Extension { .. }
                | State::SizeLineFeed { .. }
                | State::DataEnd
                | State::DataLineFeed => {
                    if let Err(ending) = self.coding_byte(*byte) {
                        return Step::Failed(ending);
                    }
                    used += 1;
                }
            }
        }
        Step::Coding(used)
    }

    /// Content bytes up to the end of the chunk: as many missing bytes leave the coding known.
    pub(crate) fn content_left(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            State::Size { .. }
            | State::Extension { .. }
            | State::SizeLineFeed { .. }
            | State::DataEnd
            | State::DataLineFeed
            | State::Trailers
            | State::Done => 0,
        }
    }

    /// Takes note of content bytes that were passed on, or are missing;
    /// `bytes <= self.content_left()`.
    pub(crate) fn skip_content(&mut self, bytes: u64) {
        if let State::Data { left } = self.state {
            let left = left.saturating_sub(bytes);
            self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
        }
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        self.trailers.capacity()
    }

    fn coding_byte(&mut self, byte: u8) -> Result<(), Ending> {
        self.line_bytes += 1;
        if self.line_bytes > limits::MAX_CHUNK_LINE_BYTES {
            return Err(Ending::LimitReached);
        }
        self.state = match (self.state, byte) {
            (State::Size { size, digits: _ }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = size.checked_mul(16).ok_or(Ending::Malformed)?;
                State::Size { size: size + u64::from(digit), digits: true }
            }
            (State::Size { size, digits: true }, b';' | b' ' | b'\t') => State::Extension { size },
            (State::Size { size, digits: true } | State::Extension { size }, b'\r') => {
                State::SizeLineFeed { size }
            }
            (
                State::Size { size, digits: true }
                | State::Extension { size }
                | State::SizeLineFeed { size },
                b'\n',
            ) => self.after_size_line(size),
            (State::Extension { size }, _) => State::Extension { size },
            (State::DataEnd, b'\r') => State::DataLineFeed,
            (State::DataEnd | State::DataLineFeed, b'\n') => {
                self.line_bytes = 0;
                SIZE
            }
            (
                State::Size { .. }
                | State::SizeLineFeed { .. }
                | State::Data { .. }
                | State::DataEnd
                | State::DataLineFeed
                | State::Trailers
                | State::Done,
                _,
            ) => return Err(Ending::Malformed),
        };
        Ok(())
    }

    fn after_size_line(&mut self, size: u64) -> State {
        self.line_bytes = 0;
        if size == 0 { State::Trailers } else { State::Data { left: size } }
    }

    /// Gathers the trailer section up to its empty line. `used` bytes were read before it.
    fn trailer_step(&mut self, bytes: &[u8], mut used: usize) -> Step {
        for byte in bytes.get(used..).unwrap_or_default() {
            used += 1;
            // The usual case has no trailers: nothing is copied then.
            self.trailers.push(*byte);
            if *byte == b'\n' && is_section_end(&self.trailers) {
                let section = std::mem::take(&mut self.trailers);
                self.state = State::Done;
                return match head::parse_trailers(&section) {
                    Some(trailers) => Step::End(used, trailers),
                    None => Step::Failed(Ending::Malformed),
                };
            }
            if self.trailers.len() >= limits::MAX_TRAILER_BYTES {
                return Step::Failed(Ending::LimitReached);
            }
        }
        Step::Coding(used)
    }
}

/// True when the section so far is an empty line, or ends with one.
fn is_section_end(section: &[u8]) -> bool {
    matches!(section, [b'\n'] | [b'\r', b'\n'] | [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n'])
}

const SIZE: State = State::Size { size: 0, digits: false };

#[cfg(test)]
mod tests {
    use super::*;

    /// Content, trailers and unread bytes; or how it failed.
    fn read(mut bytes: &[u8], piece: usize) -> Result<(String, usize, usize), Ending> {
        let mut chunked = Chunked::new();
        let mut content = Vec::new();
        while !bytes.is_empty() {
            let now = &bytes[..bytes.len().min(piece)];
            let used = match chunked.step(now) {
                Step::Coding(used) => used,
                Step::Content(used) => {
                    content.extend_from_slice(&now[..used]);
                    used
                }
                Step::End(used, trailers) => {
                    let rest = bytes.len() - used;
                    return Ok((String::from_utf8(content).unwrap(), trailers.len(), rest));
                }
                Step::Failed(ending) => return Err(ending),
            };
            assert!(used > 0);
            bytes = &bytes[used..];
        }
        Err(Ending::ResponseCut)
    }

    #[test]
    fn the_coding_by_section_7_1() {
        let long = format!("1;{}\r\n", "x".repeat(limits::MAX_CHUNK_LINE_BYTES));
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(limits::MAX_TRAILER_BYTES / 6 + 1));
        for (bytes, expected) in [
            ("5\r\nhello\r\n0\r\n\r\n", Ok(("hello", 0, 0))),
            ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", Ok(("hello world", 0, 3))),
            ("A\r\n0123456789\r\n00\r\n\r\n", Ok(("0123456789", 0, 0))),
            ("5;name=\"v\"\r\nhello\r\n0;x\r\n\r\n", Ok(("hello", 0, 0))),
            ("5 ;x\r\nhello\r\n0\r\n\r\n", Ok(("hello", 0, 0))),
            ("0\r\nDigest: x\r\nB: c\r\n\r\nrest", Ok(("", 2, 4))),
            ("1\na\n0\n\n", Ok(("a", 0, 0))),
            ("\r\n", Err(Ending::Malformed)),
            ("g\r\n", Err(Ending::Malformed)),
            ("-1\r\n", Err(Ending::Malformed)),
            (";x\r\n", Err(Ending::Malformed)),
            ("0x1\r\n", Err(Ending::Malformed)),
            ("1\rx", Err(Ending::Malformed)),
            ("1\r\nab", Err(Ending::Malformed)),
            ("11111111111111111\r\n", Err(Ending::Malformed)),
            ("0\r\nbad line\r\n\r\n", Err(Ending::Malformed)),
            (&long, Err(Ending::LimitReached)),
            (&trailers, Err(Ending::LimitReached)),
            ("5\r\nhel", Err(Ending::ResponseCut)),
        ] {
            let expected = expected.map(|(content, lines, rest)| (content.to_owned(), lines, rest));
            for piece in [1, 2, 3, 7, usize::MAX] {
                assert_eq!(read(bytes.as_bytes(), piece), expected, "{bytes:.40} by {piece}");
            }
        }
    }
}
