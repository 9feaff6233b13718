//! What the broker is told of messages that were dealt with.
//!
//! Each source has a channel of its own, and its messages are dealt with in their order, so that all up
//! to the last one of a batch can be acknowledged with one word.

use std::collections::BTreeMap;

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicRejectOptions},
};

/// Rejects what is refused, and acknowledges all else with one word a queue. A connection that was
/// lost meanwhile acknowledges nothing, and everything comes again.
pub(super) async fn acknowledge(
    acks: &[(usize, u64, Acker)],
    refused: impl Iterator<Item = usize>,
) {
    let mut is_refused = vec![false; acks.len()];
    for at in refused {
        if let (Some((_, _, acker)), Some(flag)) = (acks.get(at), is_refused.get_mut(at)) {
            *flag = true;
            let _lost = acker.reject(BasicRejectOptions { requeue: false }).await;
        }
    }
    let mut last: BTreeMap<usize, (u64, &Acker)> = BTreeMap::new();
    for ((source, tag, acker), is_refused) in acks.iter().zip(is_refused) {
        if !is_refused && last.get(source).is_none_or(|(newest, _)| newest < tag) {
            last.insert(*source, (*tag, acker));
        }
    }
    for (_, acker) in last.values() {
        let _lost = acker.ack(BasicAckOptions { multiple: true }).await;
    }
}
