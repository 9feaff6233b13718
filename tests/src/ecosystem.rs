//! Two participants on one node: a receiving application with its certificate and its user's browser,
//! and a transmitting one, whose nginx ends TLS in front of the application.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Certificates, Nginx, Observer, ObserverBuilder, Process, Script, bound, free_port, python,
};

/// Servers of both, and the configuration of an observer of both.
pub struct Ecosystem {
    folder: tempfile::TempDir,
    certificates: Certificates,
    nginx: Nginx,
    _transmitter: Script,
    admin: String,
    /// Its own, since every observer sees all that is on the node.
    host: String,
}

/// A running receiving application.
pub struct Receiver {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the receiving application did.
#[derive(Debug)]
pub struct Done {
    /// Its calls to interfaces, in their order.
    pub calls: Vec<Called>,
    /// Of data, and of a quote.
    pub consents: Vec<(String, String)>,
    /// Calls on connections whose session was taken up again.
    pub resumed: u64,
}

/// A call of the receiving application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// Method.
    pub method: String,
    /// Without query.
    pub path: String,
    /// Status of the answer.
    pub status: u64,
    /// `x-fapi-interaction-id`
    pub interaction: String,
    /// The consent that it is about.
    pub consent: String,
}

impl Ecosystem {
    /// Starts both servers; nobody observes yet.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        certificates.issue_client_of(
            "receiver",
            &format!(
                "/CN=receptora.example/organizationIdentifier=OPIBR-{RECEIVER_ORGANISATION}/UID={RECEIVER_SOFTWARE}"
            ),
        )?;
        let admin = format!("127.0.0.1:{}", free_port());
        let settings = folder.path().join(TRANSMITTER_SETTINGS);
        fs::write(&settings, json!({ "hook": admin, "token": TOKEN }).to_string())?;
        let transmitter = Script::serve("pcm/transmitter.py", [&settings])?;
        let proxied = format!(
            "proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Host $host; \
             proxy_set_header Connection \"\"; proxy_set_header X-Client-Verify $ssl_client_verify;",
            transmitter.port()
        );
        let verified = format!(
            "ssl_verify_client optional; ssl_client_certificate {};",
            certificates.authority().display()
        );
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .http(&verified)
            .location("/", &proxied)
            .start()?;
        let host = format!("api-{}.seguradora.example", nginx.port());
        let ecosystem =
            Self { folder, certificates, nginx, _transmitter: transmitter, admin, host };
        ecosystem.write_configuration()?;
        Ok(ecosystem)
    }

    /// An observer of both sides.
    pub fn observer(&self) -> ObserverBuilder {
        Observer::builder().arg("--config").arg(self.configuration())
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("mop.toml")
    }

    /// For a replay: nothing is kept, and what no call shows is concluded.
    pub fn configuration_for_files(&self) -> Result<PathBuf> {
        let file = self.folder.path().join("files.toml");
        let text = fs::read_to_string(self.configuration())?;
        let (_, data) = text.split_once("[data]").context("no section [data]")?;
        fs::write(
            &file,
            format!("[data]{}", data.replace("funnel = {", "funnel = { infer = true,")),
        )?;
        Ok(file)
    }

    fn transmitter_settings(&self) -> PathBuf {
        self.folder.path().join(TRANSMITTER_SETTINGS)
    }

    /// Starts the application; it makes so many journeys, and tells the observer what no call shows.
    pub fn receiver(&self, journeys: u32, has_pause: bool) -> Result<Receiver> {
        self.start_receiver(journeys, has_pause, Some(&self.admin))
    }

    /// The same where nobody is told: neither application has an observer to tell.
    pub fn quiet_receiver(&self, journeys: u32) -> Result<Receiver> {
        fs::write(self.transmitter_settings(), json!({ "hook": null }).to_string())?;
        self.start_receiver(journeys, false, None)
    }

    fn start_receiver(
        &self,
        journeys: u32,
        has_pause: bool,
        hook: Option<&String>,
    ) -> Result<Receiver> {
        let settings = self.folder.path().join("receiver.json");
        let text = json!({
            "port": self.nginx.port(),
            "host": self.host,
            "folder": self.certificates.folder(),
            "hook": hook,
            "token": TOKEN,
            "journeys": journeys,
            "pause": has_pause,
        });
        fs::write(&settings, text.to_string())?;
        let mut command = bound(python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcm/receiver.py"));
        command.arg(&settings).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("receiver", &mut command)?;
        let input = process.stdin().context("no standard input")?;
        let output = BufReader::new(process.stdout().context("no standard output")?);
        Ok(Receiver { process, input, output })
    }

    fn write_configuration(&self) -> Result<()> {
        let (folder, host) = (self.folder.path().display(), &self.host);
        fs::write(self.folder.path().join("token"), TOKEN)?;
        let participants = json!([{
            "OrganisationId": TRANSMITTER_ORGANISATION,
            "AuthorisationServers": [{
                "AuthorisationServerId": TRANSMITTER_BRAND,
                "OpenIDDiscoveryDocument": format!("https://{host}/.well-known/openid-configuration"),
                "ApiResources": [],
            }],
        }]);
        fs::write(self.folder.path().join("participants.json"), participants.to_string())?;
        let text = format!(
            "[admin]\nlisten = \"{}\"\n\n[outbox]\nfolder = \"{folder}/outbox\"\n\n\
             [data]\nparticipants_file = \"{folder}/participants.json\"\n\
             hook_token_file = \"{folder}/token\"\nfunnel = {{ consent_user = \"user\", settle_seconds = 5 }}\n\n\
             [[data.servers]]\nhosts = [\"{host}\"]\norganisation_id = \"{TRANSMITTER_ORGANISATION}\"\n\
             authorisation_server_id = \"{TRANSMITTER_BRAND}\"\n\n\
             [[data.clients]]\naddresses = [\"127.0.0.2\"]\norganisation_id = \"{RECEIVER_ORGANISATION}\"\n\
             software_statement_id = \"{RECEIVER_SOFTWARE}\"\n",
            self.admin,
        );
        fs::write(self.configuration(), text)?;
        Ok(())
    }
}

impl Receiver {
    /// Waits until it is half-way through a journey.
    pub fn wait_for_half(&mut self) -> Result<()> {
        let line = self.line()?;
        ensure!(line == "halfway", "{line}");
        Ok(())
    }

    /// Has it go on.
    pub fn go_on(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n")?)
    }

    /// Waits until it is done.
    pub fn done(mut self) -> Result<Done> {
        let line = self.line()?;
        ensure!(self.process.wait(Duration::from_secs(20))?.success(), "{line}");
        let done: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let calls = list(&done["calls"]).into_iter().map(|call| {
            let path = text(&call[1]);
            Called {
                method: text(&call[0]),
                path: path.split('?').next().unwrap_or_default().to_owned(),
                status: call[2].as_u64().unwrap_or_default(),
                interaction: text(&call[3]),
                consent: text(&call[4]),
            }
        });
        let consents =
            list(&done["consents"]).iter().map(|it| (text(&it[0]), text(&it[1]))).collect();
        Ok(Done {
            calls: calls.collect(),
            consents,
            resumed: done["resumed"].as_u64().unwrap_or_default(),
        })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

const TRANSMITTER_SETTINGS: &str = "transmitter.json";
/// For the hook.
const TOKEN: &str = "hook-token-of-a-test";

/// Organisation of the receiving participant.
pub const RECEIVER_ORGANISATION: &str = "0c0a0000-0000-4000-8000-00000000000c";
/// Its application.
pub const RECEIVER_SOFTWARE: &str = "0c0b0000-0000-4000-8000-00000000000c";
/// Organisation of the transmitting participant.
pub const TRANSMITTER_ORGANISATION: &str = "05050000-0000-4000-8000-000000000005";
/// Its authorization server.
pub const TRANSMITTER_BRAND: &str = "05060000-0000-4000-8000-000000000005";
