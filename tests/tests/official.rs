//! Messages on their way to a stand-in for the official server that verifies every token and value
//! by itself, through the program: `mop replay` makes them, the outbox keeps them, the sink sends
//! them.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{Script, mop_command, until};
use serde_json::{Map, Value, json};

/// The stand-in, what it is told, and the configuration of MOP against it.
struct Official {
    folder: tempfile::TempDir,
    server: Script,
    settings: Value,
}

impl Official {
    /// With these bodies by correlation id, and more settings of `server.py`.
    fn start(bodies: &Map<String, Value>, more: &Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.pem");
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], Some(&key))?;
        let public = openssl(&["pkey", "-pubout", "-in", &key.to_string_lossy()], None)?;
        let mut settings = json!({
            "keys": { KID: String::from_utf8(public)? },
            "org_id": ORGANISATION,
            "lists": {
                "anonymized": ["identification", "CPFNUMBER"],
                "exposed": ["permissions", "status", "rel"],
                "timestamp": "2026-11-24T12:00:00Z",
            },
            "bodies": bodies,
        });
        for (name, value) in more.as_object().context("settings")? {
            settings[name] = value.clone();
        }
        fs::write(folder.path().join("server.json"), settings.to_string())?;
        let server = Script::serve("official/server.py", [folder.path()])?;
        let official = Self { folder, server, settings };
        official.configure("")?;
        Ok(official)
    }

    /// Writes the configuration, with more lines for the sink.
    fn configure(&self, more: &str) -> Result<()> {
        let folder = self.folder.path().display();
        let port = self.server.port();
        let text = format!(
            "[node]\nname = \"node-1\"\n\
             [outbox]\nfolder = \"{folder}/outbox\"\nkeep_delivered = true\n\
             [sinks.mop_server]\n\
             process_url = \"http://127.0.0.1:{port}/process\"\n\
             fields_url = \"http://127.0.0.1:{port}/anonymization-fields?schema=Consent\"\n\
             key_file = \"{folder}/key.pem\"\n\
             kid = \"{KID}\"\norganisation_id = \"{ORGANISATION}\"\nenvironment = \"sandbox\"\n{more}"
        );
        fs::write(self.configuration(), text)?;
        Ok(())
    }

    /// Changes what the stand-in is told.
    fn tell(&mut self, name: &str, value: Value) -> Result<()> {
        self.settings[name] = value;
        fs::write(self.folder.path().join("server.json"), self.settings.to_string())?;
        Ok(())
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("mop.toml")
    }

    /// `mop replay` of these lines.
    fn replay(&self, lines: &[Value]) -> Result<Output> {
        self.replay_to("none", lines)
    }

    fn replay_to(&self, format: &str, lines: &[Value]) -> Result<Output> {
        let file = self.folder.path().join("calls.exchanges.jsonl");
        let mut out = File::create(&file)?;
        for line in lines {
            writeln!(out, "{line}")?;
        }
        let mut command = mop_command();
        command.arg("replay").arg(&file).args(["--output", format, "--config"]);
        Ok(command.arg(self.configuration()).output()?)
    }

    /// `mop forward` with nothing to put in: sends what lies in the outbox.
    fn forward(&self, drain_for: &str) -> Result<Output> {
        let mut command = mop_command();
        command.args(["forward", "--drain-for", drain_for, "--config"]).arg(self.configuration());
        Ok(command.stdin(std::process::Stdio::null()).output()?)
    }

    fn state(&self) -> Result<Value> {
        state(self.server.port())
    }

    /// Everything that lies in the outbox.
    fn outbox(&self) -> Result<Vec<u8>> {
        fn collect(folder: &Path, into: &mut Vec<u8>) -> Result<()> {
            for file in fs::read_dir(folder)? {
                let path = file?.path();
                if path.is_dir() {
                    collect(&path, into)?;
                } else {
                    into.extend(fs::read(path)?);
                }
            }
            Ok(())
        }
        let mut bytes = Vec::new();
        collect(&self.folder.path().join("outbox"), &mut bytes)?;
        Ok(bytes)
    }
}

fn state(port: u16) -> Result<Value> {
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--noproxy", "*", "--max-time", "20"]);
    let output = command.arg(format!("http://127.0.0.1:{port}/state")).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn openssl(arguments: &[&str], out: Option<&Path>) -> Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments);
    if let Some(out) = out {
        command.arg("-out").arg(out);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "openssl failed");
    Ok(output.stdout)
}

fn interaction(number: usize) -> String {
    format!("6f1b2a3c-0000-4000-8000-{number:012}")
}

/// What marks values that must not leave.
const MARK: &str = "77788899900";

/// A consent that is asked for and given, seen by a server or by a client.
fn call(number: usize) -> (Value, String) {
    let request = json!({ "data": {
        "loggedUser": { "document": { "identification": MARK, "rel": "CPF" } },
        "permissions": ["RESOURCES_READ"],
        "expirationDateTime": "2027-02-01T23:59:59Z",
    } });
    let response = json!({
        "data": {
            "consentId": format!("urn:participante:{MARK}-{number}"),
            "creationDateTime": "2027-01-01T00:00:00Z",
            "status": "AWAITING_AUTHORISATION",
            "statusUpdateDateTime": "2027-01-01T00:00:00Z",
            "permissions": ["RESOURCES_READ", null, 1.5e9],
            "expirationDateTime": "2027-02-01T23:59:59Z",
            "cpfNumber": number,
        },
        "links": { "self": "https://api.participante.example/open-insurance/consents/v3/consents" },
        "meta": { "totalRecords": 1, "totalPages": 1 },
    });
    let is_server = number.is_multiple_of(2);
    let fields = json!([
        ["content-type", "application/json"],
        ["x-fapi-interaction-id", interaction(number)],
        ["authorization", format!("Bearer {MARK}")],
        ["x-fapi-customer-ip-address", MARK],
    ]);
    let line = json!({
        "id": format!("e{number}"), "ts": "2026-11-24T12:00:00Z", "duration_ms": 12.5,
        "role": if is_server { "server" } else { "client" },
        "request": { "method": "POST", "target": "/open-insurance/consents/v3/consents", "headers": fields,
            "body": request.to_string() },
        "response": { "status": 201, "headers": fields, "body": response.to_string() },
    });
    (line, if is_server { response.to_string() } else { request.to_string() })
}

/// So many calls, and their bodies as the stand-in has to know them.
fn calls(count: usize) -> (Vec<Value>, Map<String, Value>) {
    let calls = (0..count).map(call);
    let with_ids = calls
        .enumerate()
        .map(|(number, (line, body))| (line, (interaction(number), Value::from(body))));
    with_ids.unzip()
}

#[test]
fn a_thousand_calls_reach_the_server_once_while_a_third_of_its_answers_are_errors() -> Result<()> {
    let (lines, bodies) = calls(1000);
    let official = Official::start(&bodies, &json!({ "errors": 0.3, "seed": 20_261_124 }))?;
    let replayed = official.replay(&lines)?;
    ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    // What is left after the time of a replay is sent by the next run.
    let forwarded = official.forward("120s")?;
    ensure!(forwarded.status.success(), "{}", String::from_utf8_lossy(&forwarded.stderr));
    let state = official.state()?;
    assert_eq!(state["problems"], json!([]));
    let taken = state["taken"].as_object().context("there")?;
    assert_eq!(taken.len(), 1000);
    assert!(state["posts"].as_u64() > Some(1300), "{}", state["posts"]);
    let at_rest = official.outbox()?;
    assert!(at_rest.len() > 1000 * 500, "the outbox has kept what it delivered");
    let is_raw = at_rest.windows(MARK.len()).any(|window| window == MARK.as_bytes());
    assert!(!is_raw, "nothing lies on disk that may not leave");
    Ok(())
}

#[test]
fn records_are_as_their_schema_says() -> Result<()> {
    let (lines, bodies) = calls(6);
    let official = Official::start(&bodies, &json!({}))?;
    let replayed = official.replay_to("jsonl", &lines)?;
    ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/schemas/official.message.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema)?)?;
    let validator = jsonschema::options().should_validate_formats(true).build(&schema)?;
    let text = String::from_utf8(replayed.stdout)?;
    let records = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let messages: Vec<&Value> =
        records.iter().filter(|record| record["kind"] == "official.message").collect();
    assert_eq!(messages.len(), 6);
    for message in messages {
        let errors: Vec<String> =
            validator.iter_errors(message).map(|error| error.to_string()).collect();
        ensure!(errors.is_empty(), "{errors:#?}");
    }
    Ok(())
}

#[test]
fn a_key_that_the_directory_does_not_know_costs_nothing_but_time() -> Result<()> {
    let (lines, bodies) = calls(20);
    let mut official = Official::start(&bodies, &json!({}))?;
    let keys = official.settings["keys"].clone();
    official.tell("keys", json!({}))?;
    // Put in and not delivered: the replay ends, and says that something is left.
    let _left = official.replay(&lines)?;
    let forwarded = official.forward("1s")?;
    assert!(!forwarded.status.success(), "they are still in the outbox");
    let state = official.state()?;
    assert_eq!(state["taken"], json!({}));
    assert!(state["answers"]["401"].as_u64() > Some(0), "{state}");
    official.tell("keys", keys)?;
    let forwarded = official.forward("60s")?;
    ensure!(forwarded.status.success(), "{}", String::from_utf8_lossy(&forwarded.stderr));
    assert_eq!(official.state()?["taken"].as_object().context("there")?.len(), 20);
    Ok(())
}

#[test]
fn a_message_that_is_refused_is_set_aside_and_holds_up_no_other() -> Result<()> {
    let (lines, mut bodies) = calls(10);
    bodies.remove(&interaction(4));
    let official = Official::start(&bodies, &json!({}))?;
    let replayed = official.replay(&lines)?;
    ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let state = official.state()?;
    assert_eq!(state["taken"].as_object().context("there")?.len(), 9);
    let problems = state["problems"].as_array().context("there")?;
    assert!(problems.iter().all(|problem| problem == "correlationId"), "{problems:?}");
    assert!((1..=3).contains(&problems.len()), "it is tried seldom, not for ever: {problems:?}");
    Ok(())
}

#[test]
fn silence_and_a_request_for_time_end_with_delivery() -> Result<()> {
    for script in [json!(["silent", 201]), json!([[429, 1], [503, 1], 201])] {
        let (lines, bodies) = calls(3);
        let official = Official::start(&bodies, &json!({ "script": script }))?;
        official.configure("request_timeout = \"2s\"\n")?;
        let replayed = official.replay(&lines)?;
        ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        until("delivery", Duration::from_secs(60), || {
            let _again = official.forward("5s");
            official
                .state()
                .is_ok_and(|state| state["taken"].as_object().is_some_and(|taken| taken.len() == 3))
        })?;
    }
    Ok(())
}

#[test]
fn without_lists_of_fields_nothing_is_made_and_the_last_ones_outlive_the_server() -> Result<()> {
    let (lines, bodies) = calls(4);
    let mut official = Official::start(&bodies, &json!({}))?;
    official.tell("lists_down", json!(true))?;
    let _waited_in_vain = official.replay(&lines[..1])?;
    assert_eq!(official.state()?["posts"], 0);
    official.tell("lists_down", json!(false))?;
    official.replay(&lines[1..2])?;
    official.tell("lists_down", json!(true))?;
    official.replay(&lines[2..])?;
    let taken = official.state()?["taken"].as_object().context("there")?.len();
    assert_eq!(taken, 3, "the lists of the second run served the third");
    Ok(())
}

#[test]
fn a_webhook_gets_signed_batches_and_each_record_in_spite_of_errors() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let receiver = Script::serve("official/webhook.py", ["k3y", "0.3"])?;
    fs::write(folder.path().join("key"), "k3y\n")?;
    let configuration = folder.path().join("mop.toml");
    let text = format!(
        "[outbox]\nfolder = \"{0}/outbox\"\n\
         [sinks.webhook]\nurl = \"http://127.0.0.1:{1}/records\"\nbatch = 7\nsignature_key_file = \"{0}/key\"\n",
        folder.path().display(),
        receiver.port()
    );
    fs::write(&configuration, text)?;
    let records = folder.path().join("records.jsonl");
    let mut out = File::create(&records)?;
    for number in 0..500 {
        let kind = if number == 13 { "official.message" } else { "data.call" };
        writeln!(out, "{}", json!({ "kind": kind, "id": format!("r{number}"), "n": number }))?;
    }
    drop(out);
    let mut command = mop_command();
    command.args(["forward", "--drain-for", "60s", "--config"]).arg(&configuration);
    let output = command.stdin(File::open(&records)?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let state = state(receiver.port())?;
    assert_eq!(state["problems"], json!([]));
    assert!(state["failed"].as_u64() > Some(10), "{}", state["failed"]);
    let records = state["records"].as_object().context("there")?;
    assert!(!records.contains_key("r13"), "that is for the official server alone");
    assert_eq!(records.keys().filter(|id| id.starts_with('r')).count(), 499);
    assert!(records.values().all(|times| *times == 1), "no answer was lost, nothing comes twice");
    Ok(())
}

const KID: &str = "kid-1";
const ORGANISATION: &str = "00000000-0000-4000-8000-000000000001";
