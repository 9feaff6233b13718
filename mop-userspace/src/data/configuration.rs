//! The section `[data]`: who this participant is, and how its calls are told apart.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use mop_insight::data::{
    analyst::{Addresses, AnalystSettings},
    call::ExtractorSettings,
    digest::Key,
    endpoint::PcmEndpoints,
    event::rules::Exclusions,
    funnel::{FunnelOptions, FunnelRules, History, Inference, info::ConsentUser},
    identity::{
        address::AddressRange,
        directory::Directory,
        directory_id,
        forwarded::{Format, ForwardedCertificate},
        tenants::{ClientTenant, ServerTenant, Tenants},
    },
};
use serde::{Deserialize, Serialize};

use super::alarms::AlarmsSection;
use super::figures::MetricsSection;
use crate::{configuration::Problem, failure::Failure};

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataConfiguration {
    /// Brands of this participant that answer calls.
    pub(crate) servers: Vec<ServerSection>,
    /// Applications of this participant that make calls.
    pub(crate) clients: Vec<ClientSection>,
    /// Header in which a proxy in front forwards the client's certificate.
    pub(crate) forwarded_certificate: Option<ForwardedSection>,
    /// The directory's list of participants (JSON): whose host is whose.
    pub(crate) participants_file: Option<PathBuf>,
    /// Calls that are none of the ecosystem's.
    pub(crate) exclude: ExcludeSection,
    pub(crate) funnel: FunnelSection,
    /// Operational metrics.
    pub(crate) metrics: MetricsSection,
    /// What is watched, and told when it is unlike itself.
    pub(crate) alarms: AlarmsSection,
    /// File with the bearer token of `POST /v1/hooks/funnel`; without it there is no such path.
    pub(crate) hook_token_file: Option<PathBuf>,
    /// Unix socket on which the same path is served without a token.
    pub(crate) hook_socket: Option<PathBuf>,
}

/// A brand that answers calls.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// Names under which it is called.
    pub(crate) hosts: Vec<String>,
    /// Addresses and ports that it listens on; `0.0.0.0:443` is port 443 of every address.
    pub(crate) listeners: Vec<SocketAddr>,
    pub(crate) organisation_id: String,
    pub(crate) authorisation_server_id: String,
}

/// An application that makes calls.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientSection {
    /// Where its calls come from, such as `10.0.0.0/8`; none for anywhere.
    pub(crate) addresses: Vec<String>,
    pub(crate) organisation_id: String,
    pub(crate) software_statement_id: String,
}

/// A forwarded certificate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardedSection {
    pub(crate) header: String,
    pub(crate) format: Format,
    /// Addresses of the proxies; none believes everybody.
    #[serde(default)]
    pub(crate) from: Vec<String>,
}

/// Calls that are left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExcludeSection {
    /// Beginnings of paths.
    pub(crate) paths: Vec<String>,
    /// Parts of the `User-Agent`.
    pub(crate) user_agents: Vec<String>,
    /// Addresses of callers.
    pub(crate) addresses: Vec<String>,
}

/// How funnels are reported.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FunnelSection {
    /// `user` or `non-user`, when it is the same for all consents.
    pub(crate) consent_user: Option<ConsentUser>,
    /// Conclude that a user was authenticated from a code that was issued.
    pub(crate) infer: bool,
    /// Another program has reported until now: its steps are taken as reported.
    pub(crate) takes_over: bool,
    /// How long a user has to authorize, in seconds, as the authorization server has it.
    pub(crate) authorization_seconds: Option<u32>,
    /// How long a step waits for earlier ones that are seen later, in seconds.
    pub(crate) settle_seconds: Option<u32>,
}

impl DataConfiguration {
    /// Files that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.participants_file.iter().chain(&self.hook_token_file)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        self.metrics.check(problems);
        let mut wrong = |key: String, text: &str| problems.push(Problem::new(&key, text));
        for (place, server) in self.servers.iter().enumerate() {
            let key = |name: &str| format!("data.servers.{place}.{name}");
            if server.hosts.is_empty() && server.listeners.is_empty() {
                wrong(key("hosts"), "hosts or listeners are wanted: they tell this brand's calls");
            }
            for (name, id) in [
                ("organisation_id", &server.organisation_id),
                ("authorisation_server_id", &server.authorisation_server_id),
            ] {
                if directory_id(id).is_none() {
                    wrong(key(name), NO_ID);
                }
            }
        }
        for (place, client) in self.clients.iter().enumerate() {
            let key = |name: &str| format!("data.clients.{place}.{name}");
            for (name, id) in [
                ("organisation_id", &client.organisation_id),
                ("software_statement_id", &client.software_statement_id),
            ] {
                if directory_id(id).is_none() {
                    wrong(key(name), NO_ID);
                }
            }
            if ranges(&client.addresses).is_none() {
                wrong(key("addresses"), NO_RANGE);
            }
        }
        if let Some(socket) = &self.hook_socket {
            if !socket.is_absolute() {
                wrong("data.hook_socket".to_owned(), "an absolute path is wanted");
            } else if socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
                wrong("data.hook_socket".to_owned(), "at most 107 bytes are possible");
            }
        }
        if self.forwarded_certificate.as_ref().is_some_and(|it| ranges(&it.from).is_none()) {
            wrong("data.forwarded_certificate.from".to_owned(), NO_RANGE);
        }
        if ranges(&self.exclude.addresses).is_none() {
            wrong("data.exclude.addresses".to_owned(), NO_RANGE);
        }
        self.alarms.check(problems);
    }

    /// What workers make calls with.
    pub(crate) fn extractor(&self, key: Key) -> Result<Arc<ExtractorSettings>, Failure> {
        let endpoints = Arc::new(PcmEndpoints::published().map_err(Failure::runtime)?);
        let forwarded = self.forwarded_certificate.as_ref().map(|it| ForwardedCertificate {
            header: it.header.clone(),
            format: it.format,
            from: ranges(&it.from).unwrap_or_default(),
        });
        Ok(Arc::new(ExtractorSettings {
            key,
            endpoints,
            forwarded,
            exclusions: Exclusions {
                paths: self.exclude.paths.clone(),
                user_agents: self.exclude.user_agents.clone(),
                addresses: ranges(&self.exclude.addresses).unwrap_or_default(),
            },
            shortest_time_out_ms: SHORTEST_TIME_OUT_MS,
        }))
    }

    /// What the analyst works with.
    pub(super) fn analyst(&self, key: Key) -> Result<AnalystSettings, Failure> {
        Ok(AnalystSettings::new(key, self.addresses()?))
    }

    /// Who is who, by what is configured and by the directory's list as it is now.
    pub(crate) fn addresses(&self) -> Result<Arc<Addresses>, Failure> {
        let directory = match &self.participants_file {
            Some(file) => {
                let unusable = |what: &dyn std::fmt::Display| {
                    Failure::configuration(format!(
                        "data.participants_file: {}: {what}",
                        file.display()
                    ))
                };
                let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
                Directory::parse(&bytes).map_err(|error| unusable(&error))?
            }
            None => Directory::default(),
        };
        let id = |text: &String| directory_id(text).unwrap_or_default();
        let tenants = Tenants {
            servers: self
                .servers
                .iter()
                .map(|it| ServerTenant {
                    hosts: it.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
                    listeners: it.listeners.clone(),
                    organisation: id(&it.organisation_id),
                    authorisation_server: id(&it.authorisation_server_id),
                })
                .collect(),
            clients: self
                .clients
                .iter()
                .map(|it| ClientTenant {
                    addresses: ranges(&it.addresses).unwrap_or_default(),
                    organisation: id(&it.organisation_id),
                    software_statement: id(&it.software_statement_id),
                })
                .collect(),
        };
        Ok(Arc::new(Addresses { tenants, directory }))
    }

    /// How funnels are reported.
    pub(super) fn funnel(&self) -> FunnelOptions {
        let FunnelSection {
            consent_user,
            infer,
            takes_over,
            authorization_seconds,
            settle_seconds,
        } = self.funnel;
        let usual = FunnelOptions::default();
        FunnelOptions {
            settle_seconds: settle_seconds.map_or(usual.settle_seconds, i64::from),
            consent_user,
            inference: if infer { Inference::Allowed } else { Inference::Refused },
            history: if takes_over { History::Elsewhere } else { History::Nobody },
            authorization_seconds: authorization_seconds.map(i64::from),
            max_consents: MAX_CONSENTS,
        }
    }
}

/// The rules of the platform's funnels.
pub(super) fn rules() -> Result<Arc<FunnelRules>, Failure> {
    FunnelRules::published().map(Arc::new).map_err(Failure::runtime)
}

fn ranges(texts: &[String]) -> Option<Vec<AddressRange>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

const NO_ID: &str = "an identifier of the directory is wanted: 36 characters, such as \
                     00000000-0000-4000-8000-000000000001";
/// `sun_path` of `unix(7)`, without its last zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;
const NO_RANGE: &str = "addresses such as 10.0.0.7 or 10.0.0.0/8 are wanted";
/// They are written down whenever something changed: some 2 KB each.
const MAX_CONSENTS: usize = 5_000;
/// A client that gives up sooner was stopped, or refused.
const SHORTEST_TIME_OUT_MS: u64 = 1_000;
