//! A view of one value on the tape.

use super::{
    node::{Node, NodeKind},
    number,
};

/// What a value is, as JSON Schema counts: an integer is a number without fraction and exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An array.
    Array,
    /// `true` or `false`.
    Boolean,
    /// A number written without fraction and exponent.
    Integer,
    /// `null`.
    Null,
    /// Any other number.
    Number,
    /// An object.
    Object,
    /// A string.
    String,
}

/// A text that was read. Has no `Debug` of its content: what was received is never printed.
#[derive(Clone, Copy)]
pub struct Json<'a> {
    pub(super) text: &'a str,
    pub(super) unescaped: &'a str,
    pub(super) nodes: &'a [Node],
}

/// A value in it: two words, since it is handed on with every step of a walk.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pub(super) json: &'a Json<'a>,
    pub(super) index: u32,
}

/// A number in both its forms.
#[derive(Clone, Copy)]
pub struct Number<'a> {
    /// As it was written.
    pub text: &'a str,
    /// The nearest double; finite.
    pub value: f64,
}

/// A member of an object.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Its name. Received, hence never to be printed unless a contract has the same name.
    pub name: &'a str,
    /// [`super::name_hash`] of the name.
    pub hash: u32,
    /// Its value.
    pub value: Value<'a>,
}

impl Json<'_> {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { json: self, index: 0 }
    }

    pub(super) fn node(&self, index: u32) -> Node {
        // The reader makes a tape whose links stay inside it; a view out of it would be its error,
        // and reads as `null` rather than ending the process.
        self.nodes.get(index as usize).copied().unwrap_or(Node {
            kind: NodeKind::Null,
            start: 0,
            length: 0,
            link: 0,
        })
    }

    /// Characters of a string.
    fn characters(&self, node: Node) -> Option<&str> {
        match node.kind {
            NodeKind::Text => Some(slice(self.text, node)),
            NodeKind::Unescaped => Some(slice(self.unescaped, node)),
            _ => None,
        }
    }
}

impl<'a> Value<'a> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.node().kind {
            NodeKind::Null => Kind::Null,
            NodeKind::False | NodeKind::True => Kind::Boolean,
            NodeKind::Integer => Kind::Integer,
            NodeKind::Decimal => Kind::Number,
            NodeKind::Text | NodeKind::Unescaped => Kind::String,
            NodeKind::Array => Kind::Array,
            NodeKind::Object => Kind::Object,
        }
    }

    /// Length of the text that it is from.
    #[must_use]
    pub fn text_bytes(self) -> usize {
        self.json.text.len()
    }

    /// The boolean, when it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.node().kind {
            NodeKind::False => Some(false),
            NodeKind::True => Some(true),
            _ => None,
        }
    }

    /// The characters, when it is a string.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        self.json.characters(self.node())
    }

    /// The number, when it is one.
    #[must_use]
    pub fn as_number(self) -> Option<Number<'a>> {
        let node = self.node();
        matches!(node.kind, NodeKind::Integer | NodeKind::Decimal).then(|| {
            let text = slice(self.json.text, node);
            Number { text, value: text.parse().unwrap_or(f64::NAN) }
        })
    }

    /// Number of elements or members; 0 for scalars.
    #[must_use]
    pub fn len(self) -> usize {
        match self.node().kind {
            NodeKind::Array | NodeKind::Object => self.node().length as usize,
            _ => 0,
        }
    }

    /// Whether it is a scalar, or a container with nothing in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The elements of an array; none of anything else.
    #[must_use]
    pub fn elements(self) -> Elements<'a> {
        let left = if self.kind() == Kind::Array { self.node().length } else { 0 };
        Elements { next: Value { index: self.index + 1, ..self }, left }
    }

    /// The members of an object; none of anything else.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        let left = if self.kind() == Kind::Object { self.node().length } else { 0 };
        Members { next: Value { index: self.index + 1, ..self }, left }
    }

    /// The member of this name.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Value<'a>> {
        self.members().find(|member| member.name == name).map(|member| member.value)
    }

    /// What a JSON Pointer (RFC 6901) leads to.
    #[must_use]
    pub fn pointer(self, pointer: &str) -> Option<Value<'a>> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |at, token| match at.kind() {
            Kind::Array => at.elements().nth(token.parse().ok()?),
            Kind::Object => at.member(&token.replace("~1", "/").replace("~0", "~")),
            _ => None,
        })
    }

    /// Whether both are the same JSON value: numbers by value, objects whatever their order.
    #[must_use]
    pub fn equals(self, other: Value<'_>) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Integer | Kind::Number, Kind::Integer | Kind::Number) => {
                match (self.as_number(), other.as_number()) {
                    (Some(one), Some(two)) => number::same(one.text, two.text),
                    _ => false,
                }
            }
            (Kind::Array, Kind::Array) => {
                self.len() == other.len()
                    && self.elements().zip(other.elements()).all(|(one, two)| one.equals(two))
            }
            (Kind::Object, Kind::Object) => {
                self.len() == other.len()
                    && self.members().all(|member| {
                        other.member(member.name).is_some_and(|value| member.value.equals(value))
                    })
            }
            (Kind::String, Kind::String) => self.as_str() == other.as_str(),
            (Kind::Boolean, Kind::Boolean) => self.as_bool() == other.as_bool(),
            (one, two) => one == two,
        }
    }

    fn node(self) -> Node {
        self.json.node(self.index)
    }

    /// Index of the node after this value.
    pub(super) fn after(self) -> u32 {
        self.node().after(self.index)
    }
}

fn slice(from: &str, node: Node) -> &str {
    let start = node.start as usize;
    from.get(start..start + node.length as usize).unwrap_or_default()
}

/// Elements of an array, in order.
#[derive(Clone)]
pub struct Elements<'a> {
    next: Value<'a>,
    left: u32,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        let value = self.next;
        self.next.index = value.after();
        Some(value)
    }
}

/// Members of an object, in order.
#[derive(Clone)]
pub struct Members<'a> {
    next: Value<'a>,
    left: u32,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        self.left = self.left.checked_sub(1)?;
        let Value { json, index } = self.next;
        let name = json.node(index);
        let value = Value { json, index: index + 1 };
        self.next.index = json.node(value.index).after(value.index);
        let hash = name.link;
        Some(Member { name: json.characters(name).unwrap_or_default(), hash, value })
    }
}
