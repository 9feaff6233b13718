//! Pseudonyms in the feed for MISP: equal where the root is, and nothing to those who have it not.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context, Result, ensure};
use mop_tests::{mop_command, shared_folder};
use serde_json::{Value, json};

/// What stands for whom: comment and value of attributes.
type Told = BTreeSet<(String, String)>;

#[test]
fn pseudonyms_are_equal_where_the_root_is() -> Result<()> {
    let folder = shared_folder()?;
    let key = folder.path().join("root.key");
    fs::write(&key, "0011223344556677".repeat(4) + "\n")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let one = told(folder.path(), "one", Some(&key))?;
    // One consent and two tokens, in the month of the calls.
    let of = |class: &str| one.iter().filter(|it| it.0.starts_with(class)).count();
    ensure!((of("consent, key "), of("token, key "), one.len()) == (1, 2, 3), "{one:?}");
    let keys: BTreeSet<&str> =
        one.iter().filter_map(|it| it.0.split_once(", key ")).map(|it| it.1).collect();
    ensure!(keys.len() == 1 && keys.iter().all(|key| key.len() == 16), "{one:?}");
    // Another node, with another key of its own.
    ensure!(told(folder.path(), "two", Some(&key))? == one);
    let own = told(folder.path(), "three", None)?;
    ensure!(own.len() == 3 && own.is_disjoint(&one), "{own:?}");
    Ok(())
}

#[test]
fn a_root_that_others_may_read_is_refused() -> Result<()> {
    let folder = shared_folder()?;
    let key = folder.path().join("root.key");
    fs::write(&key, "0011223344556677".repeat(4))?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let output = replay(folder.path(), "one", Some(&key))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(78), "{said}");
    for words in ["security.pseudonym_key_file", "root.key", "chmod 0400"] {
        ensure!(said.contains(words), "{said}");
    }
    ensure!(said.lines().count() == 1 && !said.contains("00112233"), "{said}");
    Ok(())
}

fn told(folder: &Path, name: &str, key: Option<&Path>) -> Result<Told> {
    let output = replay(folder, name, key)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code().is_some_and(|code| code <= 1), "{said}");
    let mut told = Told::new();
    for file in fs::read_dir(folder.join(name))? {
        let text = fs::read_to_string(file?.path())?;
        for secret in ["urn:mop:", TOKEN] {
            ensure!(!text.contains(secret), "{secret} in {text}");
        }
        let Ok(content) = serde_json::from_str::<Value>(&text) else { continue };
        let attributes = content["Event"]["Attribute"].as_array().cloned().unwrap_or_default();
        for attribute in attributes.iter().filter(|it| it["type"] == "anonymised") {
            let part = |name: &str| attribute[name].as_str().map(str::to_owned).context("text");
            told.insert((part("comment")?, part("value")?));
        }
    }
    Ok(told)
}

/// A file of calls, looked at by a node with a feed in a folder of this name.
fn replay(folder: &Path, name: &str, key: Option<&Path>) -> Result<std::process::Output> {
    let (config, calls) =
        (folder.join(format!("{name}.toml")), folder.join("calls.exchanges.jsonl"));
    let key = key.map(|key| format!("pseudonym_key_file = {key:?}\n")).unwrap_or_default();
    let section = format!(
        "[security]\n{key}[security.misp]\nfolder = {:?}\norganisation = \"A\"\n\
         organisation_uuid = \"2ed6657d-e927-568b-95e1-2665a8aea6a2\"\n",
        folder.join(name)
    );
    fs::write(&config, section)?;
    let lines: Vec<String> = (0..4).map(|call| attack(call).to_string()).collect();
    fs::write(&calls, lines.join("\n"))?;
    Ok(mop_command().arg("replay").arg(calls).arg("--config").arg(config).output()?)
}

/// An attempt on a consent, with one of two tokens.
fn attack(call: u8) -> Value {
    let target = format!(
        "/open-insurance/consents/v3/consents/urn:mop:c1?q=1%27%20union%20select%20{call}%2Cpassword\
         %20from%20users--"
    );
    json!({
        "id": format!("e{call}"), "ts": format!("2026-11-24T12:00:0{call}Z"), "duration_ms": 12,
        "role": "server",
        "client": { "ip": "192.0.2.7", "port": 40112 + u16::from(call) },
        "server": { "ip": "192.0.2.1", "port": 443 },
        "request": { "method": "GET", "target": target, "headers": [
            ["host", "api.seguradora.example"],
            ["authorization", format!("Bearer {TOKEN}{}", call % 2)],
        ] },
        "response": { "status": 404, "headers": [], "body": "" },
    })
}

const TOKEN: &str = "tok-Z19xqW8eRt5yUiOp-";
