//! From bytes to a tape.

use thiserror::Error;

use super::{
    hash::name_hash,
    node::{Node, NodeKind},
    number, string,
    value::{Json, Value},
};

/// Reads texts one after the other into the same buffers.
#[derive(Default)]
pub struct Reader {
    nodes: Vec<Node>,
    /// Characters of the strings that had escapes.
    unescaped: String,
    /// Containers that are not closed yet, outermost first.
    open: Vec<Open>,
    /// Names of one large object, sorted.
    sorted: Vec<u32>,
}

/// A container that is not closed yet.
struct Open {
    /// Its node.
    index: u32,
    /// Its elements or members so far.
    length: u32,
    is_object: bool,
}

/// Why a text is not judged.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{kind} at byte {offset}")]
pub struct Unreadable {
    /// What is wrong.
    pub kind: UnreadableKind,
    /// Where it was noticed.
    pub offset: u32,
}

/// What makes a text unreadable.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UnreadableKind {
    /// An object gives a name twice; readers differ in which one they take (RFC 8259, section 4).
    #[error("a name is given twice in an object")]
    DuplicateName,
    /// Half of a surrogate pair, which is no character (RFC 8259, section 8.2).
    #[error("half a surrogate pair")]
    LoneSurrogate,
    /// Bytes that are not UTF-8 (RFC 8259, section 8.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// A number that no double holds, or with more than [`MAX_NUMBER_BYTES`] characters.
    #[error("a number too large to be compared")]
    NumberTooLarge,
    /// Not JSON.
    #[error("not JSON")]
    Syntax,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Longer than [`MAX_BYTES`].
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_VALUES`] values.
    #[error("more than {MAX_VALUES} values")]
    TooManyValues,
}

impl Reader {
    /// Reads a text of exactly one value.
    pub fn read<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Json<'a>, Unreadable> {
        if bytes.len() > MAX_BYTES {
            return Err(Unreadable { kind: UnreadableKind::TooLong, offset: MAX_BYTES as u32 });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Unreadable {
            kind: UnreadableKind::NotUtf8,
            offset: error.valid_up_to() as u32,
        })?;
        self.clear();
        let mut scan = Scan { text, bytes, at: 0, tape: self };
        if let Err(kind) = scan.document() {
            let offset = scan.at as u32;
            return Err(Unreadable { kind, offset });
        }
        Ok(Json { text, unescaped: &self.unescaped, nodes: &self.nodes })
    }

    /// Takes a text as one string, as headers and parameters are.
    pub fn string<'a>(&'a mut self, text: &'a str) -> Json<'a> {
        self.scalar(text, NodeKind::Text)
    }

    /// Takes a text that [`Reader::is_number`] as a number.
    pub fn number<'a>(&'a mut self, text: &'a str) -> Json<'a> {
        let is_integer = number::scan(text.as_bytes()).is_some_and(|(_, integer)| integer);
        self.scalar(text, if is_integer { NodeKind::Integer } else { NodeKind::Decimal })
    }

    /// Takes a text as a boolean: `true`, or else `false`.
    pub fn boolean<'a>(&'a mut self, text: &'a str) -> Json<'a> {
        self.scalar(text, if text == "true" { NodeKind::True } else { NodeKind::False })
    }

    /// Whether a text is a number of JSON, and one that can be compared.
    #[must_use]
    pub fn is_number(text: &str) -> bool {
        number::scan(text.as_bytes()).is_some_and(|(length, _)| {
            length == text.len()
                && length <= MAX_NUMBER_BYTES
                && text.parse::<f64>().is_ok_and(f64::is_finite)
        })
    }

    fn scalar<'a>(&'a mut self, text: &'a str, kind: NodeKind) -> Json<'a> {
        self.clear();
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { kind, start: 0, length, link: 0 });
        Json { text, unescaped: &self.unescaped, nodes: &self.nodes }
    }

    fn clear(&mut self) {
        self.nodes.clear();
        self.unescaped.clear();
        self.open.clear();
        // One giant body must not hold its memory for ever.
        if self.nodes.capacity() > KEPT_VALUES {
            self.nodes.shrink_to(KEPT_VALUES);
        }
        if self.unescaped.capacity() > KEPT_BYTES {
            self.unescaped.shrink_to(KEPT_BYTES);
        }
        if self.sorted.capacity() > KEPT_VALUES {
            self.sorted.shrink_to(KEPT_VALUES);
        }
    }
}

/// One reading in progress.
struct Scan<'t, 'a> {
    text: &'a str,
    /// The same as bytes.
    bytes: &'a [u8],
    at: usize,
    tape: &'t mut Reader,
}

impl Scan<'_, '_> {
    fn document(&mut self) -> Result<(), UnreadableKind> {
        loop {
            // A value is due, after the name when it is a member.
            if self.value()? {
                continue;
            }
            // A value has ended: so may the containers around it.
            loop {
                self.skip_space();
                let Some(open) = self.tape.open.last_mut() else {
                    return if self.at == self.bytes.len() {
                        Ok(())
                    } else {
                        Err(UnreadableKind::Syntax)
                    };
                };
                open.length += 1;
                match (self.bytes.get(self.at), open.is_object) {
                    (Some(b','), is_object) => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        self.close()?;
                    }
                    _ => return Err(UnreadableKind::Syntax),
                }
            }
        }
    }

    /// Reads a scalar or an empty container (`false`), or opens a container (`true`: a value is
    /// due next).
    fn value(&mut self) -> Result<bool, UnreadableKind> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b'"') => self.string(false).map(|()| false),
            Some(b'{') => self.container(NodeKind::Object, b'}'),
            Some(b'[') => self.container(NodeKind::Array, b']'),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.literal(b"true", NodeKind::True),
            Some(b'f') => self.literal(b"false", NodeKind::False),
            Some(b'n') => self.literal(b"null", NodeKind::Null),
            _ => Err(UnreadableKind::Syntax),
        }
    }

    fn container(&mut self, kind: NodeKind, end: u8) -> Result<bool, UnreadableKind> {
        if self.tape.open.len() >= MAX_DEPTH {
            return Err(UnreadableKind::TooDeep);
        }
        let index = self.tape.nodes.len() as u32;
        self.push(Node { kind, start: self.at as u32, length: 0, link: index + 1 })?;
        self.at += 1;
        self.skip_space();
        if self.bytes.get(self.at) == Some(&end) {
            self.at += 1;
            return Ok(false);
        }
        let is_object = kind == NodeKind::Object;
        self.tape.open.push(Open { index, length: 0, is_object });
        if is_object {
            self.name()?;
        }
        Ok(true)
    }

    /// Ends the innermost container.
    fn close(&mut self) -> Result<(), UnreadableKind> {
        let Some(Open { index, length, is_object }) = self.tape.open.pop() else {
            return Err(UnreadableKind::Syntax);
        };
        let link = self.tape.nodes.len() as u32;
        if let Some(node) = self.tape.nodes.get_mut(index as usize) {
            node.length = length;
            node.link = link;
        }
        if is_object && self.has_duplicate_names(index, length) {
            return Err(UnreadableKind::DuplicateName);
        }
        Ok(())
    }

    fn name(&mut self) -> Result<(), UnreadableKind> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(UnreadableKind::Syntax);
        }
        self.string(true)?;
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(UnreadableKind::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self, is_name: bool) -> Result<(), UnreadableKind> {
        let start = self.at + 1;
        let end = start + string::plain_run(self.bytes.get(start..).unwrap_or_default());
        if self.bytes.get(end) != Some(&b'"') {
            return self.escaped_string(start, end, is_name);
        }
        self.at = end + 1;
        let link = if is_name { name_hash(self.slice(start, end)) } else { 0 };
        self.push(Node {
            kind: NodeKind::Text,
            start: start as u32,
            length: (end - start) as u32,
            link,
        })
    }

    fn escaped_string(
        &mut self,
        start: usize,
        mut end: usize,
        is_name: bool,
    ) -> Result<(), UnreadableKind> {
        let unescaped = self.tape.unescaped.len();
        let mut run = start;
        loop {
            self.at = end;
            self.tape.unescaped.push_str(self.text.get(run..end).unwrap_or_default());
            match self.bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let after = self.bytes.get(end + 1..).unwrap_or_default();
                    let (character, length) = string::escape(after)?;
                    self.tape.unescaped.push(character);
                    run = end + 1 + length;
                    end = run + string::plain_run(self.bytes.get(run..).unwrap_or_default());
                }
                _ => return Err(UnreadableKind::Syntax),
            }
        }
        self.at = end + 1;
        let characters = self.tape.unescaped.get(unescaped..).unwrap_or_default();
        let (length, link) =
            (characters.len() as u32, if is_name { name_hash(characters) } else { 0 });
        self.push(Node { kind: NodeKind::Unescaped, start: unescaped as u32, length, link })
    }

    fn number(&mut self) -> Result<(), UnreadableKind> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (length, integer) = number::scan(rest).ok_or(UnreadableKind::Syntax)?;
        if length > MAX_NUMBER_BYTES {
            return Err(UnreadableKind::NumberTooLarge);
        }
        if length > ALWAYS_FINITE_BYTES || !integer {
            let value: f64 = self
                .slice(self.at, self.at + length)
                .parse()
                .map_err(|_never| UnreadableKind::Syntax)?;
            if !value.is_finite() {
                return Err(UnreadableKind::NumberTooLarge);
            }
        }
        let start = self.at as u32;
        self.at += length;
        let kind = if integer { NodeKind::Integer } else { NodeKind::Decimal };
        self.push(Node { kind, start, length: length as u32, link: 0 })
    }

    fn literal(&mut self, word: &[u8], kind: NodeKind) -> Result<bool, UnreadableKind> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return Err(UnreadableKind::Syntax);
        }
        self.push(Node { kind, start: self.at as u32, length: word.len() as u32, link: 0 })?;
        self.at += word.len();
        Ok(false)
    }

    fn push(&mut self, node: Node) -> Result<(), UnreadableKind> {
        if self.tape.nodes.len() >= MAX_VALUES {
            return Err(UnreadableKind::TooManyValues);
        }
        self.tape.nodes.push(node);
        Ok(())
    }

    /// The text between two ASCII characters.
    fn slice(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn has_duplicate_names(&mut self, index: u32, length: u32) -> bool {
        let Reader { nodes, unescaped, sorted, .. } = &mut *self.tape;
        let json = Json { text: self.text, unescaped, nodes };
        let object = Value { json: &json, index };
        if length as usize <= FEW_NAMES {
            // A set of bits tells most objects apart without comparing any two names.
            let mut seen = [0_u64; 4];
            let mut at = index + 1;
            for place in 0..length as usize {
                let hash = json.node(at).link;
                at = json.node(at + 1).after(at + 1);
                let (word, bit) = (hash as usize >> 6 & 3, 1 << (hash & 63));
                let Some(word) = seen.get_mut(word) else { continue };
                if *word & bit != 0 && has_same_name_before(object, place) {
                    return true;
                }
                *word |= bit;
            }
            return false;
        }
        sorted.clear();
        let mut at = index + 1;
        for member in object.members() {
            sorted.push(at);
            at = member.value.after();
        }
        let name = |at: &u32| Value { index: *at, ..object }.as_str().unwrap_or_default();
        sorted.sort_unstable_by(|one, two| name(one).cmp(name(two)));
        sorted.windows(2).any(|pair| matches!(pair, [one, two] if name(one) == name(two)))
    }
}

/// Whether a member has the name of one before it.
fn has_same_name_before(object: Value<'_>, place: usize) -> bool {
    let Some(member) = object.members().nth(place) else { return false };
    object
        .members()
        .take(place)
        .any(|before| before.hash == member.hash && before.name == member.name)
}

/// A page of a thousand policies has some 4 MB.
pub const MAX_BYTES: usize = 32 << 20;

/// The deepest published schema has 29 levels.
pub const MAX_DEPTH: usize = 128;

/// 32 MiB of tape.
pub const MAX_VALUES: usize = 2 << 20;

/// A double has at most 309 digits before its point, and what is longer is no amount.
pub const MAX_NUMBER_BYTES: usize = 320;

/// An integer this short is always finite.
const ALWAYS_FINITE_BYTES: usize = 300;

/// Below this, names are compared with each other; above, they are sorted.
const FEW_NAMES: usize = 64;

/// Room that a reader keeps from one text to the next: 4 MiB of tape,
const KEPT_VALUES: usize = 256 << 10;
/// and 1 MiB of characters.
const KEPT_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Tree;

    use super::*;
    use crate::json::Kind;

    /// The tape as a tree, to be compared with another reader's.
    fn tree(value: Value<'_>) -> Tree {
        match value.kind() {
            Kind::Null => Tree::Null,
            Kind::Boolean => Tree::Bool(value.as_bool().expect("a boolean")),
            Kind::Integer | Kind::Number => {
                serde_json::from_str(value.as_number().expect("a number").text).expect("a number")
            }
            Kind::String => Tree::String(value.as_str().expect("a string").to_owned()),
            Kind::Array => Tree::Array(value.elements().map(tree).collect()),
            Kind::Object => Tree::Object(
                value
                    .members()
                    .map(|member| (member.name.to_owned(), tree(member.value)))
                    .collect(),
            ),
        }
    }

    fn refused(text: &[u8]) -> UnreadableKind {
        Reader::default().read(text).map(|_| ()).expect_err("refused").kind
    }

    #[test]
    fn texts_that_readers_differ_on_are_refused() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        let long_number = "1".repeat(MAX_NUMBER_BYTES + 1);
        for (text, expected) in [
            (&b"{\"a\":1,\"b\":2,\"a\":3}"[..], UnreadableKind::DuplicateName),
            (b"{\"a\":1,\"\\u0061\":3}", UnreadableKind::DuplicateName),
            (b"[\"\\ud800\"]", UnreadableKind::LoneSurrogate),
            (b"[\"\\ud800\\u0041\"]", UnreadableKind::LoneSurrogate),
            (b"[\"\\udc00\"]", UnreadableKind::LoneSurrogate),
            (b"[\"\xff\"]", UnreadableKind::NotUtf8),
            (b"[1e400]", UnreadableKind::NumberTooLarge),
            (long_number.as_bytes(), UnreadableKind::NumberTooLarge),
            (deep.as_bytes(), UnreadableKind::TooDeep),
            (b"", UnreadableKind::Syntax),
            (b"[1,]", UnreadableKind::Syntax),
            (b"{,}", UnreadableKind::Syntax),
            (b"{\"a\"}", UnreadableKind::Syntax),
            (b"{\"a\":}", UnreadableKind::Syntax),
            (b"[1}", UnreadableKind::Syntax),
            (b"[\"a\x01\"]", UnreadableKind::Syntax),
            (b"\xef\xbb\xbf{}", UnreadableKind::Syntax),
            (b"1 2", UnreadableKind::Syntax),
            (b"[\"\\x\"]", UnreadableKind::Syntax),
            (b"nul", UnreadableKind::Syntax),
        ] {
            assert_eq!(refused(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn names_of_large_objects_are_compared_too() {
        let members = |last: &str| {
            let mut text = String::from("{");
            for number in 0..1000 {
                text += &format!("\"same-start-{number:04}-same-end\":0,");
            }
            text + &format!("\"{last}\":0}}")
        };
        assert!(Reader::default().read(members("other").as_bytes()).is_ok());
        let twice = members("same-start-0123-same-end");
        assert_eq!(refused(twice.as_bytes()), UnreadableKind::DuplicateName);
    }

    #[test]
    fn bounds_hold() {
        let too_many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(refused(too_many.as_bytes()), UnreadableKind::TooManyValues);
        assert_eq!(refused(&vec![b' '; MAX_BYTES + 1]), UnreadableKind::TooLong);
    }

    #[test]
    fn buffers_shrink_after_a_giant() {
        let mut reader = Reader::default();
        let giant = format!("[{}0]", "0,".repeat(KEPT_VALUES * 2));
        assert!(reader.read(giant.as_bytes()).is_ok());
        assert!(reader.read(b"1").is_ok());
        assert!(reader.nodes.capacity() <= KEPT_VALUES);
    }

    #[test]
    fn pointers_lead_to_values() {
        let mut reader = Reader::default();
        let json = reader.read(br#"{"a/b":[1,{"c~":"x"}]}"#).expect("JSON");
        let json = json.root();
        assert_eq!(json.pointer("/a~1b/1/c~0").and_then(Value::as_str), Some("x"));
        assert!(json.pointer("/a~1b/2").is_none());
        assert!(json.pointer("nowhere").is_none());
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let scalar = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::Bool),
            any::<i64>().prop_map(Tree::from),
            any::<u64>().prop_map(Tree::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Tree::from),
            ".*".prop_map(Tree::String),
        ];
        scalar.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::Array),
                prop::collection::btree_map(".{0,12}", inner, 0..8)
                    .prop_map(|members| Tree::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_library_writes_is_read_back(expected in any_tree(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&expected)
            } else {
                serde_json::to_string(&expected)
            };
            let text = text.expect("a tree is JSON");
            let mut reader = Reader::default();
            let json = reader.read(text.as_bytes()).expect("JSON");
            let json = json.root();
            prop_assert_eq!(tree(json), expected);
            prop_assert!(json.equals(json));
        }

        #[test]
        fn both_libraries_refuse_the_same_texts(
            text in r#"[\[\]{},:"\\u0-9aeEd.+\- tfnrul]{0,24}"#
        ) {
            let mut reader = Reader::default();
            let ours = reader.read(text.as_bytes());
            let ours = ours.map(|json| tree(json.root())).map_err(|error| error.kind);
            let theirs = serde_json::from_str::<Tree>(&text);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Err(UnreadableKind::Syntax | UnreadableKind::NumberTooLarge), Err(_)) => {}
                // The other library keeps the last of equal names.
                (Err(UnreadableKind::DuplicateName), _) => {}
                (Err(UnreadableKind::LoneSurrogate), Err(_)) => {}
                (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
            }
        }
    }
}
