//! A certificate authority and a server certificate for loopback, made by openssl.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;

use crate::run;

/// Files of one authority and one server.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

/// Files of one client.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder; they are valid for a day.
    pub fn create(folder: &Path) -> Result<Self> {
        let folder = folder.join("certificates");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("server.ext"), SERVER_EXTENSIONS)?;
        let commands = [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 \
             -keyout authority.key -out authority.pem -subj /CN=MOP-test-authority",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
             -keyout server.key -out server.csr -subj /CN=localhost",
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
             -days 1 -extfile server.ext -out server.pem",
        ];
        for arguments in commands {
            let mut command = Command::new("openssl");
            command.current_dir(&folder).args(arguments.split_ascii_whitespace());
            run(&mut command, Duration::from_secs(20))?;
        }
        Ok(Self { folder })
    }

    /// Makes a client's certificate with this common name, or replaces the one it has.
    pub fn issue_client(&self, name: &str) -> Result<ClientCertificate> {
        self.issue_client_of(name, &format!("/CN={name}"))
    }

    /// The same with this subject, as openssl wants it written; it has no blanks.
    pub fn issue_client_of(&self, name: &str, subject: &str) -> Result<ClientCertificate> {
        self.issue_client_for(name, subject, 1)
    }

    /// The same, valid for so many days.
    pub fn issue_client_for(
        &self,
        name: &str,
        subject: &str,
        days: u32,
    ) -> Result<ClientCertificate> {
        let commands = [
            format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                 -keyout {name}.key -out {name}.csr -subj {subject}"
            ),
            format!(
                "x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
                 -days {days} -extfile client.ext -out {name}.pem"
            ),
        ];
        fs::write(self.folder.join("client.ext"), CLIENT_EXTENSIONS)?;
        for arguments in commands {
            let mut command = Command::new("openssl");
            command.current_dir(&self.folder).args(arguments.split_ascii_whitespace());
            run(&mut command, Duration::from_secs(20))?;
        }
        Ok(ClientCertificate {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        })
    }

    /// Where all of them are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate that clients trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The server's private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}

/// Without extensions it would be of version 1, which is refused.
const CLIENT_EXTENSIONS: &str = "extendedKeyUsage=clientAuth\n";
const SERVER_EXTENSIONS: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n";
