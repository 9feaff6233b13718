//! `mop report pcm`.

use std::process::ExitCode;

use jiff::{Timestamp, civil::Date};
use mop_insight::data::reconciliation::{Report, calendar::day_of};

use super::{PlaceArguments, Progress};
use crate::{
    data::tally::Reading,
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop report pcm --config /etc/mop/mop.toml --from 2026-11-01 \
                        --to 2026-11-30 --json")]
pub(super) struct PcmArguments {
    /// First day, in Brasilia. Without it: yesterday.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last day. Without it: the first one.
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(super) fn run(arguments: &PcmArguments) -> Result<ExitCode, Failure> {
    let (from, to) = days(arguments, day_of(Timestamp::now()))?;
    let folder = arguments.place.folder()?;
    let mut progress = Progress::new();
    let reading = Reading::of(&folder, || progress.count())
        .map_err(|error| {
            Failure::runtime(format!("the outbox {} cannot be read: {error}", folder.display()))
        })?
        .ok_or_else(|| {
            Failure::runtime(
                "nothing was counted yet: an observer with a section [data] and this outbox begins it",
            )
        })?;
    let Reading { entries, since, kept_from } = reading;
    let from = beginning(from, to, kept_from)?;
    if from <= day_of(since) {
        eprintln!("mop: calls are counted since {since:.0}: what was before is not in the report");
    }
    let report = Report::of(entries, from, to);
    if arguments.json {
        print_line(&serde_json::to_string(&report).map_err(Failure::runtime)?);
    } else {
        print(&report.to_string());
    }
    Ok(if report.is_balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The days that are asked for.
fn days(arguments: &PcmArguments, today: Date) -> Result<(Date, Date), Failure> {
    let from = arguments.from.unwrap_or_else(|| today.yesterday().unwrap_or(today));
    let to = arguments.to.unwrap_or(from);
    if to < from {
        return Err(Failure::usage(format!("--to {to} is before --from {from}: exchange them")));
    }
    Ok((from, to))
}

/// The first day that can be told of. Half of a day would balance by chance, or not at all.
fn beginning(from: Date, to: Date, kept_from: Option<Date>) -> Result<Date, Failure> {
    match kept_from {
        Some(kept) if to < kept => {
            Err(Failure::usage(format!("counts are kept from {kept} on: ask for later days")))
        }
        Some(kept) if from < kept => {
            eprintln!("mop: counts are kept from {kept} on: earlier days are not in the report");
            Ok(kept)
        }
        _ => Ok(from),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn asked(from: Option<Date>, to: Option<Date>) -> Result<(Date, Date), Failure> {
        let place = PlaceArguments { outbox: None, configuration: Default::default() };
        days(&PcmArguments { from, to, json: false, place }, date(2026, 11, 28))
    }

    #[test]
    fn without_days_it_is_yesterday() {
        let yesterday = date(2026, 11, 27);
        assert_eq!(asked(None, None).expect("days"), (yesterday, yesterday));
        let first = date(2026, 11, 1);
        assert_eq!(asked(Some(first), None).expect("days"), (first, first));
        assert_eq!(asked(Some(first), Some(yesterday)).expect("days"), (first, yesterday));
        assert!(asked(Some(yesterday), Some(first)).is_err());
    }

    #[test]
    fn what_is_not_kept_any_more_is_not_told_of() {
        let [first, kept, last] = [1, 5, 9].map(|day| date(2026, 11, day));
        assert_eq!(beginning(first, last, None).expect("a day"), first);
        assert_eq!(beginning(first, last, Some(kept)).expect("a day"), kept);
        assert_eq!(beginning(kept, last, Some(first)).expect("a day"), kept);
        assert!(beginning(first, first, Some(kept)).is_err());
    }
}
