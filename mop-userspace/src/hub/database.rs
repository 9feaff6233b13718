//! Connections to PostgreSQL, and what their errors mean.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode as WireSslMode},
    error::SqlState,
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::configuration::{DatabaseConfiguration, SslMode, read_secret};
use crate::{failure::Failure, sinks::Trouble};

/// How to reach the database.
#[derive(Clone)]
pub(crate) struct Database {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    schema: String,
}

/// What an error of the database asks for.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Something in the data: others may pass.
    Data,
    /// Another transaction was in the way: at once again.
    Retry,
    /// The database cannot be used at the moment.
    Trouble(Trouble),
}

impl Database {
    pub(crate) fn new(configuration: &DatabaseConfiguration) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::configuration(format!("hub.database: {error}"))
        };
        let DatabaseConfiguration { url, host, port, user, name, .. } = configuration;
        let mut config = if url.is_empty() {
            let mut config = Config::new();
            config.host(host).port(*port).user(user).dbname(name);
            config
        } else {
            // Its error quotes nothing of the address.
            url.as_str().parse::<Config>().map_err(|error| wrong(&error))?
        };
        if let Some(file) = &configuration.password_file {
            config.password(read_secret("hub.database.password_file", file)?);
        }
        let is_socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let tls = match configuration.sslmode {
            SslMode::Require if !is_socket => {
                Some(MakeRustlsConnect::new(tls(configuration).map_err(|error| wrong(&error))?))
            }
            SslMode::Disable | SslMode::Require => None,
        };
        config
            .application_name("mop-hub")
            .connect_timeout(CONNECT_LIMIT)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(SILENCE_LIMIT)
            .ssl_mode(if tls.is_some() { WireSslMode::Require } else { WireSslMode::Disable });
        Ok(Self { config, tls, schema: configuration.schema.clone() })
    }

    /// The schema of the hub's tables.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// A connection on which names mean tables of the hub's schema.
    pub(crate) async fn connect(&self) -> Result<Client, Trouble> {
        let client = match &self.tls {
            Some(tls) => self.connect_by(tls.clone()).await?,
            None => self.connect_by(NoTls).await?,
        };
        let settings = format!(
            "SET search_path TO \"{}\"; SET timezone TO 'UTC'; \
             SET statement_timeout TO '{STATEMENT_LIMIT}'; \
             SET idle_in_transaction_session_timeout TO '{STATEMENT_LIMIT}'; \
             SET client_min_messages TO 'warning'",
            self.schema
        );
        client.batch_execute(&settings).await.map_err(|error| trouble(&error))?;
        Ok(client)
    }

    async fn connect_by<T>(&self, tls: T) -> Result<Client, Trouble>
    where
        T: MakeTlsConnect<tokio_postgres::Socket>,
        T::Stream: Send + 'static,
        tokio_postgres::Connection<tokio_postgres::Socket, T::Stream>: Future + Send,
    {
        let connecting = tokio::time::timeout(CONNECT_LIMIT * 2, self.config.connect(tls));
        let (client, connection) = connecting
            .await
            .map_err(|_elapsed| Trouble::passing("silent", "the database does not answer"))?
            .map_err(|error| trouble(&error))?;
        tokio::spawn(async move {
            // What goes wrong shows at the client's end as well.
            let _ended = connection.await;
        });
        Ok(client)
    }
}

/// What an error asks for.
pub(crate) fn problem(error: &tokio_postgres::Error) -> Problem {
    let Some(state) = error.code() else { return Problem::Trouble(trouble(error)) };
    // A row without a partition is a check violation: the partition was dropped a moment ago.
    if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::CHECK_VIOLATION,
    ]
    .contains(state)
    {
        return Problem::Retry;
    }
    match state.code().get(..2) {
        Some("22" | "23" | "54") => Problem::Data,
        _ => Problem::Trouble(trouble(error)),
    }
}

/// An error in words that hold nothing of any record.
pub(crate) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(state) = error.code() else {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        return Trouble::passing(if error.is_closed() { "lost" } else { "unreachable" }, text);
    };
    let code = state.code();
    // What these say is about names, rights and limits. Others may quote data.
    let message = match (code.get(..2), error.as_db_error()) {
        (Some("08" | "25" | "28" | "3D" | "3F" | "40" | "42" | "53" | "57"), Some(error)) => {
            format!("{} (SQLSTATE {code})", error.message())
        }
        _ => format!("SQLSTATE {code}"),
    };
    match code.get(..2) {
        Some("28" | "3D" | "3F" | "42") => Trouble::lasting("refused", message),
        _ => Trouble::passing("failed", message),
    }
}

fn tls(configuration: &DatabaseConfiguration) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &configuration.ca_file {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| in_file(file, &error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err("no authority is trusted; give `ca_file`, or install ca-certificates".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let (Some(cert), Some(key)) = (&configuration.certificate_file, &configuration.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
    builder.with_client_auth_cert(certificates(cert)?, key_der).map_err(|error| error.to_string())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| in_file(file, &error))?;
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate", file.display()));
    }
    Ok(certificates)
}

fn in_file(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

/// A server that does not answer by then will not.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Connections through a firewall that forgets them are noticed within minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// What was sent and is not acknowledged for so long will not be.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);
/// A statement of a batch takes milliseconds. A hub that was stopped holds no lock for longer.
const STATEMENT_LIMIT: &str = "60s";
