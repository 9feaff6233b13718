//! All metrics, made from the vitals when somebody asks.

mod capture;
mod outbox;
mod own;
mod sinks;

use crate::vitals::{Family, Vitals};

/// Every metric of the process, also those that have no sample here.
pub(super) fn all(vitals: &Vitals) -> Vec<Family> {
    let outbox = vitals.outbox();
    let mut families = own::families(vitals);
    families.extend(capture::families(vitals));
    families.extend(outbox::families(outbox.as_ref()));
    families.extend(sinks::families(&vitals.sinks(), outbox.as_ref()));
    families.extend(vitals.more_families());
    families
}
