//! Texts made from a pattern: what random texts seldom are, they are near to a match.

use super::{
    PatternError,
    set::Set,
    syntax::{self, Node},
};

/// A text that the pattern matches, if it has no assertion but `^` at its beginning and `$` at its
/// end. `choose` picks a number below its argument, which is not 0.
pub fn sample(
    source: &str,
    choose: &mut dyn FnMut(usize) -> usize,
) -> Result<String, PatternError> {
    let mut text = String::new();
    syntax::parse(source)?.sample(choose, &mut text);
    Ok(text)
}

/// Whether the pattern has assertions, or classes that nothing is in.
pub(crate) fn asserts(source: &str) -> Result<bool, PatternError> {
    Ok(syntax::parse(source)?.asserts())
}

impl Node {
    fn sample(&self, choose: &mut dyn FnMut(usize) -> usize, text: &mut String) {
        if text.len() > MAX_SAMPLE_BYTES {
            return;
        }
        match self {
            Self::Either(nodes) => {
                if let Some(node) = nodes.get(choose(nodes.len().max(1))) {
                    node.sample(choose, text);
                }
            }
            Self::Repeat { node, min, max } => {
                let more = max.map_or(MAX_MORE, |max| (max - min).min(MAX_MORE));
                let times = (*min as usize + choose(more as usize + 1)).min(MAX_TIMES);
                (0..times).for_each(|_| node.sample(choose, text));
            }
            Self::Sequence(nodes) => nodes.iter().for_each(|node| node.sample(choose, text)),
            Self::Set(set) => text.extend(set.sample(choose)),
            Self::End | Self::Look { .. } | Self::Start | Self::WordBoundary { .. } => {}
        }
    }

    fn asserts(&self) -> bool {
        match self {
            Self::End | Self::Look { .. } | Self::Start | Self::WordBoundary { .. } => true,
            Self::Either(nodes) | Self::Sequence(nodes) => nodes.iter().any(Self::asserts),
            Self::Repeat { node, .. } => node.asserts(),
            Self::Set(set) => set.ranges().is_empty(),
        }
    }
}

impl Set {
    fn sample(&self, choose: &mut dyn FnMut(usize) -> usize) -> Option<char> {
        let &(first, last) = self.ranges().get(choose(self.ranges().len().max(1)))?;
        let offset = choose((last - first) as usize + 1);
        char::from_u32(first + u32::try_from(offset).ok()?)
    }
}

/// Times more than it must, where a pattern sets no limit.
const MAX_MORE: u32 = 3;

/// Repeats of repeats multiply. A text that is longer was cut and is not what it should be.
pub(crate) const MAX_SAMPLE_BYTES: usize = 4 << 10;

/// More than the bytes of a text, so that it is cut by them and not by this, and fewer than a
/// pattern may ask for of what takes none.
const MAX_TIMES: usize = 2 * MAX_SAMPLE_BYTES;
