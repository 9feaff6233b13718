//! Which sequences of a stream are missing.
//!
//! Of one epoch of one stream of one node, all sequences from the first to the last that were seen
//! have arrived, but for its open gaps. Arrivals may come in any order and any number of times: the
//! state after them is the same.
//!
//! Invariants: `first <= last`; gaps are disjoint and lie between `first` and `last`.

/// Sequences from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A gap: which row of the table it is, if it is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) row: Option<i64>,
    pub(crate) span: Span,
}

/// How far a stream has come, and those of its gaps that the arrivals at hand may touch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    reached: Option<Span>,
    gaps: Vec<Gap>,
    changes: Changes,
}

/// What arrivals changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Rows that are no longer as they were.
    pub(crate) touched: Vec<i64>,
    /// What was filled of gaps that were there before, with the row it was of.
    pub(crate) filled: Vec<(i64, Span)>,
    /// What is left of such gaps.
    pub(crate) left: Vec<(i64, Span)>,
    /// Gaps that are new.
    pub(crate) opened: Vec<Span>,
}

impl Span {
    pub(crate) fn length(self) -> i64 {
        self.last - self.first + 1
    }

    /// Sorted sequences as disjoint spans that are not adjacent.
    pub(crate) fn runs(sorted: impl IntoIterator<Item = i64>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for sequence in sorted {
            match runs.last_mut() {
                Some(run) if sequence <= run.last + 1 => run.last = run.last.max(sequence),
                _ => runs.push(Self { first: sequence, last: sequence }),
            }
        }
        runs
    }

    fn between(first: i64, last: i64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The parts of it before, in and after another one.
    fn parts(self, other: Self) -> [Option<Self>; 3] {
        [
            Self::between(self.first, self.last.min(other.first - 1)),
            Self::between(self.first.max(other.first), self.last.min(other.last)),
            Self::between(self.first.max(other.last + 1), self.last),
        ]
    }
}

impl Position {
    /// `gaps` are at least those between the first and the last sequence that will arrive.
    pub(crate) fn new(reached: Option<Span>, gaps: Vec<Gap>) -> Self {
        Self { reached, gaps, changes: Changes::default() }
    }

    /// These sequences have arrived.
    pub(crate) fn arrive(&mut self, run: Span) {
        let Some(reached) = self.reached else {
            self.reached = Some(run);
            return;
        };
        self.fill(run);
        let beyond = Span::between(reached.last + 1, run.first - 1);
        let before = Span::between(run.last + 1, reached.first - 1);
        self.gaps
            .extend([beyond, before].into_iter().flatten().map(|span| Gap { row: None, span }));
        self.reached =
            Some(Span { first: reached.first.min(run.first), last: reached.last.max(run.last) });
    }

    /// How far it has come, and what has changed.
    pub(crate) fn finish(self) -> (Option<Span>, Changes) {
        let Self { reached, gaps, mut changes } = self;
        changes.touched.sort_unstable();
        changes.touched.dedup();
        for Gap { row, span } in gaps {
            match row {
                None => changes.opened.push(span),
                Some(row) if changes.touched.binary_search(&row).is_ok() => {
                    changes.left.push((row, span));
                }
                Some(_) => {}
            }
        }
        changes.opened.sort_unstable();
        (reached, changes)
    }

    fn fill(&mut self, run: Span) {
        let mut gaps = Vec::with_capacity(self.gaps.len());
        for Gap { row, span } in self.gaps.drain(..) {
            let [before, filled, after] = span.parts(run);
            if let (Some(row), Some(filled)) = (row, filled) {
                self.changes.touched.push(row);
                self.changes.filled.push((row, filled));
            }
            let left = [before, after].into_iter().flatten();
            gaps.extend(left.map(|span| Gap { row, span }));
        }
        self.gaps = gaps;
    }
}

impl Changes {
    /// Sequences that are missing more than before.
    pub(crate) fn missing(&self) -> i64 {
        let opened: i64 = self.opened.iter().map(|span| span.length()).sum();
        opened - self.filled.iter().map(|(_, span)| span.length()).sum::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn span(first: i64, last: i64) -> Span {
        Span { first, last }
    }

    fn row(row: i64, first: i64, last: i64) -> Gap {
        Gap { row: Some(row), span: span(first, last) }
    }

    #[test]
    fn sequences_become_runs() {
        assert_eq!(Span::runs([1, 2, 2, 3, 7, 9, 10]), [span(1, 3), span(7, 7), span(9, 10)]);
        assert_eq!(Span::runs([]), []);
    }

    #[test]
    fn what_is_passed_over_is_a_gap() {
        let mut position = Position::new(Some(span(1, 10)), Vec::new());
        position.arrive(span(13, 15));
        let (reached, changes) = position.finish();
        assert_eq!(reached, Some(span(1, 15)));
        assert_eq!(changes.opened, [span(11, 12)]);
        assert_eq!(changes.missing(), 2);
    }

    #[test]
    fn what_comes_late_fills_a_part_of_a_gap() {
        let mut position = Position::new(Some(span(1, 20)), vec![row(7, 5, 10), row(8, 12, 13)]);
        position.arrive(span(7, 8));
        let (reached, changes) = position.finish();
        assert_eq!(reached, Some(span(1, 20)));
        assert_eq!(changes.touched, [7]);
        assert_eq!(changes.filled, [(7, span(7, 8))]);
        assert_eq!(changes.left, [(7, span(5, 6)), (7, span(9, 10))]);
        assert_eq!(changes.missing(), -2);
    }

    #[test]
    fn what_was_there_already_changes_nothing() {
        let mut position = Position::new(Some(span(1, 20)), vec![row(7, 5, 10)]);
        position.arrive(span(1, 4));
        position.arrive(span(11, 20));
        assert_eq!(position.finish(), (Some(span(1, 20)), Changes::default()));
    }

    #[test]
    fn what_comes_before_the_first_moves_it() {
        let mut position = Position::new(Some(span(10, 20)), Vec::new());
        position.arrive(span(5, 7));
        let (reached, changes) = position.finish();
        assert_eq!(reached, Some(span(5, 20)));
        assert_eq!(changes.opened, [span(8, 9)]);
    }

    /// Against a plain set, in many orders and batches.
    #[test]
    fn any_order_gives_the_same_gaps() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..500 {
            let mut seen = BTreeSet::new();
            let mut reached = None;
            let mut rows: Vec<(i64, Span)> = Vec::new();
            let mut next_row = 0;
            for _ in 0..random(12) + 1 {
                let mut batch: Vec<i64> = (0..random(10) + 1)
                    .map(|_| i64::try_from(random(40)).expect("it is small"))
                    .collect();
                batch.sort_unstable();
                let gaps = rows.iter().map(|(id, gap)| Gap { row: Some(*id), span: *gap });
                let mut position = Position::new(reached, gaps.collect());
                for run in Span::runs(batch.iter().copied()) {
                    position.arrive(run);
                }
                let before = rows.iter().map(|(_, gap)| gap.length()).sum::<i64>();
                let (now, changes) = position.finish();
                reached = now;
                rows.retain(|(id, _)| !changes.touched.contains(id));
                let kept = changes.left.iter().map(|(_, gap)| *gap);
                for gap in kept.chain(changes.opened.iter().copied()).collect::<Vec<_>>() {
                    rows.push((next_row, gap));
                    next_row += 1;
                }
                let after = rows.iter().map(|(_, gap)| gap.length()).sum::<i64>();
                assert_eq!(after - before, changes.missing());
                seen.extend(batch);
                let (first, last) = (*seen.first().expect("one"), *seen.last().expect("one"));
                assert_eq!(reached, Some(span(first, last)));
                let missing = (first..=last).filter(|sequence| !seen.contains(sequence));
                let mut gaps: Vec<Span> = rows.iter().map(|(_, gap)| *gap).collect();
                gaps.sort_unstable();
                // Adjacent gaps may have been opened one after the other: compare what is missing.
                let in_gaps: Vec<i64> = gaps.iter().flat_map(|gap| gap.first..=gap.last).collect();
                assert_eq!(in_gaps, missing.collect::<Vec<_>>());
            }
        }
    }
}
