//! TLS to the broker. All files are read anew for each connection, so that a certificate that was
//! rotated is taken without a restart.

use std::{path::Path, sync::Arc};

use lapin::tcp::RustlsConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::sinks::Trouble;

/// What makes TLS connections by the files as they are now: those of the authorities, and of the own
/// certificate with its key.
pub(crate) fn connector(
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<RustlsConnector, Trouble> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::lasting("certificate", error))?
        .with_root_certificates(roots(ca_file)?);
    let config = match identity {
        Some((certificate, key)) => {
            let chain = certificates("certificate_file", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("key_file", key, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                Trouble::lasting(
                    "certificate",
                    format!(
                        "certificate_file {} and key_file do not fit together: {error}",
                        certificate.display()
                    ),
                )
            })?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(RustlsConnector::from(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Trouble> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates("ca_file", path)? {
            roots.add(certificate).map_err(|error| unusable("ca_file", path, &error))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Trouble::lasting(
            "certificate",
            "this system has no list of trusted authorities: install its package of CA \
             certificates, or name the broker's authority in ca_file",
        ));
    }
    Ok(roots)
}

fn certificates(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unusable(field, path, &error))?
        .collect();
    let read = read.map_err(|error| unusable(field, path, &error))?;
    if read.is_empty() {
        return Err(unusable(field, path, &"it holds no certificate (PEM)"));
    }
    Ok(read)
}

fn unusable(field: &str, path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::lasting("certificate", format!("cannot use {field} {}: {error}", path.display()))
}
