//! What the security module finds where nothing is to be found, what it finds of attacks, and what
//! looking at a call costs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use mop_tests::{python_with_jsonschema, unpacked_contracts};
use serde_json::{Value, json};

use super::report::Report;
use crate::{
    setup::{self, UsedBy},
    shell,
};

/// Replays the corpora and the regulated calls, and prints a line for each; then the cost.
pub(super) fn run(quick: bool) -> Result<()> {
    setup::ensure_parts(UsedBy::Tests)?;
    crate::build::mop(true)?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let documents = unpacked_contracts(folder.path())?;
    let fixtures = shell::workspace().join("tests/fixtures/security");
    let corpus = shell::workspace().join("tests/corpus");
    for (figure, script, arguments) in [
        ("security_ordinary_texts", "corpus_calls.py", vec!["ordinary", "ordinary-texts.txt"]),
        ("security_attacks", "corpus_calls.py", vec!["attacks", "attacks.tsv"]),
        (
            "security_regulated_calls",
            "regulated_calls.py",
            vec!["--variants", if quick { "1" } else { "3" }],
        ),
    ] {
        let mut command = Command::new(python()?);
        command.arg(fixtures.join(script)).env("MOP_OPIN_SPECS", &documents);
        for argument in arguments {
            let file = corpus.join(argument);
            if file.is_file() {
                command.arg(file)
            } else {
                command.arg(argument)
            };
        }
        let calls = folder.path().join(format!("{figure}.exchanges.jsonl"));
        fs::write(&calls, shell::run_quietly(&mut command)?)?;
        let records = folder.path().join(format!("{figure}.records.jsonl"));
        let mut replay = Command::new(shell::workspace().join("target/release/mop"));
        replay.arg("replay").arg(&calls).args(["--output", "jsonl", "--no-quality"]);
        fs::write(&records, shell::run_quietly(&mut replay)?)?;
        Report.line(&scored(figure, &fixtures, &calls, &records)?);
    }
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "mop-insight"]);
    command.args(["--example", "inspection_cost"]);
    print!("{}", shell::run_quietly(&mut command)?);
    Ok(())
}

fn scored(figure: &str, fixtures: &Path, calls: &Path, records: &Path) -> Result<Value> {
    let mut command = Command::new(python()?);
    command.arg(fixtures.join("corpus_score.py")).arg(calls).arg(records);
    let score: Value = serde_json::from_str(&shell::run_quietly(&mut command)?)
        .context("the score is one JSON document")?;
    Ok(json!({ "figure": figure, "score": score }))
}

fn python() -> Result<&'static str> {
    python_with_jsonschema()
        .context("Python with jsonschema and PyYAML: `cargo xtask setup --with-tests`")
}
