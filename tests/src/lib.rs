//! Real servers and clients as fixtures, and MOP observing them.
//!
//! Everything that is started here listens on loopback, lives in a temporary folder and ends when
//! its value is dropped, also when a test fails. The end-to-end tests beside this library, the
//! demo and the bench are written with it.
//!
//! MOP observes the whole machine. A test therefore marks its own calls with a [`Marker`] in the
//! path and looks only at the exchanges that carry it.

#[cfg(feature = "amqp")]
mod amqp;
mod body;
mod broker;
mod broker_node;
mod c;
mod certificates;
mod chaos_checker;
mod contracts;
mod database;
mod database_cluster;
mod ecosystem;
mod exchange;
mod folder;
mod go;
mod known_calls;
mod marker;
mod misp;
mod nginx;
mod observer;
mod outbox;
mod peer;
mod port;
mod process;
#[cfg(feature = "proxy")]
mod proxy;
mod script;
mod skip;
mod verify;
mod wait;

#[cfg(feature = "amqp")]
pub use amqp::{Amqp, Message as AmqpMessage};
pub use body::{Body, sha256_hex};
pub use broker::{Broker, BrokerBuilder};
pub use broker_node::{BrokerNode, BrokerPorts};
pub use c::c_program;
pub use certificates::{Certificates, ClientCertificate};
pub use chaos_checker::{Allowed, Arrival, Attempt, History, Place, Verdict};
pub use contracts::{
    contract_documents, contract_fixtures, python_with_jsonschema, unpacked_contracts,
};
pub use database::Database;
pub use database_cluster::DatabaseCluster;
pub use ecosystem::{
    Called, Done, Ecosystem, RECEIVER_ORGANISATION, RECEIVER_SOFTWARE, Receiver, TRANSMITTER_BRAND,
    TRANSMITTER_ORGANISATION,
};
pub use exchange::{Exchange, Message};
pub use folder::{cache_folder, shared_folder};
pub use go::{GoBuild, go_program};
pub use known_calls::{KnownCalls, known_body};
pub use marker::Marker;
pub use misp::{misp_feed_problems, misp_server, misp_table_problems};
pub use nginx::{Nginx, NginxBuilder};
pub use observer::{Observation, Observer, ObserverBuilder, mop_binary, mop_command};
pub use outbox::exported;
pub use peer::Peer;
pub use port::free_port;
pub use process::{Process, bound, curl, curl_options, run, status_field, tool};
#[cfg(feature = "proxy")]
pub use proxy::{Direction, Proxy, Toxic};
pub use script::{Script, python};
pub use skip::{observing, skip};
pub use verify::{accounted, carried, complete, seen_at};
pub use wait::{listening, until};
