//! `mop config show|check`.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{ConfigurationArguments, Problem, Sourced, mask::masked};
use crate::{failure::Failure, stdout::print};

/// Arguments of `mop config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration that is in force: defaults, file, drop-ins and environment, merged.
    /// Secrets are masked.
    Show(ShowArguments),
    /// Say everything that is wrong with the configuration. Exit code 78 when something is.
    Check(CheckArguments),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: mop config show --origin --config mop.toml")]
struct ShowArguments {
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Say where each value is from.
    #[arg(long)]
    origin: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: mop config check --config mop.toml")]
struct CheckArguments {
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

pub(crate) fn run(arguments: &ConfigArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        ConfigCommand::Show(arguments) => show(arguments),
        ConfigCommand::Check(arguments) => check(arguments),
    }
}

fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let Sourced { configuration: _, tree: _, files, variables } = read(&arguments.configuration)?;
    let mut lines = String::from("The configuration is right.\n");
    if files.is_empty() && variables.is_empty() {
        lines.push_str("Nothing was read: the defaults hold.\n");
    }
    for file in files {
        lines.push_str(&format!("read {}\n", file.display()));
    }
    for variable in variables {
        lines.push_str(&format!("read the environment variable {variable}\n"));
    }
    print(&lines);
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &ShowArguments) -> Result<ExitCode, Failure> {
    let sourced = read(&arguments.configuration)?;
    let mut value = serde_json::to_value(&sourced.configuration).map_err(Failure::runtime)?;
    mask_all("", &mut value);
    if arguments.json {
        let document = if arguments.origin {
            let mut origins = Map::new();
            each_leaf(&value, &mut Vec::new(), &mut |path, _| {
                origins.insert(path.join("."), Value::String(origin(&sourced, path)));
            });
            json!({"configuration": value, "origins": origins})
        } else {
            value
        };
        print(&format!("{document:#}\n"));
    } else {
        let mut text = String::new();
        let origin_of = |path: &[String]| arguments.origin.then(|| origin(&sourced, path));
        write_table(&mut text, &mut Vec::new(), &value, &origin_of);
        print(text.trim_start());
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads all layers; everything that is wrong is one failure.
fn read(arguments: &ConfigurationArguments) -> Result<Sourced, Failure> {
    Sourced::read(arguments.config.as_deref(), std::env::vars_os()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        Failure::configuration(lines.join("\nmop: "))
    })
}

fn origin(sourced: &Sourced, path: &[String]) -> String {
    sourced.tree.at(path).map_or_else(|| "default".to_owned(), |node| node.origin.to_string())
}

fn mask_all(key: &str, value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(key, text),
        Value::Array(list) => list.iter_mut().for_each(|value| mask_all(key, value)),
        Value::Object(table) => table.iter_mut().for_each(|(key, value)| mask_all(key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each_leaf(value: &Value, path: &mut Vec<String>, each: &mut dyn FnMut(&[String], &Value)) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                path.push(key.clone());
                each_leaf(value, path, each);
                path.pop();
            }
        }
        _ => each(path, value),
    }
}

/// Writes a table as TOML: what it holds itself, then the tables in it.
fn write_table(
    out: &mut String,
    path: &mut Vec<String>,
    value: &Value,
    origin_of: &dyn Fn(&[String]) -> Option<String>,
) {
    let Value::Object(table) = value else { return };
    let is_table = |value: &Value| value.is_object();
    if !path.is_empty() && (table.is_empty() || table.values().any(|value| !is_table(value))) {
        let heading: Vec<String> = path.iter().map(|key| quoted_key(key)).collect();
        let _ = writeln!(out, "\n[{}]", heading.join("."));
    }
    for (key, value) in table.iter().filter(|(_, value)| !is_table(value)) {
        path.push(key.clone());
        let line = match written(value) {
            Some(value) => format!("{} = {value}", quoted_key(key)),
            None => format!("# {key} is not set"),
        };
        let _ = match origin_of(path) {
            Some(origin) if !value.is_null() => writeln!(out, "{line} # {origin}"),
            _ => writeln!(out, "{line}"),
        };
        path.pop();
    }
    for (key, value) in table.iter().filter(|(_, value)| is_table(value)) {
        path.push(key.clone());
        write_table(out, path, value, origin_of);
        path.pop();
    }
}

/// A value as TOML; `None` for one that is not set.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(quoted(text)),
        Value::Array(list) => {
            let values: Vec<String> = list.iter().filter_map(written).collect();
            Some(format!("[{}]", values.join(", ")))
        }
        Value::Object(table) => {
            let values = table.iter().filter_map(|(key, value)| {
                Some(format!("{} = {}", quoted_key(key), written(value)?))
            });
            Some(format!("{{ {} }}", values.collect::<Vec<_>>().join(", ")))
        }
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A key, in quotes where TOML needs them.
fn quoted_key(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { key.to_owned() } else { quoted(key) }
}
