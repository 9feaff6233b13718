//! The transmitting participant's node, its clients, and the configuration of its observer.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use mop_tests::{
    Certificates, Nginx, Observer, Script, TRANSMITTER_BRAND, TRANSMITTER_ORGANISATION, bound,
    free_port, python, run,
};
use serde_json::{Map, Value, json};

use crate::{
    answers::{AUTO, answers},
    scenario::{Call, Who},
    secrets::SIGNATURE,
};

/// Servers of one participant.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    nginx: Nginx,
    _transmitter: Script,
    admin: String,
    host: String,
}

/// Calls that were made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// The first of them.
    pub(crate) began: SystemTime,
}

impl Stage {
    /// Starts the servers; nobody observes yet.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let settings = folder.path().join("transmitter.json");
        fs::write(&settings, json!({ "answers": answers() }).to_string())?;
        let transmitter = Script::serve("security/transmitter.py", [&settings])?;
        let large = folder.path().join("large.json");
        fs::write(&large, large_answer())?;
        let proxied = format!(
            "proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Host $host; \
             proxy_set_header Connection \"\";",
            transmitter.port()
        );
        let verified = format!(
            "ssl_verify_client on; ssl_client_certificate {};",
            certificates.authority().display()
        );
        let file = format!(
            "alias {}; default_type application/json; \
             add_header x-fapi-interaction-id $http_x_fapi_interaction_id;",
            large.display()
        );
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .http(&verified)
            .location("/", &proxied)
            .location(&format!("= {AUTO}"), &file)
            .start()?;
        let host = format!("api-{}.seguradora.example", nginx.port());
        let admin = format!("127.0.0.1:{}", free_port());
        let stage = Self { folder, certificates, nginx, _transmitter: transmitter, admin, host };
        fs::create_dir_all(stage.feed())?;
        fs::write(stage.folder.path().join("mop.toml"), stage.configuration())?;
        Ok(stage)
    }

    pub(crate) fn observe(&self) -> Result<Observer> {
        let configuration = self.folder.path().join("mop.toml");
        Observer::builder().arg("--config").arg(configuration).start()
    }

    /// Makes calls as the client of this number, and as its victim; waits until they are done.
    pub(crate) fn call(&self, number: u8, calls: &[Call]) -> Result<Made> {
        let mut clients = Map::new();
        for who in [Who::Client, Who::Victim] {
            let organisation = organisation(number, who);
            let name = format!("{}-{number}", who.name());
            let subject = format!(
                "/CN=receptora-{number}.example/organizationIdentifier=OPIBR-{organisation}/UID={organisation}"
            );
            let issued = self.certificates.issue_client_for(&name, &subject, CERTIFICATE_DAYS)?;
            let address = match who {
                Who::Client => format!("127.0.1.{number}"),
                Who::Victim => format!("127.0.2.{number}"),
            };
            let client = json!({
                "certificate": issued.certificate, "key": issued.key, "address": address,
            });
            clients.insert(who.name().to_owned(), client);
        }
        let calls: Vec<&Value> = calls.iter().map(|Call(call)| call).collect();
        let script = json!({
            "port": self.nginx.port(),
            "host": self.host,
            "authority": self.certificates.authority(),
            "signature": SIGNATURE,
            "clients": clients,
            "calls": calls,
        });
        let file = self.folder.path().join("script.json");
        fs::write(&file, script.to_string())?;
        let mut command = bound(python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/security/caller.py"));
        let output = run(command.arg(&file), LIMIT)?;
        let made: Value = serde_json::from_slice(&output.stdout)?;
        let seconds = made["began"].as_f64().context("a time")?;
        Ok(Made { began: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds) })
    }

    /// What the observer tells of itself.
    pub(crate) fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.admin)?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn feed(&self) -> PathBuf {
        self.folder.path().join("feed")
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    fn configuration(&self) -> String {
        format!(
            "[admin]\nlisten = \"{admin}\"\n\n[outbox]\nfolder = \"{outbox}\"\n\n\
             [data]\n[[data.servers]]\nhosts = [\"{host}\"]\n\
             organisation_id = \"{TRANSMITTER_ORGANISATION}\"\n\
             authorisation_server_id = \"{TRANSMITTER_BRAND}\"\n\n\
             [security]\ndirect_clients = true\n\n\
             [security.misp]\nfolder = \"{feed}\"\norganisation = \"Seguradora Exemplo\"\n\
             organisation_uuid = \"2ed6657d-e927-568b-95e1-2665a8aea6a2\"\nclient_addresses = true\n",
            admin = self.admin,
            outbox = self.outbox().display(),
            feed = self.feed().display(),
            host = self.host,
        )
    }
}

/// The organisation of a client.
pub(crate) fn organisation(number: u8, who: Who) -> String {
    let kind = match who {
        Who::Client => "0c0c",
        Who::Victim => "0c0d",
    };
    format!("{kind}0000-0000-4000-8000-{number:012}")
}

/// 3 MiB of policies.
fn large_answer() -> String {
    let policy = json!({ "policyId": "own-0", "productName": "Auto sintetico" }).to_string();
    let count = LARGE_BYTES / (policy.len() + 1);
    format!("{{\"data\":[{}]}}", vec![policy; count].join(","))
}

const LARGE_BYTES: usize = 3 << 20;
/// The profile tells of certificates that end within fifteen days.
pub(crate) const CERTIFICATE_DAYS: u32 = 90;
const LIMIT: Duration = Duration::from_secs(300);
