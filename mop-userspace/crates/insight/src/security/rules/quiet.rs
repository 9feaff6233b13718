//! Short values in which no detector found anything: user agents, hosts and paths of lists are the same
//! in thousands of calls, and whatever a call has comes again where several processes of a node show
//! it. Each is looked at once.
//!
//! Only keyed digests are kept, in a table of fixed size; the key is of the process, so nobody can
//! make a value that is taken for another.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
};

use super::event::Value;

/// Digests of values, each at the place that it leads to; a later one takes the place of an earlier.
#[derive(Default)]
pub(super) struct Quiet {
    keys: RandomState,
    digests: Vec<u64>,
}

impl Quiet {
    /// What stands for a value and all that detectors see beside it; none for one that is not kept.
    pub(super) fn digest(&self, value: &Value<'_>) -> Option<u64> {
        if value.bytes.len() > MAX_BYTES {
            return None;
        }
        Some(self.keys.hash_one((value.place, value.name, value.steps, value.bytes)))
    }

    /// Whether nothing was found in it.
    pub(super) fn has(&self, digest: u64) -> bool {
        self.digests.get(place(digest)) == Some(&digest)
    }

    /// Nothing was found in it.
    pub(super) fn add(&mut self, digest: u64) {
        if self.digests.is_empty() {
            self.digests.resize(PLACES, 0);
        }
        if let Some(kept) = self.digests.get_mut(place(digest)) {
            *kept = digest;
        }
    }
}

/// Nothing of the digests.
impl fmt::Debug for Quiet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Quiet")
    }
}

fn place(digest: u64) -> usize {
    usize::try_from(digest % PLACES as u64).unwrap_or_default()
}

/// Clients of an organisation have some ten values each that do not change, and calls that are under way
/// some ten more; 32 KiB in all.
const PLACES: usize = 4096;

/// Longer values are tokens and cookies, which change.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{
        normalise::{part::Place, step::Steps},
        rules::{FieldSet, field::Side},
    };

    #[test]
    fn a_value_is_known_by_all_that_detectors_see() {
        let value = |name: &'static [u8], bytes: &'static [u8]| Value {
            bytes,
            fields: FieldSet::default(),
            header: Some(Side::Request),
            name,
            place: Some(Place::HeaderValue),
            part: 1,
            steps: Steps::default(),
            is_plain: false,
            is_whole: true,
        };
        let mut quiet = Quiet::default();
        let digest = |quiet: &Quiet, value: &Value<'_>| quiet.digest(value).unwrap_or_default();
        let kept = digest(&quiet, &value(b"host", b"a.example"));
        assert!(!quiet.has(kept));
        quiet.add(kept);
        assert!(quiet.has(digest(&quiet, &value(b"host", b"a.example"))));
        assert!(!quiet.has(digest(&quiet, &value(b"x-host", b"a.example"))));
        assert!(!quiet.has(digest(&quiet, &value(b"host", b"b.example"))));
        let of_body = Value { place: Some(Place::JsonString), ..value(b"host", b"a.example") };
        assert!(!quiet.has(digest(&quiet, &of_body)));
        assert_eq!(quiet.digest(&value(b"host", &[b'a'; MAX_BYTES + 1])), None);
    }
}
