//! The contract engine against validators that share no code with it, see fixtures/contract/README.md.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{bound, run, skip};
use serde_json::Value;

#[test]
fn the_engine_and_an_independent_validator_agree_on_every_case() -> Result<()> {
    const TEST: &str = "the_engine_and_an_independent_validator_agree_on_every_case";
    let Some(python) = python_with_jsonschema() else {
        skip(TEST, "no Python here has jsonschema and PyYAML");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let documents = documents(folder.path())?;
    let (cases, verdicts) =
        (folder.path().join("cases.jsonl"), folder.path().join("verdicts.jsonl"));
    let script = |name: &str| {
        let mut command = bound(python);
        command.arg(fixtures().join(name)).env("MOP_OPIN_SPECS", &documents);
        command
    };
    let mut generate = script("generate_cases.py");
    generate.args(["--profile", "quick", "--out"]).arg(&cases);
    run(&mut generate, GENERATION_LIMIT)?;
    judge(&documents, &cases, &verdicts)?;
    let mut compare = script("compare.py");
    compare.arg(&cases).arg(&verdicts);
    let compared = compare.stdin(Stdio::null()).output().context("compare.py does not start")?;
    ensure!(
        compared.status.success(),
        "{}{}",
        String::from_utf8_lossy(&compared.stdout),
        String::from_utf8_lossy(&compared.stderr)
    );
    Ok(())
}

#[test]
fn the_comparison_finds_what_is_made_wrong() -> Result<()> {
    const TEST: &str = "the_comparison_finds_what_is_made_wrong";
    let Some(python) = python_with_jsonschema() else {
        skip(TEST, "no Python here has jsonschema and PyYAML");
        return Ok(());
    };
    let mut command = bound(python);
    command.args(["-m", "unittest", "test_compare"]).current_dir(fixtures());
    run(&mut command, Duration::from_secs(60))?;
    Ok(())
}

/// The verdicts of the engine on the cases.
fn judge(documents: &Path, cases: &Path, verdicts: &Path) -> Result<()> {
    let mut engine = bound(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    engine.args(["run", "--quiet", "--package", "mop-contract", "--example", "verdicts", "--"]);
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/opin/overlays");
    engine.arg("--contracts").arg(documents).arg("--overlays").arg(overlays);
    engine.stdin(File::open(cases)?).stdout(File::create(verdicts)?);
    let status = engine.status().context("cargo does not start")?;
    ensure!(status.success(), "the engine failed ({status})");
    Ok(())
}

/// The documents as they were published; without them, what the repository's pack keeps of them.
fn documents(folder: &Path) -> Result<PathBuf> {
    let published = env::var_os("MOP_OPIN_SPECS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/opin/specs"),
        PathBuf::from,
    );
    if published.is_dir() {
        return Ok(published);
    }
    let unpacked = folder.join("documents");
    fs::create_dir(&unpacked)?;
    let pack =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/opin/contracts/opin.contracts.jsonl");
    for line in fs::read_to_string(pack)?.lines().skip(1) {
        let packed: Value = serde_json::from_str(line)?;
        let name = packed["name"].as_str().context("a document of the pack has a name")?;
        // JSON is YAML too.
        fs::write(unpacked.join(format!("{name}.yaml")), packed["openapi"].to_string())?;
    }
    Ok(unpacked)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contract")
}

/// The first Python that can run the reference; the system's own often lacks the packages.
fn python_with_jsonschema() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema, yaml; import re._parser"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// The quick profile takes half a minute on a core of its own; machines of tests are shared.
const GENERATION_LIMIT: Duration = Duration::from_mins(4);
