//! One value on the tape.

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum NodeKind {
    Null,
    False,
    True,
    /// A number with neither fraction nor exponent.
    Integer,
    /// Any other number.
    Decimal,
    /// A string that is in the text as it is.
    Text,
    /// A string with escapes: its characters are in the side buffer.
    Unescaped,
    Array,
    Object,
}

/// Sixteen bytes a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Where its characters begin: in the text, or in the side buffer.
    pub(super) start: u32,
    /// Scalars: length of its characters. Containers: number of elements or members.
    pub(super) length: u32,
    /// Containers: index of the node after the last descendant. Names of members: their hash.
    pub(super) link: u32,
}

impl Node {
    /// Index of the node after this value, which is at `index`.
    pub(super) fn after(self, index: u32) -> u32 {
        match self.kind {
            NodeKind::Array | NodeKind::Object => self.link,
            _ => index + 1,
        }
    }
}
