//! From calls at the edge to figures: what a call adds, what a poll said, what was published.

use mop_wire::Role;

use super::{CallFigures, Metrics, MetricsCheck, Priorities, Published, StatusPoll, View};
use crate::data::{
    analyst::Edge,
    call::{Answer, PublishedFigures, SelfReport},
};

impl Metrics {
    /// Takes a call in, if it is one that an organisation of this node answered; a check comes out of an
    /// answer that has figures.
    pub fn edge(
        &mut self,
        edge: &Edge,
        priorities: &Priorities,
        view: View,
    ) -> Option<MetricsCheck> {
        let organisation = edge.parties.server_organisation.as_deref();
        let organisation = organisation.filter(|_| edge.role == Role::Server)?;
        let operation = edge.operation();
        self.observe(&CallFigures {
            organisation,
            at: edge.at,
            microseconds: edge.microseconds,
            status: match edge.answer {
                Answer::Status(status) => Some(status),
                Answer::TimedOut | Answer::Unseen => None,
            },
            priority: priorities.of(operation.unwrap_or_default()),
            endpoint: operation,
        });
        match edge.report.as_ref()? {
            SelfReport::Status(status) => {
                let answer = status.answer();
                self.poll(&StatusPoll { organisation, at: edge.at, answer });
                None
            }
            SelfReport::Figures(figures) => {
                let PublishedFigures { period, data } = &**figures;
                let published = Published {
                    exchange: &edge.exchange,
                    at: edge.at,
                    period: *period,
                    data: data.as_ref(),
                };
                Some(self.check(organisation, &published, view))
            }
        }
    }
}
