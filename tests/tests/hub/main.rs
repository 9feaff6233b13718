//! `mop hub` between a real RabbitMQ and a real PostgreSQL.

mod backfill;
mod cases;
mod command;
mod faults;
mod gaps;
mod misp;
mod poison;
mod publisher;
mod rate;
mod records;
mod retention;
mod rig;
mod tls;
