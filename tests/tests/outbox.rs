//! `mop outbox` on outboxes that are whole, damaged, in use and not there.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_outbox::{Draft, Keep, Lane, Options, Outbox};
use mop_tests::mop_command;
use serde_json::{Value, json};

const BEGUN_MS: u64 = 1_790_000_000_000;
/// In every lane that is used.
const RECORDS: u64 = 100;

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(7 * 86_400),
        segment_bytes: 16 << 10,
        commit_every: Duration::from_millis(50),
        memory_bytes: 8 << 20,
        keep: Keep::UntilBounds,
        sinks: vec!["rabbitmq".to_owned()],
        wake: Arc::new(|| {}),
    }
}

/// Two lanes of records, of which the sink has some and has set some aside.
fn filled(folder: &Path) -> Result<Outbox> {
    let mut outbox = Outbox::open(options(folder))?;
    for number in 0..RECORDS {
        for (lane, kind) in [(Lane::Violations, "quality.report"), (Lane::Samples, "exchange")] {
            let payload = json!({ "kind": kind, "number": number, "filler": "x".repeat(400) });
            let (id, payload) = (format!("{kind}-{number}"), payload.to_string());
            let draft = Draft { lane, kind, id: &id, payload: payload.as_bytes() };
            outbox.append(draft, BEGUN_MS + number * 1000);
        }
        if number % 10 == 9 {
            outbox.commit(BEGUN_MS);
        }
    }
    let mut feed = outbox.feed("rabbitmq").context("a feed")?;
    for entry in feed.next(30, usize::MAX) {
        if entry.sequence <= 3 {
            feed.park(&entry, if entry.sequence == 1 { "unroutable" } else { "refused" });
        }
        feed.acknowledge(entry.lane, entry.sequence);
    }
    feed.save();
    Ok(outbox)
}

fn mop(command: &str, folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut mop = mop_command();
    Ok(mop.args(["outbox", command, "--folder"]).arg(folder).args(arguments).output()?)
}

fn json_of(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn lines_of(output: &Output) -> Result<Vec<Value>> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).context("a line is not JSON")).collect()
}

/// The segments of a lane, the oldest first.
fn segments(folder: &Path, lane: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder.join(lane))?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "segment"));
    paths.sort();
    Ok(paths)
}

fn flip(path: &Path, at: usize) -> Result<()> {
    let mut bytes = fs::read(path)?;
    *bytes.get_mut(at).context("the file is too short")? ^= 0x20;
    Ok(fs::write(path, bytes)?)
}

#[test]
fn the_list_tells_what_lies_in_it_beside_its_writer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _in_use = filled(folder.path())?;
    let listing = json_of(&mop("ls", folder.path(), &["--json"])?)?;
    let lanes = listing["lanes"].as_array().context("lanes")?;
    let names: Vec<_> = lanes.iter().filter_map(|lane| lane["lane"].as_str()).collect();
    ensure!(names == ["operations", "security", "violations", "data", "samples", "local"]);
    for lane in lanes {
        let used = lane["lane"] == "violations" || lane["lane"] == "samples";
        ensure!(lane["records"] == if used { RECORDS } else { 0 }, "{lane}");
        ensure!(!used || lane["segments"].as_u64() > Some(2), "{lane}");
        ensure!(!used || lane["oldest"] == "2026-09-21T14:13:20Z", "{lane}");
        ensure!(!used || lane["newest"] == "2026-09-21T14:14:59Z", "{lane}");
    }
    let sink = &listing["sinks"][0];
    ensure!(sink["sink"] == "rabbitmq" && sink["lag"] == 2 * RECORDS - 30, "{sink}");
    ensure!(sink["acknowledged"]["violations"] == 30, "{sink}");
    let parked = &listing["parked"][0];
    ensure!(parked["sink"] == "rabbitmq" && parked["records"] == 3, "{parked}");
    ensure!(parked["reasons"] == json!({ "refused": 2, "unroutable": 1 }), "{parked}");
    let text = mop("ls", folder.path(), &[])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for word in ["violations", "170", "refused 2", "rabbitmq"] {
        ensure!(text.contains(word), "no {word} in {text}");
    }
    Ok(())
}

#[test]
fn records_are_exported_as_they_were_put_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _in_use = filled(folder.path())?;
    let numbers = |arguments: &[&str]| -> Result<Vec<u64>> {
        let lines = lines_of(&mop("export", folder.path(), arguments)?)?;
        lines.iter().map(|line| line["number"].as_u64().context("a number")).collect()
    };
    let all: Vec<u64> = (0..RECORDS).collect();
    ensure!(numbers(&[])? == [all.clone(), all.clone()].concat());
    ensure!(numbers(&["--lane", "samples"])? == all);
    ensure!(numbers(&["--kind", "quality.report"])? == all);
    ensure!(numbers(&["--lane", "samples", "--kind", "quality.report"])?.is_empty());
    let slice = ["--since", "2026-09-21T14:13:30Z", "--until", "2026-09-21T14:13:33Z"];
    ensure!(numbers(&[&slice[..], &["--lane", "violations"]].concat())? == [10, 11, 12]);
    ensure!(numbers(&["--parked", "rabbitmq"])? == [0, 1, 2]);
    ensure!(numbers(&["--parked", "nobody"])?.is_empty());
    Ok(())
}

#[test]
fn damage_is_found_told_and_repaired() -> Result<()> {
    let folder = tempfile::tempdir()?;
    filled(folder.path())?.close();
    let whole = mop("verify", folder.path(), &["--json"])?;
    ensure!(whole.status.code() == Some(0), "{}", String::from_utf8_lossy(&whole.stdout));
    // The middle of one segment, the header of another, the end of a third.
    let paths = segments(folder.path(), "violations")?;
    let [first, second, .., last_but_one, _] = paths.as_slice() else {
        anyhow::bail!("too few segments: {paths:?}")
    };
    flip(first, 2000)?;
    flip(second, 20)?;
    flip(second, 64 + 20)?;
    let length = fs::metadata(last_but_one)?.len();
    fs::OpenOptions::new().write(true).open(last_but_one)?.set_len(length - 100)?;
    let output = mop("verify", folder.path(), &["--json"])?;
    ensure!(output.status.code() == Some(1));
    let verdict = json_of(&output)?;
    let damage = verdict["damage"].as_array().context("damage")?;
    let told: Vec<_> = damage.iter().filter_map(|damage| damage["what"].as_str()).collect();
    ensure!(told == ["entries", "header", "end"], "{verdict}");
    let lost = verdict["lost"].as_u64().context("lost")?;
    ensure!(lost > 10, "{verdict}");
    let left = lines_of(&mop("export", folder.path(), &["--lane", "violations"])?)?;
    ensure!(left.len() as u64 + lost == RECORDS, "{} left, {lost} lost", left.len());
    let text = mop("verify", folder.path(), &[])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(text.contains("3 places damaged"), "{text}");

    let before = segments(folder.path(), "violations")?;
    let dry = mop("repair", folder.path(), &["--dry-run"])?;
    ensure!(dry.status.success() && before == segments(folder.path(), "violations")?);
    ensure!(mop("verify", folder.path(), &[])?.status.code() == Some(1), "it was repaired");
    let repaired = mop("repair", folder.path(), &[])?;
    let text = String::from_utf8_lossy(&repaired.stdout).into_owned();
    ensure!(repaired.status.success() && text.contains(&format!("{lost} records lost")), "{text}");
    let verified = mop("verify", folder.path(), &[])?;
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    ensure!(verified.status.success(), "{text}");
    let kept = lines_of(&mop("export", folder.path(), &["--lane", "violations"])?)?;
    ensure!(kept == left, "repair changed what can be read");
    // And it works on: what the sink has not got yet is given, in order.
    let outbox = Outbox::open(options(folder.path()))?;
    let mut feed = outbox.feed("rabbitmq").context("a feed")?;
    let violations = feed.next(usize::MAX, usize::MAX);
    let violations = violations.iter().filter(|entry| entry.lane == Lane::Violations).count();
    let wanted = left.iter().filter(|record| record["number"].as_u64() >= Some(30)).count();
    ensure!(violations == wanted, "{violations} given, {wanted} left");
    Ok(())
}

#[test]
fn an_outbox_in_use_is_not_repaired() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _in_use = filled(folder.path())?;
    let output = mop("repair", folder.path(), &[])?;
    ensure!(output.status.code() == Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(message.contains("another process uses the outbox"), "{message}");
    Ok(())
}

#[test]
fn an_unfinished_end_is_no_damage() -> Result<()> {
    let folder = tempfile::tempdir()?;
    filled(folder.path())?.close();
    let path = segments(folder.path(), "samples")?.pop().context("a segment")?;
    let length = fs::metadata(&path)?.len();
    // A crash while the next record was being written.
    fs::OpenOptions::new().append(true).open(&path)?.write_all(b"torn")?;
    let output = mop("verify", folder.path(), &["--json"])?;
    ensure!(output.status.code() == Some(0));
    let verdict = json_of(&output)?;
    ensure!(verdict["unfinished"].as_array().is_some_and(|ends| ends.len() == 1), "{verdict}");
    // What was committed does not go by a crash.
    fs::OpenOptions::new().write(true).open(&path)?.set_len(length - 10)?;
    let output = mop("verify", folder.path(), &["--json"])?;
    ensure!(output.status.code() == Some(1));
    let verdict = json_of(&output)?;
    ensure!(verdict["lost"] == 1 && verdict["damage"][0]["what"] == "end", "{verdict}");
    Ok(())
}

#[test]
fn wrong_usage_gets_one_clear_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let absent = folder.path().join("absent");
    for command in ["ls", "verify", "export", "repair"] {
        let output = mop(command, &absent, &[])?;
        ensure!(output.status.code() == Some(1), "mop outbox {command}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(message.lines().count() == 1 && message.contains("absent"), "{message}");
        ensure!(!absent.exists(), "mop outbox {command} made a folder");
    }
    for arguments in [
        &["--lane", "fast"][..],
        &["--since", "yesterday"],
        &["--parked", "rabbitmq", "--lane", "data"],
    ] {
        let output = mop("export", folder.path(), arguments)?;
        ensure!(output.status.code() == Some(2), "{arguments:?}");
    }
    Ok(())
}
