//! Who called, from the certificates of a connection and the header of a proxy.

use mop_wire::{Headers, Role};

use super::{ClientIdentity, extract::Observed};
use crate::data::identity::{Gap, certificate::CertificateFacts, forwarded::ForwardedCertificate};

/// The caller of a call.
///
/// A certificate of the handshake that names an organisation wins; one that does not, as those
/// inside of a service mesh, gives way to what the proxy forwards.
pub(super) fn client(
    role: Role,
    headers: &Headers,
    observed: &Observed<'_>,
    forwarded: Option<&ForwardedCertificate>,
) -> Result<ClientIdentity, Gap> {
    let shown = match role {
        Role::Client => observed.own_certificate,
        Role::Server => observed.peer_certificate,
    };
    let by_handshake = shown.map(identity);
    if let Some(Ok(identity)) = by_handshake {
        return Ok(identity);
    }
    let sender = observed.ends.remote.map(|remote| remote.ip());
    let by_header = match forwarded {
        Some(forwarded) if role == Role::Server => forwarded.read(headers, sender)?,
        _ => None,
    };
    match (by_header, by_handshake) {
        (Some(facts), _) => identity(&facts),
        (None, Some(gap)) => gap,
        (None, None) => Err(Gap::CertificateAbsent),
    }
}

fn identity(facts: &CertificateFacts) -> Result<ClientIdentity, Gap> {
    let organisation = facts.subject.organisation.clone().ok_or(Gap::OrganisationAbsent)?;
    Ok(ClientIdentity {
        organisation,
        software_statement: facts.subject.software_statement.clone(),
        not_after: facts.not_after,
    })
}
