//! Lines of a stream that comes in pieces of any size.

/// What of a line has come so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// `len <= MAX_LINE_BYTES`
    begun: Vec<u8>,
}

/// A line is longer than any that is meant well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Takes in the next piece and hands over each line that it completes, without its end. The first
    /// error of a line ends it.
    pub(super) fn take<E: From<TooLong>>(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(at) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = piece.split_at_checked(at).unwrap_or((piece, &[]));
            piece = behind.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.fits(line)?;
                each(line)?;
            } else {
                self.append(line)?;
                let whole = std::mem::take(&mut self.begun);
                each(&whole)?;
            }
        }
        Ok(self.append(piece)?)
    }

    fn append(&mut self, part: &[u8]) -> Result<(), TooLong> {
        self.fits(part)?;
        self.begun.extend_from_slice(part);
        Ok(())
    }

    fn fits(&self, part: &[u8]) -> Result<(), TooLong> {
        let length = self.begun.len().saturating_add(part.len());
        if length > MAX_LINE_BYTES { Err(TooLong) } else { Ok(()) }
    }
}

/// The store of a cluster takes objects of 1.5 MiB, which JSON may write somewhat longer.
const MAX_LINE_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, TooLong> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, |line| {
                found.push(line.to_vec());
                Ok::<_, TooLong>(())
            })?;
        }
        Ok(found)
    }

    #[test]
    fn a_line_without_end_is_refused_and_costs_no_more_than_the_bound() {
        let piece = vec![b'x'; 1 << 20];
        let (mut lines, mut taken) = (Lines::default(), 0);
        while lines.take(&piece, |_| Ok::<_, TooLong>(())).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, MAX_LINE_BYTES >> 20);
        assert!(lines.begun.len() <= MAX_LINE_BYTES);
        let whole = [vec![b'x'; MAX_LINE_BYTES + 1], b"\n".to_vec()].concat();
        assert!(self::lines(&[&whole]).is_err(), "also in one piece");
    }

    #[test]
    fn an_error_ends_it() {
        let mut seen = 0;
        let taken = Lines::default().take(b"a\nb\nc\n", |line| {
            seen += 1;
            if line == b"b" { Err(TooLong) } else { Ok(()) }
        });
        assert_eq!((taken, seen), (Err(TooLong), 2));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_wherever_they_are_split(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let mut expected: Vec<Vec<u8>> =
                text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            expected.pop();
            prop_assert_eq!(lines(&pieces), Ok(expected));
        }
    }
}
