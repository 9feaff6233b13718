//! `mop hub ledger`: the chains of ledger records, as the nodes made them.

use std::{
    io::{self, Write as _},
    pin::pin,
    process::ExitCode,
};

use futures_util::TryStreamExt as _;

use super::{
    database::{Database, trouble},
    migrations,
    run::{configuration, runtime},
};
use crate::{configuration::ConfigurationArguments, failure::Failure, sinks::Trouble};

/// Prints them, one a line.
pub(crate) fn run(arguments: &ConfigurationArguments) -> Result<ExitCode, Failure> {
    let database = Database::new(&configuration(arguments)?.database)?;
    runtime()?
        .block_on(print(&database))
        .map_err(|trouble| Failure::runtime(format!("the database: {trouble}")))?;
    Ok(ExitCode::SUCCESS)
}

async fn print(database: &Database) -> Result<(), Trouble> {
    const QUERY: &str = "SELECT record FROM ledger ORDER BY node, number, id";
    let client = database.connect().await?;
    migrations::check(&client).await?;
    let none: [&str; 0] = [];
    let rows = client.query_raw(QUERY, none).await.map_err(|error| trouble(&error))?;
    let mut rows = pin!(rows);
    let mut out = io::stdout().lock();
    while let Some(row) = rows.try_next().await.map_err(|error| trouble(&error))? {
        let record: &str = row.try_get(0).map_err(|error| trouble(&error))?;
        // A reader that went away has what it wanted.
        if writeln!(out, "{record}").is_err() {
            break;
        }
    }
    Ok(())
}
