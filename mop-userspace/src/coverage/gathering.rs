//! A survey that comes in parts, from a process that is not believed.

use mop_probe::sockets::{Survey, Talker, Traffic, Unseen};

/// The parts so far.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    survey: Survey,
    /// Sockets and processes that found no room.
    beyond: u32,
}

impl Gathering {
    pub(crate) fn add_traffic(&mut self, rows: Vec<Traffic>) {
        let room = MAX_TRAFFIC.saturating_sub(self.survey.traffic.len());
        let beyond = u32::try_from(rows.len().saturating_sub(room)).unwrap_or(u32::MAX);
        self.beyond = self.beyond.saturating_add(beyond);
        self.survey.traffic.extend(rows.into_iter().take(room));
    }

    pub(crate) fn add_talker(&mut self, talker: Talker) {
        if self.survey.talkers.len() < MAX_TALKERS {
            self.survey.talkers.push(talker);
        } else {
            self.beyond = self.beyond.saturating_add(1);
        }
    }

    /// It is complete.
    pub(crate) fn finish(self, is_first: bool, mut unseen: Unseen) -> Survey {
        let Self { survey: Survey { is_first: _, traffic, talkers, unseen: _ }, beyond } = self;
        unseen.sockets = unseen.sockets.saturating_add(beyond);
        Survey { is_first, traffic, talkers, unseen }
    }
}

/// Sockets that are looked at, and those that close meanwhile.
const MAX_TRAFFIC: usize = 524_288;

/// More processes than a node has.
const MAX_TALKERS: usize = 32_768;

#[cfg(test)]
mod tests {
    use mop_probe::sockets::Owner;

    use super::*;

    #[test]
    fn what_is_beyond_the_bounds_is_counted() {
        let end = "127.0.0.1:1".parse().expect("an address");
        let row = Traffic {
            owner: Owner::Unknown,
            local: end,
            remote: end,
            received_bytes: 2,
            sent_bytes: 2,
        };
        let mut gathering = Gathering::default();
        gathering.add_traffic(vec![row; MAX_TRAFFIC - 1]);
        gathering.add_traffic(vec![row; 3]);
        let survey = gathering.finish(false, Unseen { sockets: 5, ..Unseen::default() });
        assert_eq!((survey.traffic.len(), survey.unseen.sockets), (MAX_TRAFFIC, 7));
    }
}
