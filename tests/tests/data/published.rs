//! Events are held against the published interfaces of the metrics platform, where those are at hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};
use mop_tests::{python_with_jsonschema, run, skip};
use serde_json::{Value, json};

/// Says what is wrong with events, each with the path that it is posted to.
pub(crate) fn ensure_valid(events: &[(String, Value)]) -> Result<()> {
    let (Some(documents), Some(python)) = (documents(), python_with_jsonschema()) else {
        skip(
            "data::published by the published interface",
            "no documents (MOP_OPIN_SPECS), or no jsonschema",
        );
        return Ok(());
    };
    ensure!(!events.is_empty(), "there are no events");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.json");
    fs::write(&file, json!(events).to_string())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcm/check.py");
    let mut command = Command::new(python);
    command.arg(script).arg(documents).arg(&file);
    let wrong = String::from_utf8(run(&mut command, Duration::from_secs(90))?.stdout)?;
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// The published interfaces, where they are at hand.
fn documents() -> Option<PathBuf> {
    let folder = std::env::var_os("MOP_OPIN_SPECS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/opin/specs"),
        PathBuf::from,
    );
    folder.join("ingestion.yaml").is_file().then_some(folder)
}
