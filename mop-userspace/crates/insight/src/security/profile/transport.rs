//! Protocol, cipher, and the certificate of the client.

use jiff::SignedDuration;

use super::{
    check::Check,
    facts::{Certificate, ClientCertificate, Tls},
    memory::Memory,
    state::Judge,
};
use crate::{
    data::digest::{Digest, Key, Subject},
    security::finding::{Part, Place},
};

/// Judges the connection of a call. What a certificate is told for is told once in a while.
pub(super) fn judge(judge: &mut Judge<'_>, told: &mut Memory<(Check, Digest), i64>, key: &Key) {
    if let Some(tls) = judge.facts.tls {
        if is_old(tls) {
            judge.tell(Check::TlsVersionOld, [Place::field(Part::Connection, "version")]);
        }
        let is_listed = tls.cipher.is_none_or(|cipher| CIPHERS.contains(&cipher));
        if tls.version == TLS_1_2 && !is_listed && judge.is_mutual() {
            judge.tell(Check::TlsCipherUnlisted, [Place::field(Part::Connection, "cipher")]);
        }
    }
    let certificate = match &judge.facts.certificate {
        ClientCertificate::Shown(certificate) => certificate,
        ClientCertificate::Absent => {
            if judge.is_mutual() && judge.is_accepted() {
                judge.tell(Check::CertificateAbsent, [Place::whole(Part::Certificate)]);
            }
            return;
        }
        ClientCertificate::Unknown => return,
    };
    let Some((check, name)) = fault(judge, certificate) else { return };
    let named = match (&certificate.fingerprint, &certificate.organisation) {
        (Some(fingerprint), _) => fingerprint.as_slice(),
        (None, Some(organisation)) => organisation.as_bytes(),
        (None, None) => b"",
    };
    let subject = (check, key.digest(Subject::Party, named));
    let now_s = judge.facts.start.as_second();
    let repeat_s = judge.checks.limit(check, "repeat_s");
    if told.get(&subject).is_some_and(|last_s| last_s.abs_diff(now_s) < repeat_s) {
        return;
    }
    told.insert(subject, now_s);
    judge.tell(check, [Place::field(Part::Certificate, name)]);
}

/// Whether a protocol is none that anybody should speak.
pub(super) fn is_old(tls: Tls) -> bool {
    OLD_VERSIONS.contains(&tls.version)
}

/// What is wrong with a certificate; the worst.
fn fault(judge: &Judge<'_>, certificate: &Certificate) -> Option<(Check, &'static str)> {
    if let Some(not_after) = certificate.not_after {
        let left = not_after.duration_since(judge.facts.start);
        let leeway_s = judge.checks.seconds(Check::CertificateExpired, "leeway_s");
        if left < SignedDuration::from_secs(-leeway_s) {
            return Some((Check::CertificateExpired, "notAfter"));
        }
        let days = judge.checks.seconds(Check::CertificateExpiring, "days");
        let warned = SignedDuration::from_secs(days.saturating_mul(DAY_SECONDS));
        if certificate.organisation.is_some() && left < warned {
            return Some((Check::CertificateExpiring, "notAfter"));
        }
    }
    let is_foreign = certificate.organisation.is_none() && judge.is_mutual();
    is_foreign.then_some((Check::CertificateWithoutOrganisation, "organizationIdentifier"))
}

const DAY_SECONDS: i64 = 86_400;
const TLS_1_2: u16 = 0x0303;
/// SSL 3.0, TLS 1.0 and 1.1.
const OLD_VERSIONS: [u16; 3] = [0x0300, 0x0301, 0x0302];
/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` and `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`: the
/// profile's for TLS 1.2; every suite of TLS 1.3 is good.
const CIPHERS: [u16; 2] = [0xc02f, 0xc030];
