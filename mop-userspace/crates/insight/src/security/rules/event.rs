//! What rules look at: the values of a call, each once, in every form, with the fields that it is of.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use zeroize::Zeroize as _;

use super::{
    error::{Fault, Problem},
    field::{Field, FieldName, Side},
    field_set::FieldSet,
    node::Node,
};
use crate::security::normalise::{part::Place, step::Steps};

/// The values of a call. Has no `Debug`: what was received is never printed. What it held is wiped
/// from memory when another call is taken in, and when it is dropped.
#[derive(Default)]
pub struct Event {
    /// All values, one after the other.
    bytes: Vec<u8>,
    /// Their names.
    names: Vec<u8>,
    values: Vec<Stored>,
    /// The number of the last part.
    part: u32,
    unscanned_bytes: usize,
    /// The call was answered with a status of 400 and more.
    is_error: bool,
}

/// A value of an event. Has no `Debug`.
#[derive(Clone, Copy)]
pub struct Value<'e> {
    /// Its bytes, in one form.
    pub bytes: &'e [u8],
    /// The fields that it is of.
    pub fields: FieldSet,
    /// The message whose header field it is the value of.
    pub header: Option<Side>,
    /// The name that it goes by; of header fields in small letters. Empty when there is none.
    pub name: &'e [u8],
    /// Where it stands in a message; none for what is known of a call beside its messages.
    pub place: Option<Place>,
    /// Number of the part that it is a form of; of the first form that is given of a part, nothing was
    /// done to it. 0 for what is known beside messages.
    pub part: u32,
    /// How the form was made.
    pub steps: Steps,
    /// Its shape says what it is, and no attack looks so.
    pub is_plain: bool,
    /// Nothing of it was cut off; of what is cut, the end is not known.
    pub is_whole: bool,
}

#[derive(Clone, Copy)]
struct Stored {
    start: u32,
    end: u32,
    name_start: u32,
    name_end: u32,
    fields: FieldSet,
    header: Option<Side>,
    place: Option<Place>,
    part: u32,
    steps: Steps,
    is_plain: bool,
    is_whole: bool,
}

/// A small event that is written out, as the tests of rules are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EventMap(pub(super) Vec<(Field, Vec<u8>)>);

impl Event {
    /// Wipes what it holds.
    pub fn clear(&mut self) {
        for buffer in [&mut self.bytes, &mut self.names] {
            wipe(buffer);
            buffer.clear();
        }
        self.values.clear();
        self.part = 0;
        self.unscanned_bytes = 0;
        self.is_error = false;
    }

    /// Bytes of a value were left out before it was added.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.unscanned_bytes = self.unscanned_bytes.saturating_add(bytes);
    }

    /// The number of the next part.
    pub(super) fn begin_part(&mut self) -> u32 {
        self.part = self.part.saturating_add(1);
        self.part
    }

    /// Adds a value, as far as there is room for it: one that is cut, or left out, is counted.
    pub fn push(&mut self, value: Value<'_>) {
        let Value { bytes, fields, header, name, place, part, steps, is_plain, is_whole } = value;
        let room =
            MAX_EVENT_BYTES.saturating_sub(self.bytes.len() + self.values.len() * VALUE_COST);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.unscanned_bytes = self.unscanned_bytes.saturating_add(bytes.len() - taken.len());
        if taken.is_empty() && !bytes.is_empty() || room < VALUE_COST {
            return;
        }
        let is_whole = is_whole && taken.len() == bytes.len();
        self.is_error |= place == Some(Place::Status) && matches!(bytes, [b'4' | b'5', ..]);
        let name = name.get(..MAX_NAME_BYTES).unwrap_or(name);
        let place_of = |buffer: &mut Vec<u8>, bytes: &[u8]| {
            let start = buffer.len();
            buffer.extend_from_slice(bytes);
            // Both are below a few megabytes.
            let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            (number(start), number(buffer.len()))
        };
        let (start, end) = place_of(&mut self.bytes, taken);
        let (name_start, name_end) = place_of(&mut self.names, name);
        if header.is_some()
            && let Some(name) = self.names.get_mut(name_start as usize..)
        {
            name.make_ascii_lowercase();
        }
        self.values.push(Stored {
            start,
            end,
            name_start,
            name_end,
            fields,
            header,
            place,
            part,
            steps,
            is_plain,
            is_whole,
        });
    }

    /// Each value, in their order.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.values.iter().map(|stored| self.value(stored))
    }

    /// A value by its number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<Value<'_>> {
        self.values.get(number).map(|stored| self.value(stored))
    }

    /// Each value of a field.
    pub fn values_of<'e>(&'e self, field: &'e Field) -> impl Iterator<Item = &'e [u8]> {
        let stored = self.values.iter().filter(move |stored| self.is_of(stored, field));
        stored.map(|stored| self.value(stored).bytes)
    }

    /// Bytes of the call that were not taken in, since a value or the call had too many.
    #[must_use]
    pub fn unscanned_bytes(&self) -> usize {
        self.unscanned_bytes
    }

    /// Whether the call was answered with a status of 400 and more.
    pub(super) fn is_error(&self) -> bool {
        self.is_error
    }

    /// Whether a key in PEM may begin. Values that end and begin with hyphens count, too.
    pub(super) fn has_run_of_hyphens(&self) -> bool {
        has_run_of_hyphens(&self.bytes)
    }

    fn is_of(&self, stored: &Stored, field: &Field) -> bool {
        match field {
            Field::Header(..) => self.value(stored).is_of(field),
            field => stored.fields.has(field),
        }
    }

    #[inline]
    fn value(&self, stored: &Stored) -> Value<'_> {
        let Stored {
            start,
            end,
            name_start,
            name_end,
            fields,
            header,
            place,
            part,
            steps,
            is_plain,
            is_whole,
        } = *stored;
        Value {
            bytes: self.bytes.get(start as usize..end as usize).unwrap_or_default(),
            fields,
            header,
            name: self.names.get(name_start as usize..name_end as usize).unwrap_or_default(),
            place,
            part,
            steps,
            is_plain,
            is_whole,
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.names.as_mut_slice().zeroize();
    }
}

/// Whether five hyphens follow each other, as where a key in PEM begins.
pub(super) fn has_run_of_hyphens(bytes: &[u8]) -> bool {
    static HYPHENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"-----"));
    HYPHENS.find(bytes).is_some()
}

/// Overwrites a buffer that is used again. What is written is read by what follows for all that the
/// compiler knows, so it stays; as words, where volatile writes go byte by byte.
fn wipe(buffer: &mut [u8]) {
    buffer.fill(0);
    std::hint::black_box(buffer);
}

impl<'e> Value<'e> {
    /// What is known of a call beside its messages.
    #[must_use]
    pub const fn fact(fields: FieldSet, bytes: &'e [u8]) -> Self {
        let steps = Steps::NONE;
        Self {
            bytes,
            fields,
            header: None,
            name: &[],
            place: None,
            part: 0,
            steps,
            is_plain: true,
            is_whole: true,
        }
    }

    /// Whether it is of a field.
    #[must_use]
    pub fn is_of(&self, field: &Field) -> bool {
        match field {
            Field::Header(side, name) => self.header == Some(*side) && self.name == name.as_bytes(),
            field => self.fields.has(field),
        }
    }
}

impl EventMap {
    /// Adds a value.
    pub fn push(&mut self, field: Field, value: impl Into<Vec<u8>>) {
        self.0.push((field, value.into()));
    }

    /// Its fields and values, as they were written.
    pub fn entries(&self) -> impl Iterator<Item = (&Field, &[u8])> {
        self.0.iter().map(|(field, value)| (field, value.as_slice()))
    }

    /// Reads a mapping of fields to a value or a list of values.
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        let mut event = Self::default();
        if node.value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(event);
        }
        for (name, below) in node.entries()? {
            let Ok(field) = FieldName::new(name).resolve() else {
                return Err(node.fault(Problem::UnknownKey(name.to_owned())));
            };
            for value in below.one_or_more(MAX_EVENT_VALUES)? {
                let is_empty = value.value.as_str() == Some("");
                let text = if is_empty { String::new() } else { value.text(MAX_VALUE_BYTES)? };
                event.push(field.clone(), text);
            }
        }
        Ok(event)
    }

    /// The same with `{n}` replaced by a number in each value.
    pub(super) fn numbered(&self, number: u64) -> Self {
        let number = number.to_string();
        let replace = |(field, value): &(Field, Vec<u8>)| {
            let text = String::from_utf8_lossy(value).replace("{n}", &number);
            (field.clone(), text.into_bytes())
        };
        Self(self.0.iter().map(replace).collect())
    }
}

/// Its fields only.
impl std::fmt::Debug for EventMap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(field, _)| field)).finish()
    }
}

/// Bytes of all values of a call together, each form of a value counted: a body of 256 KiB in four
/// forms. At the measured speed of automata this is a few milliseconds.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// What a value costs beside its bytes, so that many empty ones are bounded as well.
const VALUE_COST: usize = 16;

/// Names are compared with those of header fields, and told where they are short.
const MAX_NAME_BYTES: usize = 128;

/// Values of a field of a written event.
const MAX_EVENT_VALUES: usize = 64;

/// Bytes of a value of a written event.
const MAX_VALUE_BYTES: usize = 16 << 10;
