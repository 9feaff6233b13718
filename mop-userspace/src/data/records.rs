//! The module's records on their way out.

use std::fmt::Write as _;

use mop_insight::data::{event::record::DataEvent, funnel::FunnelRecord};
use mop_outbox::Lane;

use crate::{drafts::Envelope, output::Record, pretty::Style};

impl Record for DataEvent {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: self.kind(), id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let Self { event, hops, .. } = self;
        let _ = writeln!(
            out,
            "        event {} {} {} in {} ms{}",
            event.http_method,
            event.endpoint,
            event.status_code,
            event.process_timespan,
            if *hops > 0 { ", seen again further inside" } else { "" },
        );
    }
}

impl Record for FunnelRecord {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: &self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let _ = writeln!(
            out,
            "        step  {} at {}{}",
            self.event.step.name(),
            self.event.timestamp,
            if self.inferred { ", inferred" } else { "" },
        );
    }
}
