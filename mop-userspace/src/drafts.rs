//! Records on their way to the outbox, as bytes.

use mop_outbox::{Draft, Lane};
use serde::Serialize;

/// What the outbox has to know of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) lane: Lane,
    pub(crate) kind: &'a str,
    /// The same for the same record, whenever it is made.
    pub(crate) id: &'a str,
}

/// Records of one chunk: one buffer for all, so that a hand-over allocates nothing per record.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

#[derive(Debug)]
struct Head {
    lane: Lane,
    kind_bytes: usize,
    id_bytes: usize,
    payload_bytes: usize,
}

impl Drafts {
    /// Adds a record, serialised.
    pub(crate) fn push(&mut self, envelope: Envelope<'_>, record: &impl Serialize) {
        let Envelope { lane, kind, id } = envelope;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(kind.as_bytes());
        self.bytes.extend_from_slice(id.as_bytes());
        let payload = self.bytes.len();
        match serde_json::to_writer(&mut self.bytes, record) {
            Ok(()) => self.heads.push(Head {
                lane,
                kind_bytes: kind.len(),
                id_bytes: id.len(),
                payload_bytes: self.bytes.len() - payload,
            }),
            // Writing into memory fails only when a value cannot be JSON, which none of ours is.
            Err(_) => self.bytes.truncate(start),
        }
    }

    /// Bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Records by lane.
    pub(crate) fn by_lane(&self) -> [u64; Lane::ALL.len()] {
        let mut counts = [0; Lane::ALL.len()];
        for head in &self.heads {
            if let Some(count) = counts.get_mut(head.lane as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// The records, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Draft<'_>> {
        let mut rest = self.bytes.as_slice();
        self.heads.iter().filter_map(move |head| {
            let (kind, after) = rest.split_at_checked(head.kind_bytes)?;
            let (id, after) = after.split_at_checked(head.id_bytes)?;
            let (payload, after) = after.split_at_checked(head.payload_bytes)?;
            rest = after;
            Some(Draft {
                lane: head.lane,
                kind: std::str::from_utf8(kind).ok()?,
                id: std::str::from_utf8(id).ok()?,
                payload,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut drafts = Drafts::default();
        for (lane, kind, id) in
            [(Lane::Local, "exchange", "e1"), (Lane::Violations, "quality.report", "e1/quality")]
        {
            drafts.push(Envelope { lane, kind, id }, &serde_json::json!({ "id": id }));
        }
        let found: Vec<_> = drafts
            .iter()
            .map(|draft| (draft.lane, draft.kind, draft.id, draft.payload.to_vec()))
            .collect();
        assert_eq!(
            found,
            [
                (Lane::Local, "exchange", "e1", br#"{"id":"e1"}"#.to_vec()),
                (
                    Lane::Violations,
                    "quality.report",
                    "e1/quality",
                    br#"{"id":"e1/quality"}"#.to_vec()
                ),
            ]
        );
        assert_eq!(drafts.by_lane(), [0, 0, 1, 0, 0, 1]);
    }
}
