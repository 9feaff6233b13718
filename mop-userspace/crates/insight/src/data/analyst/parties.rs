//! Who called whom, by everything that is known.

use std::net::SocketAddr;

use mop_wire::Role;

use crate::data::{
    call::{Call, ClientIdentity},
    identity::{Gap, directory::Directory, tenants::Tenants},
    signal::Parties,
};

/// The participant's own identifiers and those of the others.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The participant's own.
    pub tenants: Tenants,
    /// All participants.
    pub directory: Directory,
}

impl Addresses {
    /// The parties of a call, and why one is not known: of the client, then of the server.
    #[must_use]
    pub fn parties(&self, call: &Call) -> (Parties, [Option<Gap>; 2]) {
        let mut parties = Parties::default();
        let client_gap = self.client(call, &mut parties);
        let server_gap = self.server(call, &mut parties);
        (parties, [client_gap, server_gap])
    }

    /// The organisation that answers a call, if it is known: the own one for calls that come in, by
    /// host and address; any for calls that go out.
    pub(crate) fn answerer(
        &self,
        role: Role,
        host: impl FnOnce() -> Option<String>,
        prefix: &str,
        local: Option<SocketAddr>,
    ) -> Option<String> {
        if self.tenants.servers.is_empty() && self.directory.hosts() == 0 {
            return None;
        }
        let host = host();
        let own = |host: Option<&str>, local| {
            self.tenants.server(host, local).map(|tenant| tenant.organisation.clone())
        };
        match role {
            Role::Server => own(host.as_deref(), local),
            Role::Client => {
                let host = host?;
                let found = self.directory.answerer(&host, prefix).ok();
                let found = found.map(|answerer| answerer.organisation.to_owned());
                found.or_else(|| own(Some(&host), None))
            }
        }
    }

    fn client(&self, call: &Call, parties: &mut Parties) -> Option<Gap> {
        // A browser that comes back shows no certificate; the server that it comes back to is the
        // client of the call's consent.
        let is_own = call.side == Role::Client;
        match &call.client {
            Ok(ClientIdentity { organisation, software_statement, .. })
                if call.role == call.side =>
            {
                parties.client_organisation = Some(organisation.clone());
                parties.client_software_statement.clone_from(software_statement);
                software_statement.is_none().then_some(Gap::SoftwareStatementAbsent)
            }
            _ if is_own => {
                let Some(tenant) = self.tenants.client(call.ends.local) else {
                    return Some(Gap::TenantUnknown);
                };
                parties.client_organisation = Some(tenant.organisation.clone());
                parties.client_software_statement = Some(tenant.software_statement.clone());
                None
            }
            Ok(_) => None,
            Err(gap) => Some(*gap),
        }
    }

    fn server(&self, call: &Call, parties: &mut Parties) -> Option<Gap> {
        let host = call.host.as_deref();
        match (call.role, call.side) {
            (Role::Server, Role::Server) => {
                let Some(tenant) = self.tenants.server(host, call.ends.local) else {
                    return Some(Gap::TenantUnknown);
                };
                parties.server_organisation = Some(tenant.organisation.clone());
                parties.server_authorisation_server = Some(tenant.authorisation_server.clone());
                None
            }
            (Role::Client, _) => {
                let Some(host) = host else { return Some(Gap::HostAbsent) };
                match self.directory.answerer(host, call.prefix.as_str()) {
                    Ok(answerer) => {
                        parties.server_organisation = Some(answerer.organisation.to_owned());
                        parties.server_authorisation_server =
                            answerer.authorisation_server.map(str::to_owned);
                        answerer.authorisation_server.is_none().then_some(Gap::HostAmbiguous)
                    }
                    // A brand of one's own that the directory does not list yet.
                    Err(gap) => {
                        let Some(tenant) = self.tenants.server(Some(host), None) else {
                            return Some(gap);
                        };
                        parties.server_organisation = Some(tenant.organisation.clone());
                        parties.server_authorisation_server =
                            Some(tenant.authorisation_server.clone());
                        None
                    }
                }
            }
            // Nothing in a browser's return says who answered.
            (Role::Server, Role::Client) => None,
        }
    }
}
