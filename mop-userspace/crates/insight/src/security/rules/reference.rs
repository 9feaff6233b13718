//! Where a value of one field stands in a value of another.

/// Where in a value something must stand.
///
/// Anywhere inside is no choice: to look for the values of one field in those of another takes more
/// than linear time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// At the end.
    End,
    /// At the start.
    Start,
    /// It is the whole value.
    Whole,
}

impl Anchor {
    /// Whether `part` stands there in `value`.
    #[must_use]
    pub fn holds(self, value: &[u8], part: &[u8], is_cased: bool) -> bool {
        let place = match self {
            Self::End => value.len().checked_sub(part.len()).and_then(|at| value.get(at..)),
            Self::Start => value.get(..part.len()),
            Self::Whole => Some(value),
        };
        place.is_some_and(
            |place| {
                if is_cased { place == part } else { place.eq_ignore_ascii_case(part) }
            },
        )
    }
}
