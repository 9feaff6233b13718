//! `mop outbox repair`.

use std::{fmt::Write as _, process::ExitCode};

use mop_outbox::{OutboxError, Repair};

use super::{PlaceArguments, relative, verify::told};
use crate::{failure::Failure, stdout::print};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop outbox repair --folder /var/lib/mop/outbox --dry-run")]
pub(super) struct RepairArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &RepairArguments) -> Result<ExitCode, Failure> {
    let folder = arguments.place.folder()?;
    let repairs = mop_outbox::repair(&folder, arguments.dry_run).map_err(|error| match error {
        OutboxError::Locked { folder } => Failure::runtime(format!(
            "another process uses the outbox {}; stop it first",
            folder.display()
        )),
        error => Failure::runtime(error),
    })?;
    let mut text = String::new();
    for repair in &repairs {
        let Repair { log: _, path, aside, damage, kept, lost, unfinished_bytes } = repair;
        let file = relative(path, &folder);
        for damage in damage {
            let (what, at, bytes) = told(*damage, 0);
            let _ = match what {
                "header" => writeln!(text, "{file}: the header is damaged, nothing can be read"),
                what => writeln!(text, "{file}: {what} damaged at byte {at}, {bytes} bytes"),
            };
        }
        if *unfinished_bytes > 0 {
            let _ = writeln!(text, "{file}: {unfinished_bytes} unfinished bytes cut off");
        }
        if let Some(aside) = aside {
            let aside = relative(aside, &folder);
            let _ =
                writeln!(text, "{file}: {kept} entries kept, {lost} lost; the old file is {aside}");
        }
    }
    let lost: u64 = repairs.iter().map(|repair| repair.lost).sum();
    let _ = writeln!(
        text,
        "{}{} files repaired, {lost} records lost.",
        if arguments.dry_run { "Nothing was changed. It would be: " } else { "" },
        repairs.len()
    );
    print(&text);
    Ok(ExitCode::SUCCESS)
}
