//! The directory's list of participants: which organisation and authorisation server a host is of.
//!
//! ```text
//! [ { "OrganisationId": "…", "AuthorisationServers": [ {
//!       "AuthorisationServerId": "…", "OpenIDDiscoveryDocument": "https://…",
//!       "ApiResources": [ { "ApiDiscoveryEndpoints": [ { "ApiEndpoint": "https://…" } ] } ] } ] } ]
//! ```
//!
//! The document is `/participants` of the directory's data service. It is read tolerantly: what is
//! not as expected is passed over and counted, so that one participant's mistake does not cost the
//! others. Brands may share a host; then the path before `/open-insurance/` tells them apart, and
//! where that is the same too the authorisation server stays unknown.

use std::collections::HashMap;

use mop_contract::json::{Reader, Unreadable, Value};

use super::{Gap, directory_id, host};
use crate::data::endpoint::PREFIX;

/// Hosts of all participants.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    hosts: HashMap<String, Vec<Brand>>,
    /// Entries that could not be understood.
    pub passed_over: u64,
    /// Hosts and brands that found no place, by [`MAX_HOSTS`] and [`MAX_BRANDS`].
    pub left_out: u64,
}

/// One authorisation server at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Brand {
    /// Path before `/open-insurance/`; empty for most, and for addresses of no interface.
    prefix: String,
    organisation: String,
    authorisation_server: String,
}

/// Who answers at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answerer<'d> {
    /// The organisation.
    pub organisation: &'d str,
    /// The authorisation server, when only one answers there.
    pub authorisation_server: Option<&'d str>,
}

impl Directory {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when it is not JSON within the limits of [`Reader`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::default();
        let json = reader.read(bytes)?;
        let mut directory = Self::default();
        for organisation in json.root().elements() {
            let Some(id) = id(organisation, "OrganisationId") else {
                directory.passed_over += 1;
                continue;
            };
            for server in list(organisation, "AuthorisationServers") {
                directory.server(&id, server);
            }
        }
        Ok(directory)
    }

    fn server(&mut self, organisation: &str, server: Value<'_>) {
        let Some(authorisation_server) = id(server, "AuthorisationServerId") else {
            self.passed_over += 1;
            return;
        };
        let discovery = server.member("OpenIDDiscoveryDocument").into_iter();
        let endpoints = list(server, "ApiResources")
            .flat_map(|resource| list(resource, "ApiDiscoveryEndpoints"))
            .filter_map(|endpoint| endpoint.member("ApiEndpoint"));
        for url in discovery.chain(endpoints) {
            let Some((host, path)) = url.as_str().and_then(host::of_url) else {
                self.passed_over += 1;
                continue;
            };
            let prefix = path.find(PREFIX).and_then(|at| path.get(..at)).unwrap_or_default();
            let brand = Brand {
                prefix: prefix.to_owned(),
                organisation: organisation.to_owned(),
                authorisation_server: authorisation_server.clone(),
            };
            self.add(host, brand);
        }
    }

    fn add(&mut self, host: String, brand: Brand) {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&host) {
            self.left_out += 1;
            return;
        }
        let brands = self.hosts.entry(host).or_default();
        if brands.contains(&brand) {
            return;
        }
        if brands.len() >= MAX_BRANDS {
            self.left_out += 1;
            return;
        }
        brands.push(brand);
    }

    /// Number of hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Who answers at a host, and below this path before `/open-insurance/`.
    ///
    /// # Errors
    ///
    /// [`Gap::HostUnlisted`], and [`Gap::HostAmbiguous`] when the organisations differ.
    pub fn answerer(&self, host: &str, prefix: &str) -> Result<Answerer<'_>, Gap> {
        let brands = self.hosts.get(host).ok_or(Gap::HostUnlisted)?;
        let has_prefix = brands.iter().any(|brand| brand.prefix == prefix);
        let mut fitting =
            brands.iter().filter(|brand| !has_prefix || brand.prefix == prefix).peekable();
        let first = *fitting.peek().ok_or(Gap::HostUnlisted)?;
        let mut is_one_server = true;
        for other in fitting {
            if other.organisation != first.organisation {
                return Err(Gap::HostAmbiguous);
            }
            is_one_server &= other.authorisation_server == first.authorisation_server;
        }
        Ok(Answerer {
            organisation: &first.organisation,
            authorisation_server: is_one_server.then_some(&*first.authorisation_server),
        })
    }
}

fn list<'a>(value: Value<'a>, name: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    value.member(name).into_iter().flat_map(Value::elements)
}

fn id(value: Value<'_>, name: &str) -> Option<String> {
    value.member(name)?.as_str().and_then(directory_id)
}

/// The ecosystem has some fifty participants of a few hosts each.
pub const MAX_HOSTS: usize = 16_384;

/// Brands of one host.
pub const MAX_BRANDS: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uuid(number: u32) -> String {
        format!("00000000-0000-0000-0000-{number:012}")
    }

    fn server(id: u32, urls: &[&str]) -> serde_json::Value {
        let endpoints: Vec<_> = urls.iter().map(|url| json!({ "ApiEndpoint": url })).collect();
        json!({
            "AuthorisationServerId": uuid(id),
            "ApiResources": [{ "ApiDiscoveryEndpoints": endpoints }]
        })
    }

    #[test]
    fn hosts_lead_to_who_answers_there() {
        let document = json!([
            { "OrganisationId": uuid(1), "AuthorisationServers": [
                server(11, &["https://A.example/x/open-insurance/consents/v2/consents"]),
                server(12, &["https://a.example/y/open-insurance/consents/v2/consents"]),
                { "AuthorisationServerId": 3 },
            ]},
            { "OrganisationId": uuid(2), "AuthorisationServers": [
                server(21, &["https://b.example/open-insurance/r/v1/r", "not an address"]),
                server(22, &["https://b.example:8443/open-insurance/r/v1/r"]),
                server(23, &["https://c.example/"]),
            ]},
            { "OrganisationId": uuid(3), "AuthorisationServers": [server(31, &["https://c.example/"])] },
            { "OrganisationId": null }, 7,
        ]);
        let directory = Directory::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!((directory.hosts(), directory.passed_over), (3, 4));
        let found = |host, prefix| {
            directory.answerer(host, prefix).map(|found| {
                (found.organisation.to_owned(), found.authorisation_server.map(str::to_owned))
            })
        };
        assert_eq!(found("a.example", "/x"), Ok((uuid(1), Some(uuid(11)))));
        assert_eq!(found("a.example", "/y"), Ok((uuid(1), Some(uuid(12)))));
        assert_eq!(found("a.example", ""), Ok((uuid(1), None)));
        assert_eq!(found("b.example", ""), Ok((uuid(2), None)));
        assert_eq!(found("c.example", ""), Err(Gap::HostAmbiguous));
        assert_eq!(found("d.example", ""), Err(Gap::HostUnlisted));
    }

    #[test]
    fn hosts_and_brands_are_limited() {
        let urls: Vec<String> =
            (0..20_000).map(|number| format!("https://h{number}.example/")).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let document =
            json!([{ "OrganisationId": uuid(1), "AuthorisationServers": [server(1, &urls)] }]);
        let directory = Directory::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(directory.hosts(), MAX_HOSTS);
        assert_eq!(directory.left_out, 20_000 - MAX_HOSTS as u64);
    }
}
