//! JSON, read once into a flat tape.
//!
//! The tape holds one [`Node`] of sixteen bytes a value, in the order of the text, each container
//! knowing where its last descendant ends; a string without escapes stays where it is in the
//! text. Reading allocates nothing once the buffers of a [`Reader`] have grown, recurses nowhere,
//! and refuses what two readers could understand differently: a name given twice, half a
//! surrogate pair, a number beyond what a double holds. Such a text is reported as unreadable and
//! never judged by a guess.
//!
//! Why not a library: none gives a tape with byte ranges, refuses duplicate names, bounds depth
//! and number of values by its caller's limits, and says why a text was refused without quoting it.

mod hash;
mod node;
mod number;
mod reader;
mod string;
mod value;

pub(crate) use hash::is_same_name;
pub use hash::name_hash;
pub use reader::{
    MAX_BYTES, MAX_DEPTH, MAX_NUMBER_BYTES, MAX_VALUES, Reader, Unreadable, UnreadableKind,
};
pub use value::{Elements, Json, Kind, Member, Members, Number, Value};
