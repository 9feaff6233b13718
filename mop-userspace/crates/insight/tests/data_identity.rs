//! Certificates as they come: of the handshake, and forwarded by proxies in each of their ways.
//!
//! The fixtures were made with `openssl req -x509`, with the subjects that the ecosystem's transport
//! and signature certificates have; their keys were not kept.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{fs, path::Path, sync::Arc};

use common::{CLIENT, Made, STATEMENT};
use mop_insight::data::{
    call::{Call, Ends, Extractor, Observed},
    identity::{
        Gap,
        certificate::{CertificateFacts, Subject},
        forwarded::{Format, ForwardedCertificate},
    },
};
use proptest::prelude::*;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// What a proxy sends in each form, from the corpus of the fuzz target.
fn forwarded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/forwarded");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    text[1..].to_owned()
}

#[test]
fn the_transport_certificate_names_organisation_and_software_statement() {
    let facts = CertificateFacts::from_pem(&fixture("transport.pem")).unwrap();
    let CertificateFacts { subject, not_after, fingerprint } = facts;
    assert_eq!(
        subject,
        Subject {
            organisation: Some(CLIENT.into()),
            software_statement: Some(STATEMENT.into()),
            common_name: Some("cliente.seguradora.example".into()),
            serial_number: Some("00000000000191".into()),
        }
    );
    assert_eq!(not_after, Some("2027-11-28T18:05:58Z".parse().unwrap()));
    let hex: String = fingerprint.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    // As `openssl x509 -fingerprint -sha256` says.
    assert_eq!(hex, "52b7c918b89800eba5f5c3fa87ca6cc4c2645a541c825cd6d3811debfd675b0f");
}

#[test]
fn the_signature_certificate_names_no_software_statement() {
    let facts = CertificateFacts::from_pem(&fixture("seal.pem")).unwrap();
    assert_eq!((facts.subject.organisation, facts.subject.software_statement), (None, None));
    // Beyond 2049, by `GeneralizedTime`.
    assert_eq!(facts.not_after, Some("2055-12-06T18:05:44Z".parse().unwrap()));
}

#[test]
fn every_proxy_is_understood() {
    for (format, name) in [
        (Format::Base64Der, "base64_der"),
        (Format::BarePem, "bare_pem"),
        (Format::ClientCert, "client_cert"),
        (Format::Envoy, "envoy"),
        (Format::Subject, "subject"),
        (Format::UrlEscapedPem, "url_escaped_pem"),
    ] {
        let facts = format.parse(&forwarded(name)).unwrap();
        assert_eq!(facts.subject.organisation.as_deref(), Some(CLIENT), "{format:?}");
        assert_eq!(facts.subject.software_statement.as_deref(), Some(STATEMENT), "{format:?}");
        assert_eq!(facts.fingerprint.is_some(), format != Format::Subject);
    }
    // Traefik's summary has neither.
    let facts = Format::TraefikInfo.parse(&forwarded("traefik_info")).unwrap();
    assert_eq!(facts.subject.common_name.as_deref(), Some("a"));
    assert_eq!(facts.subject.organisation, None);
}

#[test]
fn of_several_proxies_the_last_that_names_an_organisation_counts() {
    let name = |organisation: &str| format!("UID={STATEMENT},2.5.4.97=OPIBR-{organisation}");
    let sent = name("00000000-0000-0000-0000-000000000000");
    let own = name(CLIENT);
    let text = format!("Subject=\"{sent}\",Hash=1;Subject=\"{own}\",By=a;Subject=\"CN=mesh\"");
    let facts = Format::Envoy.parse(&text).unwrap();
    assert_eq!(facts.subject.organisation.as_deref(), Some(CLIENT));
    assert!(Format::Envoy.parse("Subject=\"open").is_err());
    assert!(Format::Envoy.parse("By=a").is_err());
}

fn call(made: &Made, peer: Option<&CertificateFacts>, from: &[&str]) -> Call {
    let mut settings = common::settings();
    settings.forwarded = Some(ForwardedCertificate {
        header: "X-Client-Cert".into(),
        format: Format::UrlEscapedPem,
        from: from.iter().map(|range| range.parse().unwrap()).collect(),
    });
    let observed = Observed {
        exchange: &"x".into(),
        start: made.start,
        ends: Ends { local: made.local.parse().ok(), remote: made.remote.parse().ok() },
        process: None,
        peer_certificate: peer,
        own_certificate: None,
        connection_end_ns: None,
    };
    Extractor::new(Arc::new(settings)).extract(&made.exchange, &observed).unwrap()
}

#[test]
fn a_header_counts_from_the_proxy_only() {
    let bare = Made::new("GET", "/open-insurance/resources/v3/resources", 403)
        .ends("10.0.0.1:8080", "10.0.0.2:40000");
    let made = bare.clone().header("X-Client-Cert", &forwarded("url_escaped_pem"));
    let organisation = |call: Call| call.client.map(|client| client.organisation);
    assert_eq!(organisation(call(&made, None, &["10.0.0.0/8"])), Ok(CLIENT.into()));
    assert_eq!(organisation(call(&made, None, &[])), Ok(CLIENT.into()));
    assert_eq!(organisation(call(&made, None, &["10.9.0.0/16"])), Err(Gap::ForwarderUntrusted));
    assert_eq!(organisation(call(&bare, None, &[])), Err(Gap::CertificateAbsent));
    let twice = made.clone().header("X-Client-Cert", "x");
    assert_eq!(organisation(call(&twice, None, &[])), Err(Gap::CertificateUnreadable));
    // A mesh's own certificate gives way; one that names an organisation does not.
    let mesh = CertificateFacts { subject: Subject::default(), not_after: None, fingerprint: None };
    assert_eq!(organisation(call(&made, Some(&mesh), &[])), Ok(CLIENT.into()));
    assert_eq!(organisation(call(&bare, Some(&mesh), &[])), Err(Gap::OrganisationAbsent));
    let mut other = common::certificate();
    other.subject.organisation = Some(common::SERVER.into());
    assert_eq!(organisation(call(&made, Some(&other), &[])), Ok(common::SERVER.into()));
}

proptest! {
    /// Whatever a header holds, the forms that are read from the same certificate agree, and any
    /// change of one character is refused or names the same kind of thing.
    #[test]
    fn a_spoilt_header_is_no_panic(at in 0_usize..4000, with in any::<char>(), form in 0_usize..7) {
        let names = [
            "base64_der", "bare_pem", "client_cert", "envoy", "subject", "traefik_info",
            "url_escaped_pem",
        ];
        let mut text: Vec<char> = forwarded(names[form]).chars().collect();
        let at = at % text.len();
        text[at] = with;
        let text: String = text.into_iter().collect();
        if let Ok(facts) = Format::ALL[form].parse(&text)
            && let Some(organisation) = facts.subject.organisation
        {
            prop_assert_eq!(organisation.len(), 36);
        }
    }
}
