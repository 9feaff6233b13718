//! What is said of a configuration that cannot work.

use std::fs;

use anyhow::{Result, ensure};
use mop_tests::mop_command;

#[test]
fn configurations_that_cannot_work_are_said_in_one_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hub.toml");
    for (text, word) in [
        ("[hub]\nbatch_messages = 0\n", "hub.batch_messages"),
        ("[hub.broker]\nurl = \"amqp://u:hidden@127.0.0.1/\"\n", "password_file"),
        ("[hub.broker]\npassword_file = \"/nowhere/at/all\"\n", "/nowhere/at/all"),
        ("[hub.database]\nca_file = \"/nowhere/at/all\"\n", "/nowhere/at/all"),
        ("[hub.mongodb]\n", "--features mongodb"),
    ] {
        fs::write(&file, text)?;
        for arguments in [&["hub"][..], &["hub", "status"], &["hub", "backfill", "x.jsonl"]] {
            let output = mop_command().args(arguments).arg("--config").arg(&file).output()?;
            let said = String::from_utf8(output.stderr)?;
            if !(word.starts_with("/nowhere") && arguments.len() == 3) {
                ensure!(output.status.code() == Some(78), "{arguments:?}: {text}: {said}");
                ensure!(said.lines().count() == 1 && said.contains(word), "{said}");
            }
            ensure!(!said.contains("hidden"), "{said}");
        }
    }
    let output = mop_command().args(["hub", "backfill"]).output()?;
    ensure!(output.status.code() == Some(2));
    Ok(())
}
