//! Reads contracts and rules from files.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// A file's text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its path, for messages.
    pub(crate) file: String,
    /// Its name without the ending: the name of the document in it.
    pub(crate) name: String,
    pub(crate) text: Cow<'static, str>,
}

/// The documents of a file, or of all files of a folder.
pub(crate) fn documents(path: &Path) -> Result<Vec<Text>, Failure> {
    if path.is_dir() { documents_in(path) } else { Ok(vec![read(path)?]) }
}

/// The documents of a folder, in the order of their names.
pub(super) fn documents_in(folder: &Path) -> Result<Vec<Text>, Failure> {
    let texts = files_in(folder, &["yaml", "yml", "json", "jsonl"])?;
    if texts.is_empty() {
        return Err(Failure::configuration(format!(
            "{} holds no contract: files that end in .yaml, .yml, .json or .jsonl are wanted",
            folder.display()
        )));
    }
    Ok(texts)
}

/// The YAML files of a folder; none when there is no such folder.
pub(super) fn yaml_in(folder: &Path) -> Result<Vec<Text>, Failure> {
    if folder.exists() { files_in(folder, &["yaml", "yml"]) } else { Ok(Vec::new()) }
}

/// The YAML of a file, or of all files of a folder.
pub(super) fn yaml(path: &Path) -> Result<Vec<Text>, Failure> {
    if path.is_dir() { files_in(path, &["yaml", "yml"]) } else { Ok(vec![read(path)?]) }
}

/// That there is such a folder.
pub(super) fn check_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "{} is no folder; `--rules` wants one with contracts/, overlays/, rules/ and security/",
        folder.display()
    )))
}

/// Every file that a generation may be made of, with what tells that it was changed.
pub(super) fn fingerprint(paths: &[PathBuf]) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = pending.pop() {
        let Ok(facts) = fs::metadata(&path) else { continue };
        if facts.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()));
        } else {
            found.push((path, facts.len(), facts.modified().ok()));
        }
        if found.len() > MAX_FILES {
            break;
        }
    }
    found.sort();
    found
}

fn files_in(folder: &Path, endings: &[&str]) -> Result<Vec<Text>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::configuration(format!("cannot read the folder {}: {error}", folder.display()))
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if endings.contains(&ending) {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        return Err(Failure::configuration(format!(
            "{} holds more than {MAX_FILES} files",
            folder.display()
        )));
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Text, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::configuration(format!("cannot read {}: {error}", path.display()))
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Text { file: path.display().to_string(), name, text: text.into() })
}

/// Files of one folder: the ecosystem has 72 documents in some versions each.
const MAX_FILES: usize = 2_000;
