//! The configuration through the program: where it is read from, what is shown and what is refused.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use mop_tests::mop_command;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn what_is_in_force_is_shown_with_where_it_is_from() -> Result<()> {
    let files = Files::new()?;
    let file = files.write("mop.toml", "[node]\nname = \"file\"\n[outbox]\nmax_mib = 300\n")?;
    files.write("mop.d/10-more.toml", "[outbox]\nmax_mib = 400\nkeep_delivered = true\n")?;
    files.write("mop.d/20-last.toml", "outbox.max_mib = 500\n")?;
    let mut command = config(&["show", "--json", "--origin"], &file);
    let output =
        command.env("MOP__NODE__NAME", "variable").env("MOP_RULES", "/elsewhere").output()?;
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    for (key, value, origin) in [
        ("/node/name", Value::from("variable"), "environment variable MOP__NODE__NAME"),
        ("/outbox/max_mib", Value::from(500), "mop.d/20-last.toml:1"),
        ("/outbox/keep_delivered", Value::from(true), "mop.d/10-more.toml:3"),
        ("/outbox/segment_mib", Value::from(16), "default"),
        ("/outbox/commit_every", Value::from("50ms"), "default"),
    ] {
        ensure!(shown["configuration"].pointer(key) == Some(&value), "{key}: {shown:#}");
        let told = shown["origins"][key.trim_start_matches('/').replace('/', ".")].as_str();
        ensure!(told.is_some_and(|told| told.ends_with(origin)), "{key}: {told:?}");
    }
    let text = succeeds(&mut config(&["show", "--origin"], &file))?;
    ensure!(text.contains("max_mib = 500 # "), "{text}");
    ensure!(text.contains("# folder is not set"), "{text}");
    Ok(())
}

#[test]
fn what_is_shown_means_the_same_when_it_is_read() -> Result<()> {
    let files = Files::new()?;
    let file = files.write(
        "mop.toml",
        "[observe]\npath_prefix = [\"/a \\\"b\\\"/\", \"/c/\"]\n[quality]\nreport_clean = 0\n\
         [outbox]\nfolder = \"/var/lib/mop/outbox\"\nmax_age = \"90s\"\n",
    )?;
    let shown = succeeds(&mut config(&["show"], &file))?;
    let again = files.write("again.toml", &shown)?;
    ensure!(succeeds(&mut config(&["show"], &again))? == shown, "{shown}");
    Ok(())
}

#[test]
fn the_environment_names_the_file_and_a_named_file_must_exist() -> Result<()> {
    let files = Files::new()?;
    let file = files.write("own.toml", "[node]\nname = \"here\"\n")?;
    let mut command = mop_command();
    let shown = succeeds(command.args(["config", "show"]).env("MOP_CONFIG", &file))?;
    ensure!(shown.contains("name = \"here\""), "{shown}");
    let said = fails(config(&["check"], Path::new("/no/such/mop.toml")))?;
    ensure!(said.contains("/no/such/mop.toml"), "{said}");
    Ok(())
}

#[test]
fn everything_that_is_wrong_is_said_at_once() -> Result<()> {
    let files = Files::new()?;
    let file = files.write(
        "mop.toml",
        "[outbox]\nmax_mb = 300\nmax_age = 7\n\n[obsrve]\nworkers = 2\n[admin]\nlisten = 9464\n",
    )?;
    files.write("mop.d/own.toml", "[quality]\nwindow = \"often\"\n")?;
    let mut command = config(&["check"], &file);
    command.env("MOP__OBSERVE__OUTPUT", "jason");
    let said = fails(command)?;
    for words in [
        "mop.toml:2: there is no key `outbox.max_mb`; did you mean `max_mib`?",
        "mop.toml:3: `outbox.max_age`: a duration in quotes",
        "mop.toml:5: there is no key `obsrve`; did you mean `observe`?",
        "mop.toml:8: `admin.listen`: ",
        "own.toml:2: `quality.window`: a number and one of",
        "MOP__OBSERVE__OUTPUT: `observe.output`: one of pretty, jsonl, none is wanted",
    ] {
        ensure!(said.contains(words), "{words} is not in {said}");
    }
    ensure!(said.lines().count() == 6, "{said}");
    Ok(())
}

#[test]
fn a_right_configuration_is_said_to_be_right_with_what_was_read() -> Result<()> {
    let files = Files::new()?;
    let file = files.write("mop.toml", "[node]\nname = \"a\"\n")?;
    let drop_in = files.write("mop.d/b.toml", "")?;
    let mut command = config(&["check"], &file);
    let said = succeeds(command.env("MOP__OUTBOX__MAX_MIB", "512"))?;
    ensure!(said.starts_with("The configuration is right.\n"), "{said}");
    let read = |what: &str| said.find(&format!("read {what}\n")).context(said.clone());
    let file = read(&file.display().to_string())?;
    let drop_in = read(&drop_in.display().to_string())?;
    let variable = read("the environment variable MOP__OUTBOX__MAX_MIB")?;
    ensure!(file < drop_in && drop_in < variable, "in the order of the layers: {said}");
    Ok(())
}

#[test]
fn the_reference_is_right() -> Result<()> {
    succeeds(&mut config(&["check"], &root().join("deploy/mop.toml")))?;
    Ok(())
}

#[test]
fn nothing_secret_is_ever_said() -> Result<()> {
    const SECRET: &str = "hunter-of-passwords";
    let files = Files::new()?;
    for text in [
        format!("[sinks.webhook]\nurl = \"https://user:{SECRET}@collector.example/x\"\n"),
        format!("[sinks.webhook]\nurl = \"https://collector.example/x?token={SECRET}\"\n"),
        format!("[sinks.webhook]\nurl = [\"{SECRET}\"]\n"),
        format!("[sinks.webhook]\npassword = \"{SECRET}\"\n"),
        format!(
            "[sinks.otlp]\nendpoint = \"https://c.example\"\nheaders = {{ authorization = \"{SECRET}\" }}\n"
        ),
        format!("[sinks.otlp]\nheaders = {{ x-any = \"{SECRET}\" }}\n"),
        format!("[outbox]\nmax_age = \"{SECRET}\"\n"),
        format!("[observe]\noutput = \"{SECRET}\"\n"),
        format!("[node]\nname = \"{SECRET} \"\n"),
        format!("[node]\nname = \"{SECRET}\n"),
    ] {
        let file = files.write("mop.toml", &text)?;
        for arguments in [&["show", "--origin"][..], &["show", "--json"], &["check"]] {
            let Output { stdout, stderr, .. } = config(arguments, &file).output()?;
            let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
            ensure!(!said.contains(SECRET), "{text}{arguments:?}: {said}");
        }
    }
    Ok(())
}

#[test]
fn every_command_refuses_a_wrong_configuration() -> Result<()> {
    let files = Files::new()?;
    let file = files.write("mop.toml", "[nod]\n")?;
    for command in [&["observe", "--for", "1s"][..], &["forward"], &["hub"]] {
        let mut mop = mop_command();
        mop.args(command).arg("--config").arg(&file);
        let said = fails(mop).with_context(|| format!("{command:?}"))?;
        ensure!(said.contains("did you mean `node`?"), "{command:?}: {said}");
    }
    Ok(())
}

/// A folder for files of a test.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text)?;
        Ok(path)
    }
}

fn config(arguments: &[&str], file: &Path) -> Command {
    let mut command = mop_command();
    command.arg("config").args(arguments).arg("--config").arg(file);
    command
}

fn succeeds(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// What is said by a command that finds its configuration wrong.
fn fails(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(78), "{:?}: {said}", output.status);
    Ok(said)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
