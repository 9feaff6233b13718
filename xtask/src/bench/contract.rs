//! Reading and judging of JSON bodies, on one core: MOP, `serde_json` with the `jsonschema` crate,
//! Python's `jsonschema` and Node's ajv on the same bodies and schemas.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use mop_tests::{contract_fixtures, python_with_jsonschema, unpacked_contracts};
use serde_json::{Value, json};

use crate::{
    setup::{self, UsedBy},
    shell,
};

/// Makes the bodies, measures every subject and prints a line for each.
pub(super) fn run(quick: bool) -> Result<()> {
    setup::ensure_parts(UsedBy::Tests)?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let documents = unpacked_contracts(folder.path())?;
    let bodies = folder.path().join("bodies");
    let mut command = Command::new(python()?);
    command.arg(contract_fixtures().join("bench_bodies.py")).arg(&bodies);
    command.env("MOP_OPIN_SPECS", &documents);
    shell::run_quietly(&mut command)?;

    let opin = shell::workspace().join("rules/opin");
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "mop-contract"]);
    command.args(["--example", "contract_rate", "--"]);
    command.arg(opin.join("contracts/opin.contracts.jsonl")).arg(opin.join("overlays"));
    command.arg(&bodies);
    if quick {
        command.arg("--quick");
    }
    let printed = shell::run_quietly(&mut command)?;
    print!("{printed}");
    let figures: Vec<Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("contract_rate prints JSON lines")?;

    let seconds = if quick { "0.5" } else { "5" };
    for body in ["small", "large"] {
        let mine = figures
            .iter()
            .find(|figure| figure["body"] == body && figure["subject"] == "mop_read_and_check")
            .and_then(|figure| figure["us_per_body"].as_f64())
            .context("contract_rate has a figure for each body")?;
        let files =
            [bodies.join(format!("{body}.json")), bodies.join(format!("{body}.schema.json"))];
        let mut python = Command::new(python()?);
        python.arg(contract_fixtures().join("bench_jsonschema.py")).args(&files).arg(seconds);
        print_figure("python_jsonschema", body, mine, &shell::run_quietly(&mut python)?)?;
        match ajv(folder.path()) {
            Ok(modules) => {
                let mut node = Command::new("node");
                node.env("NODE_PATH", modules);
                node.arg(contract_fixtures().join("bench_ajv.js")).args(&files).arg(seconds);
                print_figure("node_ajv", body, mine, &shell::run_quietly(&mut node)?)?;
            }
            Err(error) => eprintln!("note: no figure for ajv: {error:#}"),
        }
    }
    Ok(())
}

fn print_figure(subject: &str, body: &str, mine_us: f64, printed: &str) -> Result<()> {
    let taken: Value = serde_json::from_str(printed.trim()).context("a bench prints JSON")?;
    let number = |key: &str| taken[key].as_f64().context("a bench prints numbers");
    let (bodies, bytes, seconds) = (number("bodies")?, number("bytes")?, number("seconds")?);
    let us_per_body = seconds / bodies * 1e6;
    println!(
        "{}",
        json!({
            "figure": "contract_rate", "body": body, "subject": subject,
            "us_per_body": round(us_per_body), "mb_per_s": round(bytes / seconds / 1e6),
            "mop_is_times_faster": round(us_per_body / mine_us),
        })
    );
    Ok(())
}

/// Where ajv is, installed into a folder of this run.
fn ajv(folder: &Path) -> Result<PathBuf> {
    let modules = folder.join("node_modules");
    if !modules.join("ajv").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
        npm.args(["ajv@8", "ajv-draft-04@1", "ajv-formats@3"]);
        shell::run_quietly(&mut npm)?;
    }
    Ok(modules)
}

fn python() -> Result<&'static str> {
    python_with_jsonschema().context("no Python with jsonschema and PyYAML")
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
