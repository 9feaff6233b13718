//! The contract engine against validators that share no code with it, see fixtures/contract/README.md.

use std::{env, fs::File, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{bound, contract_documents, contract_fixtures, python_with_jsonschema, run, skip};

#[test]
fn the_engine_and_an_independent_validator_agree_on_every_case() -> Result<()> {
    const TEST: &str = "the_engine_and_an_independent_validator_agree_on_every_case";
    let Some(python) = python_with_jsonschema() else {
        skip(TEST, "no Python here has jsonschema and PyYAML");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let documents = contract_documents(folder.path())?;
    let (cases, verdicts) =
        (folder.path().join("cases.jsonl"), folder.path().join("verdicts.jsonl"));
    let script = |name: &str| {
        let mut command = bound(python);
        command.arg(contract_fixtures().join(name)).env("MOP_OPIN_SPECS", &documents);
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
    command.args(["-m", "unittest", "test_compare"]).current_dir(contract_fixtures());
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

/// The quick profile takes half a minute on a core of its own; machines of tests are shared.
const GENERATION_LIMIT: Duration = Duration::from_mins(4);
