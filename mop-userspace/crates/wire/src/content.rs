//! Content codings (RFC 9110 section 8.4): takes `Content-Encoding` off a body.
//!
//! A body is untrusted: a few kilobytes may unfold into gigabytes. Decoding works in steps of
//! [`limits::DECODE_STEP_BYTES`] and looks at the limits after each, so that a body costs at most
//! one step more than [`DecodeLimits`] allows. Errors are facts and never hold a value of the body.

use std::borrow::Cow;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

use crate::{headers::Headers, limits};

/// One content coding that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `br` (RFC 7932).
    Brotli,
    /// `deflate`: the zlib format (RFC 1950), or a bare deflate stream (RFC 1951), which some
    /// senders mean by it.
    Deflate,
    /// `gzip` or `x-gzip` (RFC 1952), one or more members.
    Gzip,
}

/// How much decoding one body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Plain bytes that are produced at most.
    pub max_plain_bytes: usize,
    /// Plain bytes for each coded byte, at most, once [`limits::RATIO_FREE_BYTES`] are exceeded.
    pub max_ratio: usize,
}

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The bytes do not obey the coding.
    #[error("body is not valid {0:?}")]
    Corrupt(Coding),
    /// The plain content is larger than the limit.
    #[error("decoded body exceeds {0} bytes")]
    TooLarge(usize),
    /// More codings than [`limits::MAX_CONTENT_CODINGS`].
    #[error("body has more than {max} content codings", max = limits::MAX_CONTENT_CODINGS)]
    TooManyCodings,
    /// Bytes follow the end of the coded content.
    #[error("bytes follow the end of the {0:?} content")]
    TrailingBytes(Coding),
    /// The plain content is larger than its coded form explains.
    #[error("decoded body exceeds {0} times its coded size")]
    RatioExceeded(usize),
    /// The coded content ends early.
    #[error("{0:?} content ends early")]
    Truncated(Coding),
    /// A coding that is not understood.
    #[error("unknown content coding")]
    UnknownCoding,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_plain_bytes: limits::DEFAULT_MAX_PLAIN_BYTES,
            max_ratio: limits::DEFAULT_MAX_RATIO,
        }
    }
}

/// The codings of a message, in the order in which they were applied; `identity` is left out.
///
/// # Errors
///
/// [`ContentError::UnknownCoding`] and [`ContentError::TooManyCodings`].
pub fn codings(headers: &Headers) -> Result<Vec<Coding>, ContentError> {
    let mut codings = Vec::new();
    for value in headers.values("content-encoding") {
        for name in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            if codings.len() == limits::MAX_CONTENT_CODINGS {
                return Err(ContentError::TooManyCodings);
            }
            codings.push(Coding::by_name(name).ok_or(ContentError::UnknownCoding)?);
        }
    }
    Ok(codings)
}

/// Takes the codings off, the last one first. A body without bytes has no coding to take off:
/// responses to HEAD carry the field all the same.
///
/// # Errors
///
/// Every [`ContentError`] but [`ContentError::UnknownCoding`].
pub fn decode<'a>(
    codings: &[Coding],
    bytes: &'a [u8],
    decode_limits: DecodeLimits,
) -> Result<Cow<'a, [u8]>, ContentError> {
    if codings.len() > limits::MAX_CONTENT_CODINGS {
        return Err(ContentError::TooManyCodings);
    }
    let mut content = Cow::Borrowed(bytes);
    for coding in codings.iter().rev() {
        if content.is_empty() {
            break;
        }
        let mut plain = Plain::new(bytes.len(), decode_limits);
        match coding {
            Coding::Brotli => brotli(&content, &mut plain)?,
            Coding::Deflate => deflate(&content, &mut plain)?,
            Coding::Gzip => gzip(&content, &mut plain)?,
        }
        content = Cow::Owned(plain.bytes);
    }
    Ok(content)
}

impl Coding {
    /// The coding with this name (RFC 9110 section 8.4.1); names are case-insensitive.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("br") {
            Some(Self::Brotli)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }
}

/// Plain content as it grows, under limits.
struct Plain {
    bytes: Vec<u8>,
    coded_bytes: usize,
    limits: DecodeLimits,
    step: Box<[u8]>,
}

impl Plain {
    fn new(coded_bytes: usize, limits: DecodeLimits) -> Self {
        // A small body does not need the whole step: it grows at most to its ratio at first.
        let step = coded_bytes.saturating_mul(16).clamp(512, limits::DECODE_STEP_BYTES);
        Self { bytes: Vec::new(), coded_bytes, limits, step: vec![0; step].into_boxed_slice() }
    }

    /// Adds the first bytes of the step.
    fn take_step(&mut self, bytes: usize) -> Result<(), ContentError> {
        self.bytes.extend_from_slice(self.step.get(..bytes).unwrap_or(&self.step));
        let DecodeLimits { max_plain_bytes, max_ratio } = self.limits;
        if self.bytes.len() > max_plain_bytes {
            return Err(ContentError::TooLarge(max_plain_bytes));
        }
        if self.bytes.len() > limits::RATIO_FREE_BYTES
            && self.bytes.len() > self.coded_bytes.saturating_mul(max_ratio)
        {
            return Err(ContentError::RatioExceeded(max_ratio));
        }
        Ok(())
    }
}

fn gzip(coded: &[u8], plain: &mut Plain) -> Result<(), ContentError> {
    let mut rest = coded;
    // Members follow each other without anything in between (RFC 1952 section 2.2).
    while !rest.is_empty() {
        if rest.len() < coded.len() && !rest.starts_with(&GZIP_MAGIC) {
            return Err(ContentError::TrailingBytes(Coding::Gzip));
        }
        let used = inflate(Decompress::new_gzip(WINDOW_BITS), rest, plain, Coding::Gzip)?;
        rest = rest.get(used..).unwrap_or_default();
    }
    Ok(())
}

fn deflate(coded: &[u8], plain: &mut Plain) -> Result<(), ContentError> {
    let mut used = inflate(Decompress::new(true), coded, plain, Coding::Deflate);
    if matches!(used, Err(ContentError::Corrupt(_))) {
        plain.bytes.clear();
        used = inflate(Decompress::new(false), coded, plain, Coding::Deflate);
    }
    if used? < coded.len() {
        return Err(ContentError::TrailingBytes(Coding::Deflate));
    }
    Ok(())
}

/// Decodes one stream; returns how many bytes it had.
fn inflate(
    mut stream: Decompress,
    coded: &[u8],
    plain: &mut Plain,
    coding: Coding,
) -> Result<usize, ContentError> {
    let mut used = 0;
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let rest = coded.get(used..).unwrap_or_default();
        let status = stream.decompress(rest, &mut plain.step, FlushDecompress::None);
        let read = usize::try_from(stream.total_in() - read).unwrap_or(usize::MAX);
        let written = usize::try_from(stream.total_out() - written).unwrap_or(usize::MAX);
        used += read;
        plain.take_step(written)?;
        match status {
            Ok(Status::StreamEnd) => return Ok(used),
            Ok(Status::Ok | Status::BufError) if read == 0 && written == 0 => {
                return Err(ContentError::Truncated(coding));
            }
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => return Err(ContentError::Corrupt(coding)),
        }
    }
}

fn brotli(coded: &[u8], plain: &mut Plain) -> Result<(), ContentError> {
    let alloc = StandardAlloc::default;
    // The strict state refuses windows above 16 MiB, an extension of RFC 7932 that lets two bytes
    // ask for a gibibyte.
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut available_in = coded.len();
    let mut used = 0;
    loop {
        let mut available_out = plain.step.len();
        let mut written = 0;
        let mut total = 0;
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut used,
            coded,
            &mut available_out,
            &mut written,
            &mut plain.step,
            &mut total,
            &mut state,
        );
        plain.take_step(written)?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Err(ContentError::Truncated(Coding::Brotli)),
            BrotliResult::ResultFailure => return Err(ContentError::Corrupt(Coding::Brotli)),
            BrotliResult::ResultSuccess if available_in > 0 => {
                return Err(ContentError::TrailingBytes(Coding::Brotli));
            }
            BrotliResult::ResultSuccess => return Ok(()),
        }
    }
}

/// RFC 1952 section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The largest window of deflate: 32 KiB (RFC 1951 section 2).
const WINDOW_BITS: u8 = 15;

#[cfg(test)]
mod tests {
    use std::iter;

    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn compress(mut stream: Compress, plain: &[u8]) -> Vec<u8> {
        let mut coded = Vec::with_capacity(plain.len() + 1024);
        let status = stream.compress_vec(plain, &mut coded, FlushCompress::Finish).unwrap();
        assert_eq!(status, Status::StreamEnd);
        coded
    }

    fn gz(plain: &[u8]) -> Vec<u8> {
        compress(Compress::new_gzip(Compression::best(), WINDOW_BITS), plain)
    }

    fn zlib(plain: &[u8], header: bool) -> Vec<u8> {
        compress(Compress::new(Compression::best(), header), plain)
    }

    /// One uncompressed meta-block and the empty last one (RFC 7932 section 9.2).
    fn br(plain: &[u8]) -> Vec<u8> {
        assert!(plain.len() <= 1 << 16);
        // WBITS 16 (one zero bit), ISLAST 0, MNIBBLES 4 (00), MLEN - 1, ISUNCOMPRESSED 1.
        let header = (plain.len() as u32 - 1) << 4 | 1 << 20;
        let mut coded = header.to_le_bytes()[..3].to_vec();
        coded.extend_from_slice(plain);
        coded.push(3);
        coded
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|number| number.to_string().into_bytes()).collect()
    }

    fn run(codings: &[Coding], coded: &[u8]) -> Result<Vec<u8>, ContentError> {
        decode(codings, coded, DecodeLimits::default()).map(Cow::into_owned)
    }

    #[test]
    fn every_coding_is_taken_off() {
        let plain = text();
        let short = &plain[..60_000];
        assert_eq!(run(&[], &plain), Ok(plain.clone()));
        assert_eq!(run(&[Coding::Gzip], &gz(&plain)), Ok(plain.clone()));
        assert_eq!(run(&[Coding::Deflate], &zlib(&plain, true)), Ok(plain.clone()));
        assert_eq!(run(&[Coding::Deflate], &zlib(&plain, false)), Ok(plain.clone()));
        assert_eq!(run(&[Coding::Brotli], &br(short)), Ok(short.to_vec()));
        assert_eq!(
            run(&[Coding::Deflate, Coding::Gzip], &gz(&zlib(&plain, true))),
            Ok(plain.clone())
        );
        assert_eq!(
            run(&[Coding::Gzip], &[gz(b"one, "), gz(b"two")].concat()),
            Ok(b"one, two".to_vec())
        );
        for coding in [Coding::Brotli, Coding::Deflate, Coding::Gzip] {
            assert_eq!(run(&[coding], b""), Ok(Vec::new()));
        }
    }

    #[test]
    fn damage_is_named() {
        let plain = text();
        for (coding, coded) in [
            (Coding::Gzip, gz(&plain)),
            (Coding::Deflate, zlib(&plain, true)),
            (Coding::Deflate, zlib(&plain, false)),
            (Coding::Brotli, br(&plain[..1000])),
        ] {
            for cut in [1, 3, coded.len() / 2, coded.len() - 1] {
                let error = run(&[coding], &coded[..cut]).unwrap_err();
                let early = [ContentError::Truncated(coding), ContentError::Corrupt(coding)];
                assert!(early.contains(&error), "{coding:?} cut at {cut}: {error}");
            }
            assert_eq!(
                run(&[coding], &[&coded[..], b"!"].concat()),
                Err(ContentError::TrailingBytes(coding))
            );
        }
        assert_eq!(run(&[Coding::Gzip], b"plain text"), Err(ContentError::Corrupt(Coding::Gzip)));
        assert_eq!(
            run(&[Coding::Gzip], &gz(&plain)[..100]),
            Err(ContentError::Truncated(Coding::Gzip))
        );
        let mut wrong_sum = gz(&plain);
        let sum = wrong_sum.len() - 5;
        wrong_sum[sum] ^= 1;
        assert_eq!(run(&[Coding::Gzip], &wrong_sum), Err(ContentError::Corrupt(Coding::Gzip)));
    }

    #[test]
    fn bombs_cost_no_more_than_the_limits() {
        let zeros = vec![0; 32 << 20];
        let bomb = gz(&zeros);
        assert_eq!(run(&[Coding::Gzip], &bomb), Err(ContentError::RatioExceeded(100)));
        let generous = DecodeLimits { max_ratio: usize::MAX, max_plain_bytes: 2 << 20 };
        assert_eq!(decode(&[Coding::Gzip], &bomb, generous), Err(ContentError::TooLarge(2 << 20)));
        let twice = gz(&bomb);
        assert_eq!(
            run(&[Coding::Gzip, Coding::Gzip], &twice),
            Err(ContentError::RatioExceeded(100))
        );
        let many: Vec<u8> = iter::repeat_n(gz(&zeros[..60_000]), 100).flatten().collect();
        assert_eq!(run(&[Coding::Gzip], &many), Err(ContentError::RatioExceeded(100)));
        // Below the free size the ratio does not matter.
        assert_eq!(
            run(&[Coding::Gzip], &gz(&zeros[..1 << 20])).map(|plain| plain.len()),
            Ok(1 << 20)
        );
    }

    #[test]
    fn large_brotli_windows_are_refused() {
        // The large-window extension: WBITS escape, then a window of 30 bits.
        assert_eq!(
            run(&[Coding::Brotli], &[0x11, 0x1e, 3]),
            Err(ContentError::Corrupt(Coding::Brotli))
        );
    }

    #[test]
    fn names_of_codings() {
        let of = |values: &[&str]| {
            let mut headers = Headers::default();
            for value in values {
                headers.push("Content-Encoding", value.as_bytes());
            }
            codings(&headers)
        };
        assert_eq!(of(&[]), Ok(vec![]));
        assert_eq!(of(&["identity, ,GZip"]), Ok(vec![Coding::Gzip]));
        assert_eq!(of(&["x-gzip", "br"]), Ok(vec![Coding::Gzip, Coding::Brotli]));
        assert_eq!(of(&["br, gzip, deflate"]), Err(ContentError::TooManyCodings));
        assert_eq!(of(&["zstd"]), Err(ContentError::UnknownCoding));
    }
}
