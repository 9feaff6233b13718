//! Who called whom: certificates, forwarded certificates, the participant's own tenants, and the
//! directory's list of participants.
//!
//! An identifier is taken from evidence or it is `None`; why it is missing is a [`Gap`], which is
//! counted. Nothing is guessed from names.

pub mod address;
pub mod certificate;
pub mod der;
pub mod directory;
pub mod distinguished_name;
pub mod forwarded;
pub mod host;
pub mod tenants;

/// Why an identifier of a party is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gap {
    /// No certificate was seen, neither in the handshake nor in a forwarded header.
    CertificateAbsent,
    /// A certificate or a forwarded header that cannot be read.
    CertificateUnreadable,
    /// A forwarded header from an address that is not trusted to send one.
    ForwarderUntrusted,
    /// The certificate names no organisation of the ecosystem (`OPIBR-…`).
    OrganisationAbsent,
    /// The certificate names no software statement (`UID`).
    SoftwareStatementAbsent,
    /// No tenant is configured for the host or the listener that was called, or for the process
    /// that called.
    TenantUnknown,
    /// The call names no host.
    HostAbsent,
    /// The directory does not list the host.
    HostUnlisted,
    /// The directory lists the host for several authorisation servers or organisations.
    HostAmbiguous,
}

impl Gap {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::CertificateAbsent,
        Self::CertificateUnreadable,
        Self::ForwarderUntrusted,
        Self::OrganisationAbsent,
        Self::SoftwareStatementAbsent,
        Self::TenantUnknown,
        Self::HostAbsent,
        Self::HostUnlisted,
        Self::HostAmbiguous,
    ];

    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateAbsent => "certificate_absent",
            Self::CertificateUnreadable => "certificate_unreadable",
            Self::ForwarderUntrusted => "forwarder_untrusted",
            Self::OrganisationAbsent => "organisation_absent",
            Self::SoftwareStatementAbsent => "software_statement_absent",
            Self::TenantUnknown => "tenant_unknown",
            Self::HostAbsent => "host_absent",
            Self::HostUnlisted => "host_unlisted",
            Self::HostAmbiguous => "host_ambiguous",
        }
    }
}

/// An identifier of the directory in small letters: 36 characters, hexadecimal digits in groups of
/// 8, 4, 4, 4 and 12. `None` when the text is none.
#[must_use]
pub fn directory_id(text: &str) -> Option<String> {
    let mut groups = [8, 4, 4, 4, 12].into_iter();
    let is_id = text.split('-').all(|group| {
        groups.next() == Some(group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    (is_id && groups.next().is_none()).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_five_groups() {
        let id = "1FB79963-4bff-4204-9370-93aceb8a2f0d";
        assert_eq!(directory_id(id).as_deref(), Some("1fb79963-4bff-4204-9370-93aceb8a2f0d"));
        for text in ["", "1fb79963", &format!("{id}-"), &id.replace('b', "g"), &id.replace('-', "")]
        {
            assert_eq!(directory_id(text), None, "{text}");
        }
    }
}
