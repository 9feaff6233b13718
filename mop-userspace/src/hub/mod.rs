//! `mop hub`: takes records from the broker into a database, each once.

mod acknowledgement;
mod aggregates;
mod backfill;
mod backoff;
mod broker;
mod configuration;
mod consumer;
mod database;
mod families;
mod gaps;
mod ledger;
mod message;
mod migrations;
mod misp;
#[cfg(feature = "mongodb")]
mod mongodb;
mod partitions;
mod positions;
mod postgres;
mod refusal;
mod run;
mod server_url;
mod status;
mod store;
mod summary;
mod vitals;

pub(crate) use configuration::HubConfiguration;
pub(crate) use run::{HubArguments, run};
