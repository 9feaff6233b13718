//! The section `[sinks.pcm]`.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    sinks::http::{Client, Reach, Signer, check_url, ports_of},
};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PcmConfiguration {
    /// Base of the platform's addresses.
    pub(crate) url: String,
    /// Private RSA key in PEM (PKCS#8 or PKCS#1) of the organisation's signing certificate. Read again
    /// when the file changes.
    pub(crate) key_file: PathBuf,
    /// The key's id in the participant's JWKS in the directory.
    pub(crate) kid: String,
    /// Organisation that reports.
    pub(crate) organisation_id: String,
    /// Events of one request, at most.
    pub(crate) batch: usize,
    /// Events are collected for so long, unless they fill a batch.
    #[serde(with = "crate::configuration::duration::or_zero")]
    pub(crate) every: Duration,
    /// Events that are due so soon and still wait are warned of.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) warn_before: Duration,
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The environment is not asked.
    pub(crate) proxy: Option<String>,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) request_timeout: Duration,
}

impl Default for PcmConfiguration {
    fn default() -> Self {
        Self {
            url: "https://ingestion-api.opinbrasil.com.br".to_owned(),
            key_file: PathBuf::new(),
            kid: String::new(),
            organisation_id: String::new(),
            batch: MAX_BATCH,
            every: Duration::from_secs(60),
            warn_before: Duration::from_secs(2 * 3600),
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
        }
    }
}

impl PcmConfiguration {
    /// TCP ports that it connects to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        ports_of([&*self.url], self.proxy.as_deref())
    }

    /// Files that it names: they are read at the start and again later.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.key_file).chain(&self.ca_file)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Err(Failure::configuration(format!("sinks.pcm: {text}")));
        for (key, value) in [("kid", &self.kid), ("organisation_id", &self.organisation_id)] {
            if value.trim().is_empty() {
                return wrong(&format!("{key} is missing"));
            }
        }
        check_url("sinks.pcm.url", &self.url)?;
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return wrong("batch is from 1 to 5000");
        }
        if self.every > MAX_EVERY {
            return wrong("every is at most an hour: events are due by 06:00 of the next day");
        }
        if self.warn_before > MAX_WARN_BEFORE {
            return wrong("warn_before is at most 24h: events are due once a day");
        }
        if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            return wrong("connect_timeout and request_timeout are longer than nothing");
        }
        self.signer()?;
        Ok(())
    }

    pub(super) fn signer(&self) -> Result<Signer, Failure> {
        Signer::new(&self.key_file, &self.kid)
            .map_err(|problem| Failure::configuration(format!("sinks.pcm: {problem}")))
    }

    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(Reach {
            ca_file: self.ca_file.as_deref(),
            proxy: self.proxy.as_deref(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
        })
    }
}

/// What the platform takes (`ingestion.yaml`, `server-batch`).
const MAX_BATCH: usize = 5_000;
/// From one deadline to the next.
const MAX_WARN_BEFORE: Duration = Duration::from_secs(24 * 3600);
/// Far from the deadline.
const MAX_EVERY: Duration = Duration::from_secs(3600);
