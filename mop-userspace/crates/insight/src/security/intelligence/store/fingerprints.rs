//! Fingerprints as a sorted array of their bytes.

/// Fingerprints of one length with the number that is found for each.
pub(super) struct Fingerprints<const N: usize>(Box<[([u8; N], u32)]>);

impl<const N: usize> Fingerprints<N> {
    /// Sorts them. Of equal ones the first [`MAX_EQUAL`](super::MAX_EQUAL) are kept.
    pub(super) fn new(mut all: Vec<([u8; N], u32)>) -> Self {
        all.sort_unstable();
        let mut equal = 0;
        let mut last = None;
        all.retain(|(bytes, _)| {
            equal = if last == Some(*bytes) { equal + 1 } else { 1 };
            last = Some(*bytes);
            equal <= super::MAX_EQUAL
        });
        Self(all.into())
    }

    /// Gives the numbers of all that are equal.
    pub(super) fn find(&self, wanted: &[u8; N], mut found: impl FnMut(u32)) {
        let begin = self.0.partition_point(|(bytes, _)| bytes < wanted);
        let rest = self.0.get(begin..).unwrap_or_default();
        rest.iter().take_while(|(bytes, _)| bytes == wanted).for_each(|(_, number)| found(*number));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
