//! The forms in which a process may read a value.
//!
//! ```text
//! as sent --decode--> once decoded --decode--> twice decoded ...   at most MAX_DEPTH times
//!    |                     |
//!    +--base64--> ...      +--base64--> ...                         at most MAX_DECODED in all
//! each, the deepest first: resolved as a path;
//!                          escapes of scripts, comments, white space and case folded
//! ```
//!
//! One step of decoding takes off one layer of percent-encoding, character references and escapes
//! together, since what is mixed is meant to be missed. What would destroy the traces of another
//! attack, such as `\` in paths, is only done on views that nothing else is made from.
//!
//! Each different view is given once, the value as it was sent first. Case is kept but for the last
//! views, so words are to be matched whatever their case.

use super::{
    decode::{base64, script, squash},
    marks::Marks,
    step::{Kind, Step, Steps},
};

/// Makes views of values one after the other; buffers are kept.
pub struct Chain {
    /// Views of the value at hand beside the value itself; the first `made` are in use.
    nodes: Vec<Node>,
    made: usize,
    /// Where a view is made, and what it is made from.
    candidate: Vec<u8>,
    input: Vec<u8>,
    /// Bytes that may still be decoded.
    left_of_value: usize,
    left_of_exchange: usize,
    is_cut: bool,
    /// Buffers hold something of the exchange at hand.
    has_decoded: bool,
    /// Bytes that decoders read since the chain was made.
    work: u64,
}

/// One view.
#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    steps: Steps,
    depth: usize,
}

/// One form of a value. Has no `Debug`: what was received is never printed.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What was done to the value; nothing when it is as it was sent.
    pub steps: Steps,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Views that were given.
    pub views: usize,
    /// A limit kept something from being decoded.
    pub is_cut: bool,
}

impl Chain {
    /// With empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            made: 0,
            candidate: Vec::new(),
            input: Vec::new(),
            left_of_value: 0,
            left_of_exchange: MAX_DECODED_EXCHANGE_BYTES,
            is_cut: false,
            has_decoded: false,
            work: 0,
        }
    }

    /// Another exchange begins: its limit is counted anew, and what the last one had decoded is wiped.
    pub fn begin_exchange(&mut self) {
        self.left_of_exchange = MAX_DECODED_EXCHANGE_BYTES;
        if !std::mem::take(&mut self.has_decoded) {
            return;
        }
        let of_nodes = self.nodes.iter_mut().map(|node| &mut node.bytes);
        for buffer in of_nodes.chain([&mut self.candidate, &mut self.input]) {
            wipe(buffer);
        }
    }

    /// Gives each different view of a value once, at most [`MAX_VIEWS`]. Only the first
    /// [`MAX_DECODED_VALUE_BYTES`] of a value are decoded; the first view is the whole.
    pub fn views(&mut self, value: &[u8], kind: Kind, give: &mut dyn FnMut(View<'_>)) -> Given {
        self.made = 0;
        self.left_of_value = MAX_DECODED_VALUE_BYTES;
        let head = value.get(..MAX_DECODED_VALUE_BYTES);
        self.is_cut = value.len() > MAX_DECODED_VALUE_BYTES;
        let sent = head.unwrap_or(value);
        let source = Source { sent, marks: self.look(sent), kind };
        // Most values hold nothing to be decoded.
        if !source.marks.is_empty() || kind == Kind::Path {
            self.has_decoded = true;
            self.decode_all(source);
            self.fold_all(source);
        }
        give(View { bytes: value, steps: Steps::default() });
        for Node { bytes, steps, depth: _ } in self.nodes.iter().take(self.made) {
            give(View { bytes, steps: *steps });
        }
        Given { views: self.made + 1, is_cut: self.is_cut }
    }

    /// Bytes that decoders read since the chain was made, for tests and metrics.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Decodes the value, then what that gave, level by level.
    fn decode_all(&mut self, source: Source<'_>) {
        self.decode_one(source, source.sent, source.marks, Steps::default(), 0);
        let mut next = 0;
        while next < self.made && self.made + 1 < MAX_DECODED {
            let Some(node) = self.nodes.get_mut(next) else { break };
            let Node { bytes, steps, depth } = std::mem::take(node);
            if depth < MAX_DEPTH {
                let marks = self.look(&bytes);
                self.decode_one(source, &bytes, marks, steps, depth);
            }
            if let Some(node) = self.nodes.get_mut(next) {
                *node = Node { bytes, steps, depth };
            }
            next += 1;
        }
    }

    /// Decodes one view by one layer, and what it has of base64.
    fn decode_one(
        &mut self,
        source: Source<'_>,
        view: &[u8],
        marks: Marks,
        steps: Steps,
        depth: usize,
    ) {
        let mut taken = Steps::default();
        for (step, needs) in LAYER {
            // What a step wrote may hold what the later ones look for.
            let marks = if taken == Steps::default() { marks } else { self.look_at_input() };
            let is_space =
                step == Step::Percent && source.kind == Kind::Form && marks.any(Marks::PLUS);
            if !is_space && !marks.any(needs) {
                continue;
            }
            let input = if taken == Steps::default() { view } else { &self.input };
            self.work += input.len() as u64;
            self.candidate.clear();
            if step.run(input, source.kind, &mut self.candidate) {
                std::mem::swap(&mut self.input, &mut self.candidate);
                taken = taken.with(step);
            }
        }
        if taken != Steps::default() {
            std::mem::swap(&mut self.input, &mut self.candidate);
            self.admit(source, view, steps.and(taken), depth + 1, MAX_DECODED);
        }
        if marks.any(Marks::BASE64) {
            self.work += 2 * view.len() as u64;
            self.candidate.clear();
            if base64::decode(view, &mut self.candidate) {
                self.admit(source, view, steps.with(Step::Base64), depth + 1, MAX_DECODED);
            }
        }
    }

    /// Folds each view, the deepest first, as long as there is room.
    fn fold_all(&mut self, source: Source<'_>) {
        let decoded = self.made;
        for index in (0..decoded).rev() {
            let Some(node) = self.nodes.get_mut(index) else { break };
            let Node { bytes, steps, depth } = std::mem::take(node);
            let marks = self.look(&bytes);
            self.fold_one(source, &bytes, marks, steps, depth);
            if let Some(node) = self.nodes.get_mut(index) {
                *node = Node { bytes, steps, depth };
            }
        }
        self.fold_one(source, source.sent, source.marks, Steps::default(), 0);
    }

    fn fold_one(
        &mut self,
        source: Source<'_>,
        view: &[u8],
        marks: Marks,
        steps: Steps,
        depth: usize,
    ) {
        if self.made + 1 >= MAX_VIEWS {
            return;
        }
        if source.kind == Kind::Path || marks.any(Marks::DOTS) {
            self.work += view.len() as u64;
            self.candidate.clear();
            if Step::Path.run(view, source.kind, &mut self.candidate) {
                self.admit(source, view, steps.with(Step::Path), depth, MAX_VIEWS);
            }
        }
        if !marks.any(Marks::BACKSLASH | Marks::FILLING) {
            return;
        }
        self.work += 2 * view.len() as u64;
        self.input.clear();
        let mut steps = steps.with(Step::Squash);
        if script::decode(view, &mut self.input) {
            steps = steps.with(Step::Script);
        }
        self.candidate.clear();
        squash::decode(&self.input, &mut self.candidate);
        self.admit(source, view, steps, depth, MAX_VIEWS);
    }

    /// Makes the candidate a view, if it is none yet and there is room.
    fn admit(&mut self, source: Source<'_>, view: &[u8], steps: Steps, depth: usize, most: usize) {
        let room = self.left_of_value.min(self.left_of_exchange);
        if self.candidate.len() > room {
            self.is_cut = true;
            self.candidate.truncate(room);
        }
        let candidate = &self.candidate;
        let is_known = candidate.is_empty()
            || candidate == source.sent
            || candidate == view
            || self.nodes.iter().take(self.made).any(|node| node.bytes == *candidate);
        if is_known {
            return;
        }
        if self.made + 1 >= most {
            self.is_cut = true;
            return;
        }
        self.left_of_value -= candidate.len();
        self.left_of_exchange -= candidate.len();
        if self.nodes.len() == self.made {
            self.nodes.push(Node::default());
        }
        if let Some(node) = self.nodes.get_mut(self.made) {
            std::mem::swap(&mut node.bytes, &mut self.candidate);
            node.steps = steps;
            node.depth = depth;
            self.made += 1;
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Marks {
        self.work += bytes.len() as u64;
        Marks::of(bytes)
    }

    fn look_at_input(&mut self) -> Marks {
        self.work += self.input.len() as u64;
        Marks::of(&self.input)
    }
}

/// Empties a buffer and leaves nothing of what it held. A large one is given back, which leaves that to
/// the allocator of the program.
fn wipe(buffer: &mut Vec<u8>) {
    let kept = buffer.capacity();
    if kept > MAX_KEPT_BYTES {
        *buffer = Vec::new();
        return;
    }
    buffer.resize(kept, 0);
    buffer.fill(0);
    std::hint::black_box(buffer.as_mut_slice());
    buffer.clear();
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// The value that views are made of.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// As much of it as is decoded.
    sent: &'a [u8],
    /// What that holds.
    marks: Marks,
    kind: Kind,
}

/// Steps of one layer, in this order, each with what it needs to see. Null bytes come last, since
/// the others may make some.
const LAYER: [(Step, u16); 5] = [
    (Step::Percent, Marks::PERCENT),
    (Step::Html, Marks::REFERENCE),
    (Step::Escape, Marks::BACKSLASH | Marks::PERCENT),
    (Step::Ascii, Marks::WIDE),
    (Step::Null, Marks::NULL),
];

/// What most values need; wiping that much takes no time that counts.
const MAX_KEPT_BYTES: usize = 1 << 10;

/// Views of one value. Each costs a whole matching: as sent, three decoded and two folded ones are
/// what a doubly encoded value in base64 needs.
pub const MAX_VIEWS: usize = 6;

/// Views that are decoded, the value as it was sent among them; the rest is for folded ones.
pub const MAX_DECODED: usize = 4;

/// Layers that are taken off. Servers behind proxies decode twice; base64 around that makes three.
pub const MAX_DEPTH: usize = 3;

/// Bytes of all views of a value beside the value itself. Payloads are short; what is longer is an
/// upload, and its start is looked at.
pub const MAX_DECODED_VALUE_BYTES: usize = 64 << 10;

/// The same of all values of an exchange: a quote of 173 KB that is encoded throughout is decoded as
/// a whole.
pub const MAX_DECODED_EXCHANGE_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests;
