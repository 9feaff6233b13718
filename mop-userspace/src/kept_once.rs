//! Values that many have alike, kept once.

use std::{borrow::Borrow, collections::HashSet, hash::Hash, sync::Arc};

/// Values that were asked for, up to a number of them.
///
/// What thousands of connections have alike would not only take room for each: small pieces that stay,
/// among those that come and go with calls, keep whole pages from the system.
#[derive(Debug)]
pub(crate) struct KeptOnce<T: ?Sized> {
    known: HashSet<Arc<T>>,
    most: usize,
}

impl<T: ?Sized + Eq + Hash> KeptOnce<T> {
    /// Keeps at most so many; then it begins anew. Who has one goes on having it.
    pub(crate) fn up_to(most: usize) -> Self {
        Self { known: HashSet::new(), most }
    }

    /// The value, as others have it.
    pub(crate) fn get(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.most {
            self.known.clear();
        }
        let value = value.into();
        self.known.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_one_and_there_are_never_too_many() {
        let mut kept = KeptOnce::<str>::up_to(2);
        let first = kept.get("a");
        assert!(Arc::ptr_eq(&first, &kept.get("a")));
        assert!(!Arc::ptr_eq(&first, &kept.get("b")));
        for value in ["c", "d", "e", "a"] {
            assert_eq!(&*kept.get(value), value);
            assert!(kept.known.len() <= 2);
        }
        assert_eq!(first, kept.get("a"));
    }
}
