//! Counts of a sliding time, in slots.

/// Events of the last timespan.
///
/// The time is cut into [`SLOTS`] slots; the newest is filling. So what is counted is never older
/// than the timespan, and may be up to one slot younger: to count too much would be a wrong finding,
/// to count one event less a late one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    counts: [u64; SLOTS],
    /// Number of the newest slot since the epoch.
    newest: u64,
}

impl Window {
    /// Takes an event in, as so many, and gives the number of them. One that is older than the window
    /// is not counted.
    pub(super) fn add(&mut self, amount: u64, at_ns: u64, timespan_ns: u64) -> u64 {
        let slot = at_ns / (timespan_ns / SLOTS as u64).max(1);
        let passed = slot.saturating_sub(self.newest);
        for cleared in (self.newest + 1..=slot).take(SLOTS) {
            // When more slots passed than there are, all of them are met.
            if let Some(count) = self.counts.get_mut(place(cleared)) {
                *count = 0;
            }
        }
        self.newest += passed;
        if self.newest - slot.min(self.newest) < SLOTS as u64
            && let Some(count) = self.counts.get_mut(place(slot))
        {
            *count = count.saturating_add(amount);
        }
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).unwrap_or_default()
}

/// The last sixteenth of the time may be missing; 128 bytes a key.
const SLOTS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_between_the_counts_of_the_whole_time_and_of_all_but_a_slot(
            steps in prop::collection::vec(0_u64..900, 1..60)
        ) {
            let timespan = 1_600;
            let mut window = Window::default();
            let mut times = Vec::new();
            let mut now = 10_000;
            for step in steps {
                now += step;
                times.push(now);
                let counted = window.add(1, now, timespan);
                let within = |time: u64| times.iter().filter(|at| now - **at < time).count() as u64;
                prop_assert!(counted <= within(timespan));
                prop_assert!(counted >= within(timespan - timespan / 16));
            }
        }
    }

    #[test]
    fn late_events_are_counted_where_they_belong() {
        let mut window = Window::default();
        assert_eq!(window.add(1, 100_000, 1_600), 1);
        assert_eq!(window.add(1, 99_000, 1_600), 2);
        assert_eq!(window.add(1, 1, 1_600), 2);
        assert_eq!(window.add(1, 100_900, 1_600), 2);
    }
}
