//! Metrics for those who watch levels of service. Labelled by the own organisations, of which there are
//! [`mop_insight::data::metrics::MAX_ORGANISATIONS`] at most.

use std::borrow::Cow;

use mop_insight::data::metrics::{
    CheckOutcome, OrganisationTotals, PriorityClass, ServiceLevel, totals::LevelTotals,
};

use super::FigureCounts;
use crate::vitals::Family;

impl FigureCounts {
    /// All of them, also those that have no sample yet.
    pub(in crate::data) fn families(&self) -> Vec<Family> {
        let Self { organisations, checks, differences, uncounted } = self;
        let mut calls =
            Family::counter("mop_data_served_calls", "Calls that own organisations answered");
        let mut timed =
            Family::counter("mop_data_timed_calls", "Of these, calls whose time has a limit");
        let mut slow =
            Family::counter("mop_data_slow_calls", "Of these, calls that took longer than it");
        let mut polls =
            Family::counter("mop_data_status_polls", "Polls of the status that said something");
        let mut down = Family::gauge("mop_data_down", "Part of today in which something was down")
            .in_seconds();
        let mut outage = Family::gauge(
            "mop_data_scheduled_outage",
            "Part of today that was an announced outage",
        )
        .in_seconds();
        for OrganisationTotals { organisation, totals, down_seconds, scheduled_seconds } in
            organisations
        {
            for (class, count) in PriorityClass::ALL.iter().zip(totals.classes) {
                calls = calls.with(labels(organisation, "class", class.name()), count);
            }
            for (level, counts) in ServiceLevel::ALL.iter().zip(totals.levels) {
                let LevelTotals { timed: with_limit, slow: beyond } = counts;
                timed = timed.with(labels(organisation, "level", level.name()), with_limit);
                slow = slow.with(labels(organisation, "level", level.name()), beyond);
            }
            let of = || vec![("organisation", Cow::Owned(organisation.clone()))];
            polls = polls.with(of(), totals.polls);
            down = down.with(of(), *down_seconds);
            outage = outage.with(of(), *scheduled_seconds);
        }
        let count = |outcome| checks.get(&outcome).copied().unwrap_or(0);
        vec![
            calls,
            timed,
            slow,
            polls,
            down,
            outage,
            Family::counter("mop_data_metrics_checks", "Answers with figures that were looked at")
                .by("outcome", CheckOutcome::ALL.map(|outcome| (outcome.name(), count(outcome)))),
            Family::counter(
                "mop_data_metrics_differences",
                "Figures in them that differ from ours",
            )
            .is(*differences),
            Family::counter(
                "mop_data_uncounted_calls",
                "Calls and polls that came too late for the figures of their day, or of too many \
                 organisations",
            )
            .is(*uncounted),
        ]
    }
}

fn labels(
    organisation: &str,
    name: &'static str,
    word: &'static str,
) -> Vec<(&'static str, Cow<'static, str>)> {
    vec![("organisation", Cow::Owned(organisation.to_owned())), (name, Cow::Borrowed(word))]
}
