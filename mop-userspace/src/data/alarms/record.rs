//! The record of an alarm on its way out.

use std::fmt::Write as _;

use mop_insight::data::alarms::{AlarmState, AnomalyRecord, Scope};
use mop_outbox::Lane;

use crate::{drafts::Envelope, output::Record, pretty::Style};

impl Record for AnomalyRecord {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: &self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let Self { ts, state, signal, subject, reason, .. } = self;
        let of = match subject.scope {
            Scope::Organisation => subject.organisation.as_deref(),
            Scope::Route => subject.endpoint.as_deref(),
            Scope::Client => subject.client_organisation.as_deref(),
            Scope::Node => subject.name.as_deref(),
        };
        let what = match state {
            AlarmState::Opened => "alarm",
            AlarmState::Closed => "over ",
        };
        let (signal, of) = (signal.name(), of.unwrap_or("unknown"));
        let _ = writeln!(out, "{ts} {what} {signal} of {of}: {reason}");
    }
}
