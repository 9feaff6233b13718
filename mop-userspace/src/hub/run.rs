//! The command: what it is asked, and how it begins and ends.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::{Args, Subcommand};
use tokio::{runtime::Runtime, sync::watch};

use super::{
    backfill::{self, BackfillArguments},
    broker::Broker,
    configuration::HubConfiguration,
    consumer::Consumer,
    database::Database,
    families, ledger, migrations,
    misp::{Relay, RelayVitals},
    postgres::PostgresStore,
    status::{self, StatusArguments},
    store::Store,
    vitals::HubVitals,
};
use crate::{
    admin::Admin,
    cli::parse_duration,
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
    signals::StopRequest,
    vitals::Vitals,
};

/// Arguments of `mop hub`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: mop hub --config /etc/mop/hub.toml",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct HubArguments {
    #[command(subcommand)]
    command: Option<HubCommand>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// Bring the tables up to date and end.
    #[arg(long)]
    migrate_only: bool,
    /// Stop after this time, e.g. 30s, 5m. Without it: at Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration,
          conflicts_with = "migrate_only")]
    duration: Option<Duration>,
    /// Serve metrics, health and readiness here, e.g. 127.0.0.1:9465.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "migrate_only")]
    admin: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum HubCommand {
    /// Store records from files of JSON Lines, such as `mop outbox export` makes.
    Backfill(BackfillArguments),
    /// Print the ledger records of all nodes as JSON Lines, each node's in their order.
    #[command(after_help = "Example: mop hub ledger | mop ledger verify")]
    Ledger(ConfigurationArguments),
    /// Say what is stored, what is missing and what waits. Exits with 1 when something is missing.
    Status(StatusArguments),
}

/// Runs the hub, or looks at what it did.
pub(crate) fn run(arguments: &HubArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Some(HubCommand::Backfill(arguments)) => backfill::run(arguments),
        Some(HubCommand::Ledger(arguments)) => ledger::run(arguments),
        Some(HubCommand::Status(arguments)) => status::run(arguments),
        None if arguments.migrate_only => migrate(arguments),
        None => consume(arguments),
    }
}

/// The hub's part of the configuration, checked.
pub(super) fn configuration(
    arguments: &ConfigurationArguments,
) -> Result<HubConfiguration, Failure> {
    checked(Configuration::load(arguments)?).map(|configuration| configuration.hub)
}

fn checked(configuration: Configuration) -> Result<Configuration, Failure> {
    let mut problems = Vec::new();
    configuration.hub.check(&mut problems);
    match problems.first() {
        Some(problem) => Err(Failure::configuration(problem)),
        None => Ok(configuration),
    }
}

/// Where records go.
pub(super) fn stores(
    configuration: &HubConfiguration,
    vitals: &Arc<HubVitals>,
) -> Result<Vec<Box<dyn Store>>, Failure> {
    let mut stores: Vec<Box<dyn Store>> = Vec::new();
    if configuration.database.enabled {
        let database = Database::new(&configuration.database)?;
        stores.push(Box::new(PostgresStore::new(
            database,
            configuration.retention,
            configuration.database.migrate,
            configuration.misp.is_some(),
            Arc::clone(vitals),
        )));
    }
    #[cfg(feature = "mongodb")]
    if let Some(mongodb) = &configuration.mongodb {
        stores.push(Box::new(super::mongodb::MongoDbStore::new(mongodb, configuration.retention)?));
    }
    Ok(stores)
}

/// Tells findings to MISP, where the configuration wants it.
fn relay(
    configuration: &HubConfiguration,
    detections: &[PathBuf],
) -> Result<Option<(Relay, Arc<RelayVitals>)>, Failure> {
    let Some(misp) = &configuration.misp else { return Ok(None) };
    let database = Database::new(&configuration.database)?;
    let vitals = Arc::<RelayVitals>::default();
    let database = (database, configuration.database.migrate);
    let relay = Relay::new(misp, database, detections, Arc::clone(&vitals))?;
    Ok(Some((relay, vitals)))
}

/// A runtime on this thread.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start: {error}")))
}

fn migrate(arguments: &HubArguments) -> Result<ExitCode, Failure> {
    let configuration = configuration(&arguments.configuration)?;
    let database = Database::new(&configuration.database)?;
    let applied = runtime()?
        .block_on(async {
            let mut client = database.connect().await?;
            migrations::migrate(&database, &mut client).await
        })
        .map_err(|trouble| Failure::runtime(format!("the database: {trouble}")))?;
    eprintln!("The tables are up to date; {applied} steps were missing.");
    Ok(ExitCode::SUCCESS)
}

fn consume(arguments: &HubArguments) -> Result<ExitCode, Failure> {
    let Configuration { hub: configuration, admin, security, .. } =
        checked(Configuration::load(&arguments.configuration)?)?;
    let vitals = Arc::new(HubVitals::default());
    let broker = Broker::new(&configuration.broker)?;
    let stores = stores(&configuration, &vitals)?;
    let relay = relay(&configuration, &security.detections)?;
    let (sender, receiver) = watch::channel(false);
    let request = StopRequest::listen()?;
    let duration = arguments.duration;
    let is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let waiter = thread::Builder::new()
        .name("mop-hub-stop".to_owned())
        .spawn(move || {
            request.wait(duration, || done.load(Ordering::Acquire));
            // The consumer may have ended before.
            let _nobody = sender.send(true);
        })
        .map_err(|error| Failure::runtime(format!("cannot start a thread: {error}")))?;
    let numbers = Vitals::new();
    families::tell(&vitals, &numbers);
    if let Some((_, vitals)) = &relay {
        let vitals = Arc::clone(vitals);
        numbers.add_families(move || vitals.families());
    }
    let admin = admin.asked_for(arguments.admin, false);
    let admin = Admin::start_if_enabled(&admin, &numbers, axum::Router::new())?;
    let stop = receiver.clone();
    let consumer = Consumer::new(configuration, broker, stores, Arc::clone(&vitals), receiver);
    runtime()?.block_on(async {
        let relaying = async {
            if let Some((relay, _)) = relay {
                relay.run(stop).await;
            }
        };
        tokio::join!(consumer.run(), relaying)
    });
    is_done.store(true, Ordering::Release);
    if let Some(admin) = admin {
        admin.stop();
    }
    waiter.join().map_err(|_panic| Failure::runtime("a thread panicked"))?;
    eprintln!("{}", sum(&vitals));
    Ok(ExitCode::SUCCESS)
}

/// What was done, in a sentence.
pub(super) fn sum(vitals: &HubVitals) -> String {
    let number = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let refused: Vec<String> = vitals
        .refusals()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.name()))
        .collect();
    let refused = if refused.is_empty() { "none".to_owned() } else { refused.join(", ") };
    format!(
        "Received {}, stored {}, there already {}, too old {}; refused: {refused}; {} transactions, \
         {} begun again.",
        number(&vitals.received),
        number(&vitals.stored),
        number(&vitals.duplicates),
        number(&vitals.expired),
        number(&vitals.batches),
        number(&vitals.retries),
    )
}
