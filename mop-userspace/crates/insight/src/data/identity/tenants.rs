//! The participant's own identifiers: which of its organisations, brands and applications a call
//! belongs to.
//!
//! A transmitting tenant is found by the host that was called, or by the listener (address and
//! port) that took the connection; the host wins, since one listener may serve several brands. A
//! receiving tenant is found by the address that the call came from.

use std::net::SocketAddr;

use super::address::AddressRange;

/// All tenants of a node.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    /// In the role of transmitters (servers).
    pub servers: Vec<ServerTenant>,
    /// In the role of receivers (clients).
    pub clients: Vec<ClientTenant>,
}

/// A brand that answers calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTenant {
    /// Its hosts, in small letters and without ports.
    pub hosts: Vec<String>,
    /// Its listeners. The unspecified address (`0.0.0.0`, `::`) stands for every address.
    pub listeners: Vec<SocketAddr>,
    /// Organisation of the directory.
    pub organisation: String,
    /// Authorisation server of the brand.
    pub authorisation_server: String,
}

/// An application that makes calls.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTenant {
    /// Addresses that its calls come from; an empty list stands for every address.
    pub addresses: Vec<AddressRange>,
    /// Organisation of the directory.
    pub organisation: String,
    /// Its software statement.
    pub software_statement: String,
}

impl Tenants {
    /// The tenant that answered a call.
    #[must_use]
    pub fn server(
        &self,
        host: Option<&str>,
        listener: Option<SocketAddr>,
    ) -> Option<&ServerTenant> {
        let by_host = host.and_then(|host| {
            self.servers.iter().find(|tenant| tenant.hosts.iter().any(|known| known == host))
        });
        by_host.or_else(|| {
            let listener = listener?;
            self.servers.iter().find(|tenant| {
                tenant.listeners.iter().any(|known| {
                    known.port() == listener.port()
                        && (known.ip().is_unspecified()
                            || known.ip() == listener.ip().to_canonical())
                })
            })
        })
    }

    /// The tenant that made a call.
    #[must_use]
    pub fn client(&self, local: Option<SocketAddr>) -> Option<&ClientTenant> {
        self.clients.iter().find(|tenant| {
            tenant.addresses.is_empty()
                || local.is_some_and(|local| {
                    tenant.addresses.iter().any(|range| range.contains(local.ip()))
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, hosts: &[&str], listeners: &[&str]) -> ServerTenant {
        ServerTenant {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            listeners: listeners.iter().map(|listener| listener.parse().unwrap()).collect(),
            organisation: name.to_owned(),
            authorisation_server: String::new(),
        }
    }

    #[test]
    fn a_host_wins_over_a_listener() {
        let tenants = Tenants {
            servers: vec![
                server("a", &["a.example"], &["0.0.0.0:443"]),
                server("b", &["b.example"], &["10.0.0.1:8443"]),
            ],
            clients: Vec::new(),
        };
        let found = |host, listener: &str| {
            tenants.server(host, listener.parse().ok()).map(|tenant| tenant.organisation.as_str())
        };
        assert_eq!(found(Some("b.example"), "10.0.0.9:443"), Some("b"));
        assert_eq!(found(Some("c.example"), "10.0.0.9:443"), Some("a"));
        assert_eq!(found(None, "[::ffff:10.0.0.1]:8443"), Some("b"));
        assert_eq!(found(None, "10.0.0.2:8443"), None);
        assert_eq!(found(None, ""), None);
    }

    #[test]
    fn receivers_are_told_apart_by_address() {
        let client = |name: &str, ranges: &[&str]| ClientTenant {
            addresses: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            organisation: name.to_owned(),
            software_statement: String::new(),
        };
        let mut tenants =
            Tenants { servers: Vec::new(), clients: vec![client("a", &["10.1.0.0/16"])] };
        let found = |tenants: &Tenants, local: &str| {
            tenants.client(local.parse().ok()).map(|tenant| tenant.organisation.clone())
        };
        assert_eq!(found(&tenants, "10.1.2.3:5"), Some("a".into()));
        assert_eq!(found(&tenants, "10.2.2.3:5"), None);
        assert_eq!(found(&tenants, ""), None);
        tenants.clients.push(client("b", &[]));
        assert_eq!(found(&tenants, "10.2.2.3:5"), Some("b".into()));
        assert_eq!(found(&tenants, ""), Some("b".into()));
    }
}
