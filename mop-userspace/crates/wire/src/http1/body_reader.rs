//! Reads the body of a message by its framing, across holes where the framing covers them.

use crate::{
    exchange::{Ending, Hole},
    flow_table::Options,
    headers::Headers,
    http1::{
        chunked::{Chunked, Step},
        framing::Framing,
    },
    message::Message,
    stream::Chunk,
};

/// Where in a body the stream stands.
#[derive(Debug)]
pub(crate) enum BodyReader {
    /// This many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    UntilEnd,
}

/// What reading did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// This many bytes were read and more may come.
    More(usize),
    /// The body ended after this many bytes.
    End(usize),
    /// After this many bytes the body cannot be followed any further.
    Failed(usize, Ending),
}

impl BodyReader {
    /// The reader of a body that has this framing; `None` when the body is empty, and so has ended.
    pub(crate) fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Length(0) => None,
            Framing::Length(bytes) => Some(Self::Length(bytes)),
            Framing::Chunked => Some(Self::Chunked(Chunked::new())),
            Framing::UntilEnd => Some(Self::UntilEnd),
        }
    }

    /// Reads the next bytes into the message. `chunk.bytes` is not empty.
    pub(crate) fn read(
        &mut self,
        chunk: Chunk<'_>,
        message: &mut Message,
        options: &Options,
    ) -> Progress {
        let at = chunk.at;
        match self {
            Self::Length(left) => {
                let take = chunk.bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let bytes = chunk.bytes.get(..take).unwrap_or_default();
                *left = left.saturating_sub(take as u64);
                message.content(bytes, *left, at, options);
                if *left > 0 {
                    return Progress::More(take);
                }
                message.end(Headers::default(), options);
                Progress::End(take)
            }
            Self::Chunked(chunked) => {
                let mut read = 0;
                while let Some(rest) = chunk.bytes.get(read..).filter(|rest| !rest.is_empty()) {
                    match chunked.step(rest) {
                        Step::Coding(bytes) => {
                            message.frame(bytes, at);
                            read += bytes;
                        }
                        Step::Content(bytes) => {
                            let content = rest.get(..bytes).unwrap_or_default();
                            message.content(content, chunked.content_left(), at, options);
                            read += bytes;
                        }
                        Step::End(bytes, trailers) => {
                            message.frame(bytes, at);
                            message.end(trailers, options);
                            return Progress::End(read + bytes);
                        }
                        Step::Failed(ending) => return Progress::Failed(read, ending),
                    }
                }
                Progress::More(read)
            }
            Self::UntilEnd => {
                message.content(chunk.bytes, 0, at, options);
                Progress::More(chunk.bytes.len())
            }
        }
    }

    /// Reads over missing bytes. The body can be followed when they are content, all of them.
    pub(crate) fn pass_hole(
        &mut self,
        hole: Hole,
        message: &mut Message,
        options: &Options,
    ) -> Progress {
        let covered = match self {
            Self::Length(left) => *left,
            Self::Chunked(chunked) => chunked.content_left(),
            Self::UntilEnd => u64::MAX,
        };
        if hole.bytes > covered {
            message.hole(hole);
            return Progress::Failed(0, Ending::LostInHole);
        }
        message.content_hole(hole);
        match self {
            Self::Length(left) => {
                *left -= hole.bytes;
                if *left == 0 {
                    message.end(Headers::default(), options);
                    return Progress::End(0);
                }
            }
            Self::Chunked(chunked) => chunked.skip_content(hole.bytes),
            Self::UntilEnd => {}
        }
        Progress::More(0)
    }

    /// True when the end of the stream is the end of the body.
    pub(crate) fn ends_with_stream(&self) -> bool {
        match self {
            Self::UntilEnd => true,
            Self::Length(_) | Self::Chunked(_) => false,
        }
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Chunked(chunked) => chunked.buffered(),
            Self::Length(_) | Self::UntilEnd => 0,
        }
    }
}
