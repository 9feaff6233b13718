//! Metrics and readiness of a hub.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::vitals::HubVitals;
use crate::vitals::{Check, Family, Vitals};

/// Has the admin listener tell the numbers of a hub.
pub(super) fn tell(hub: &Arc<HubVitals>, vitals: &Vitals) {
    let numbers = Arc::clone(hub);
    vitals.add_families(move || families(&numbers));
    let state = Arc::clone(hub);
    vitals.add_checks(move || checks(&state));
}

fn families(hub: &HubVitals) -> Vec<Family> {
    let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let refused = hub.refusals().map(|(reason, count)| (reason.name(), count));
    vec![
        Family::counter("mop_hub_received_records", "Messages that came from the broker")
            .is(number(&hub.received)),
        Family::counter("mop_hub_stored_records", "Records that were stored")
            .is(number(&hub.stored)),
        Family::counter("mop_hub_duplicate_records", "Records that were there already")
            .is(number(&hub.duplicates)),
        Family::counter("mop_hub_expired_records", "Records of days that are no longer kept")
            .is(number(&hub.expired)),
        Family::counter("mop_hub_refused_records", "Messages that were not taken")
            .by("reason", refused),
        Family::counter("mop_hub_transactions", "Transactions that were committed")
            .is(number(&hub.batches)),
        Family::counter(
            "mop_hub_repeated_transactions",
            "Transactions begun again because of another one",
        )
        .is(number(&hub.retries)),
        Family::counter("mop_hub_broker_troubles", "Times that the broker was lost or not reached")
            .is(number(&hub.broker_troubles)),
        Family::counter("mop_hub_store_troubles", "Times that a store was lost or not reached")
            .is(number(&hub.store_troubles)),
        Family::counter("mop_hub_missing_records", "Places of streams that were passed over")
            .is(number(&hub.gaps_opened)),
        Family::counter("mop_hub_late_records", "Of these, places whose records came after all")
            .is(number(&hub.gaps_filled)),
        Family::gauge("mop_hub_connected", "1 while the hub can talk to the other side")
            .by("side", sides(hub).map(|(side, is_connected)| (side, u64::from(is_connected)))),
    ]
}

/// A hub does its work while it has both sides.
fn checks(hub: &HubVitals) -> Vec<Check> {
    let check = |(name, is_connected): (&'static str, bool)| Check {
        name,
        trouble: (!is_connected).then(|| "there is no connection".to_owned()),
    };
    sides(hub).map(check).collect()
}

fn sides(hub: &HubVitals) -> impl Iterator<Item = (&'static str, bool)> {
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    [("broker", is(&hub.is_broker_connected)), ("store", is(&hub.is_store_connected))].into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_ready_when_it_has_both_sides() {
        let (hub, vitals) = (Arc::<HubVitals>::default(), Vitals::new());
        tell(&hub, &vitals);
        let unready = || vitals.readiness().iter().filter(|it| it.trouble.is_some()).count();
        assert_eq!(unready(), 2);
        hub.is_broker_connected.store(true, Ordering::Relaxed);
        assert_eq!(unready(), 1);
        hub.is_store_connected.store(true, Ordering::Relaxed);
        assert_eq!(unready(), 0);
        assert!(vitals.more_families().iter().all(|family| family.name.starts_with("mop_hub_")));
    }
}
