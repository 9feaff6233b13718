//! Contracts and rules on the command line: where they come from, what is wrong with them, and what
//! `mop contracts` says of them.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use mop_tests::mop_command;
use serde_json::{Value, json};

use crate::{
    calls::{CONSENTS, Call, Side},
    own::OWN,
    records::{codes, of_kind},
    runs::Run,
};

#[test]
fn bad_rules_are_refused_in_one_sentence_that_names_the_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = |name: &str, files: &[(&str, &str)]| -> Result<PathBuf> {
        let path = folder.path().join(name);
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, text)?;
        }
        Ok(path)
    };
    let own = ("contracts/own.yaml", OWN);
    let empty = folder.path().join("empty");
    fs::create_dir_all(&empty)?;
    let hollow = folder.path().join("hollow");
    fs::create_dir_all(hollow.join("contracts"))?;
    for (path, named) in [
        (folder.path().join("absent"), "absent"),
        (empty, "empty/contracts"),
        (hollow, "hollow/contracts"),
        (rules("a-file", &[own])?.join("contracts/own.yaml"), "own.yaml"),
        (rules("broken", &[("contracts/own.yaml", "openapi: [unclosed")])?, "own.yaml"),
        (rules("no-document", &[("contracts/own.yaml", "just: a map")])?, "own.yaml"),
        (rules("json", &[("contracts/own.json", "{\"openapi\":")])?, "own.json"),
        (
            rules(
                "pack",
                &[("contracts/own.contracts.jsonl", "{\"documents\":1,\"mop_contracts\":1}\n")],
            )?,
            "own.contracts.jsonl",
        ),
        (
            rules(
                "future",
                &[("contracts/own.contracts.jsonl", "{\"documents\":0,\"mop_contracts\":99}\n")],
            )?,
            "own.contracts.jsonl",
        ),
        (rules("overlay", &[own, ("overlays/own.yaml", "corrections: 7")])?, "overlays/own.yaml"),
        (rules("rule", &[own, ("rules/own.yaml", "rules: 7")])?, "rules/own.yaml"),
        (
            rules("rule-field", &[own, ("rules/own.yaml", "rules: []\nunknown: 1")])?,
            "rules/own.yaml",
        ),
    ] {
        let path = path.display().to_string();
        for arguments in [
            &["validate", "--path", "/a"][..],
            &["contracts", "list"],
            &["contracts", "show", "GET /a"],
            &["replay", "absent.exchanges.jsonl"],
        ] {
            let replays = arguments.contains(&"replay");
            let calls = folder.path().join("absent.exchanges.jsonl");
            fs::write(&calls, "")?;
            let calls = calls.display().to_string();
            let arguments: Vec<&str> = arguments
                .iter()
                .map(
                    |argument| {
                        if replays && argument.contains("absent") { &*calls } else { argument }
                    },
                )
                .chain(["--rules", &path])
                .collect();
            let run = Run::of(&arguments, None)?;
            let message = run.fails_with(78).with_context(|| format!("mop {arguments:?}"))?;
            ensure!(message.contains(named), "{arguments:?}: {message}");
        }
    }
    Ok(())
}

#[test]
fn documents_of_ones_own_are_judged_by_first() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mine.yaml");
    // The same path as a built-in document has.
    fs::write(&file, OWN.replace("/test/own", "/consents/v3").replace("/things", "/consents"))?;
    let path = file.display().to_string();
    let call = Call::with("GET", &format!("{CONSENTS}/1"), &Value::Null, 200, &json!({}));
    let validate = |options: &[&str]| -> Result<Value> {
        let mut all = vec!["--output", "json"];
        all.extend(options);
        Run::validate(&call, Side::Response, &all)?.document()
    };
    ensure!(validate(&[])?["api"] == "consents_v3");
    let own = validate(&["--contracts", &path])?;
    ensure!(own["api"] == "mine" && own["api_version"] == "1.2.3", "{own}");
    ensure!(codes(&own, "corrected") == ["body.required"], "{own}");
    // Beside it the built-in ones stay.
    let other = Call::consent();
    let options = ["--output", "json", "--contracts", &path];
    let other = Run::validate(&other, Side::Response, &options)?.document()?;
    ensure!(other["api"] == "consents_v3", "{other}");
    // A folder of rules replaces them.
    let rules = folder.path().join("rules");
    fs::create_dir_all(rules.join("contracts"))?;
    fs::write(rules.join("contracts/own.yaml"), OWN)?;
    let rules = rules.display().to_string();
    ensure!(validate(&["--rules", &rules])?["unrouted"] == "path_unknown");
    // The environment says the same as the option.
    let mut command = mop_command();
    command.env("MOP_RULES", &rules).args(["contracts", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&command.output()?.stdout)?;
    ensure!(listed.as_array().is_some_and(|list| list.len() == 1), "{listed}");
    Ok(())
}

#[test]
fn contracts_are_listed_and_shown() -> Result<()> {
    let listed = Run::of(["contracts", "list", "--json"], None)?.document()?;
    let listed = listed.as_array().context("a list")?;
    ensure!(listed.len() > 60, "{} documents", listed.len());
    let table = String::from_utf8(Run::of(["contracts", "list"], None)?.stdout)?;
    for document in listed {
        for field in ["name", "version"] {
            let value = document[field].as_str().with_context(|| format!("{field}: {document}"))?;
            ensure!(table.contains(value), "the table lacks {value}");
        }
        ensure!(document["operations"].as_u64().is_some_and(|count| count > 0), "{document}");
    }
    for operation in [
        "POST /open-insurance/consents/v3/consents",
        "GET /open-insurance/consents/v3/consents/urn:participante:synthetic-000001",
        "GET /open-insurance/consents/v3/consents/{consentId}",
    ] {
        for reading in [&[][..], &["--as-published"]] {
            let arguments = ["contracts", "show", operation];
            let text = Run::of(arguments.iter().chain(reading), None)?;
            ensure!(text.code == 0, "{operation}: {}", text.stderr);
            let json = Run::of(arguments.iter().chain(reading).chain(&["--json"]), None)?;
            let shown = json.document()?;
            ensure!(shown["api"] == "consents_v3", "{shown}");
            let template = shown["template"].as_str().context("a template")?;
            ensure!(String::from_utf8(text.stdout)?.contains(template));
            ensure!(shown["responses"].as_array().is_some_and(|list| !list.is_empty()), "{shown}");
        }
    }
    Ok(())
}

#[test]
fn the_examples_of_the_help_work() -> Result<()> {
    let help = String::from_utf8(Run::of(["contracts", "show", "--help"], None)?.stdout)?;
    let examples: Vec<Vec<String>> =
        help.lines().filter_map(|line| line.trim().strip_prefix("mop ")).map(words).collect();
    ensure!(!examples.is_empty(), "no example: {help}");
    for example in examples {
        let run = Run::of(&example, None)?;
        ensure!(run.code == 0, "mop {example:?}: {}", run.stderr);
    }
    Ok(())
}

#[test]
fn differences_of_documents_are_told_by_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name).join("own.yaml");
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text)?;
        Ok(path.parent().context("a folder")?.display().to_string())
    };
    let old = write("old", OWN)?;
    let same = write("same", &OWN.replace("description: OK", "description: another word"))?;
    let changed = write("changed", &OWN.replace("maxLength: 10", "maxLength: 11"))?;
    let more = write("more", &OWN.replace("required: [name]", "required: [name, kind]"))?;
    for (new, code, pointer, change) in [
        (&old, 0, "", ""),
        (&same, 0, "", ""),
        (&changed, 1, "/paths/~1things~1{thingId}/get/parameters/0/schema/maxLength", "changed"),
        (&more, 1, "/schema/required", "added"),
    ] {
        let run = Run::of(["contracts", "diff", &old, new, "--json"], None)?;
        ensure!(run.code == code, "{new}: {}: {}", run.code, run.stderr);
        let found = run.document()?;
        let found = found.as_array().context("a list")?;
        ensure!(found.len() == usize::from(code == 1), "{new}: {found:?}");
        for one in found {
            let place = one["pointer"].as_str().context("a pointer")?;
            ensure!(place.ends_with(pointer) && one["change"] == change, "{one}");
        }
        let table = Run::of(["contracts", "diff", &old, new], None)?;
        ensure!(table.code == code && String::from_utf8(table.stdout)?.contains(pointer));
    }
    let absent = folder.path().join("absent").display().to_string();
    Run::of(["contracts", "diff", &old, &absent], None)?.fails_with(78)?;
    Ok(())
}

#[test]
fn what_is_packed_judges_as_what_it_was_made_of() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let documents = folder.path().join("documents");
    fs::create_dir_all(&documents)?;
    fs::write(documents.join("own.yaml"), OWN)?;
    fs::write(documents.join("notes.txt"), "not a document")?;
    let pack = folder.path().join("own.contracts.jsonl");
    let table = folder.path().join("VERSIONS.md");
    let [documents, pack, table] =
        [&documents, &pack, &table].map(|path| path.display().to_string());
    let build = ["contracts", "build", &documents, "--out", &pack, "--versions", &table];
    for _again in 0..2 {
        let run = Run::of(build, None)?;
        ensure!(run.code == 0 && run.stderr.is_empty(), "{}: {}", run.code, run.stderr);
    }
    ensure!(fs::read_to_string(&table)?.contains("| own | 1.2.3 | 1 |"));
    ensure!(!fs::read_to_string(&pack)?.contains("a note for readers"), "more than facts");
    ensure!(Run::of(["contracts", "diff", &documents, &pack], None)?.code == 0);
    for body in [json!({ "name": "a" }), json!({}), json!({ "name": "a", "mark": "zz" })] {
        let call =
            Call::with("GET", "/open-insurance/test/own/things/12", &Value::Null, 200, &body);
        let judged = |contracts: &str| {
            let options = ["--output", "json", "--contracts", contracts];
            Run::validate(&call, Side::Response, &options)?.document()
        };
        let (by_documents, by_pack) = (judged(&documents)?, judged(&pack)?);
        ensure!(
            by_documents["api"] == "own" && by_documents == by_pack,
            "{by_documents}\n{by_pack}"
        );
    }
    let empty = folder.path().join("empty");
    fs::create_dir_all(&empty)?;
    let empty = empty.display().to_string();
    Run::of(["contracts", "build", &empty, "--out", &pack], None)?.fails_with(78)?;
    Run::of(["contracts", "build", &documents, "--out", "/no/such/folder/x"], None)?
        .fails_with(1)?;
    Ok(())
}

#[test]
fn a_finding_is_counted_once_a_call() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("own.yaml");
    fs::write(&file, OWN)?;
    // Breaks both patterns of the attribute, in each of two elements.
    let body = json!({ "name": "n", "mark": "zz", "marks": ["zz", "zz"] });
    let call = Call::with("GET", "/open-insurance/test/own/things/12", &Value::Null, 200, &body);
    let cut = Call { target: "/open-insurance/test/own/things/%31".to_owned(), ..call.clone() };
    let path = file.display().to_string();
    let run = Run::replay(&[("1", &call), ("2", &call), ("3", &cut)], &["--contracts", &path])?;
    let records = run.records()?;
    let summaries = of_kind(&records, "quality.summary");
    let [summary] = summaries.as_slice() else { anyhow::bail!("{summaries:#?}") };
    ensure!(summary["calls"] == 3 && summary["violating"] == 3, "{summary}");
    for attribute in ["mark", "marks"] {
        let found: Vec<_> = summary["codes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["attribute"] == attribute)
            .collect();
        ensure!(found.len() == 1 && found[0]["calls"] == 3, "{attribute}: {summary}");
    }
    let fills = of_kind(&records, "quality.fill");
    let [fill] = fills.as_slice() else { anyhow::bail!("{fills:#?}") };
    ensure!(fill["bodies"] == 3 && fill["status"] == "200", "{fill}");
    let mark = fill["attributes"].as_array().into_iter().flatten();
    let mark = mark.filter(|one| one["path"] == "mark").collect::<Vec<_>>();
    ensure!(mark.len() == 1 && mark[0]["present"] == 3 && mark[0]["invalid"] == 3, "{mark:?}");
    Ok(())
}

/// Splits a line as a shell does, single quotes included.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            other => {
                if let Some(word) = words.last_mut() {
                    word.push(other);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
