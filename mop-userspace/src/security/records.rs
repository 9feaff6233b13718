//! The module's records on their way out.

use std::fmt::Write as _;

use mop_insight::security::finding::Finding;
use mop_outbox::Lane;

use crate::{drafts::Envelope, output::Record, pretty::Style};

impl Record for Finding {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Security, kind: &self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let facts = &self.facts;
        let times =
            if facts.count > 1 { format!(", {} times", facts.count) } else { String::new() };
        let _ = writeln!(
            out,
            "        found {}: {} ({}){times}",
            facts.severity.name(),
            facts.title,
            facts.rule,
        );
    }
}
