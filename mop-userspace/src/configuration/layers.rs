//! Where the configuration is read from: file, drop-ins and environment, each over the one before.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::DeTable;

use super::{
    problem::Problem,
    tree::{Lines, Node, Source},
};

/// All layers, laid over each other.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) tree: Node,
    /// What was read, the lowest layer first.
    pub(super) files: Vec<PathBuf>,
    /// Variables that set something.
    pub(super) variables: Vec<String>,
}

impl Layers {
    /// Reads them. `named` is the file that was asked for: it must exist.
    pub(super) fn read(
        named: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<Problem>> {
        let mut layers =
            Self { tree: Node::empty(Source::Merged), files: Vec::new(), variables: Vec::new() };
        let mut problems = Vec::new();
        let file = named.unwrap_or(Path::new(DEFAULT_FILE));
        if named.is_some() || file.exists() {
            layers.add_file(file, &mut problems);
        }
        match drop_ins(file) {
            Ok(files) => {
                for file in files {
                    layers.add_file(&file, &mut problems);
                }
            }
            Err(problem) => problems.push(problem),
        }
        layers.add_environment(environment, &mut problems);
        if problems.is_empty() { Ok(layers) } else { Err(problems) }
    }

    fn add_file(&mut self, file: &Path, problems: &mut Vec<Problem>) {
        let text = match read_bounded(file) {
            Ok(text) => text,
            Err(error) => {
                let text = format!("cannot read {}: {error}", file.display());
                return problems.push(Problem::new("", text));
            }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let lines = Lines::of(&text);
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let line = error.span().map_or(1, |span| lines.line(span.start));
            // Its own text would quote the line, and a line may hold a secret.
            let what = format!("{}:{line}: no TOML: {}", file.display(), error.message());
            problems.push(Problem::new("", what));
        }
        if errors.is_empty() {
            let source = Arc::new(Source::File(file.to_owned()));
            self.tree.overlay(Node::of_file(&source, &text, table.get_ref()));
            self.files.push(file.to_owned());
        }
    }

    fn add_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
        problems: &mut Vec<Problem>,
    ) {
        let mut variables = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match value.to_str() {
                Some(value) => variables.push((name.to_owned(), value.to_owned())),
                None => problems.push(Problem::new(
                    "",
                    format!("environment variable {name}: its value is no UTF-8 text"),
                )),
            }
        }
        // The environment has no order; one is needed for the same result each time.
        variables.sort();
        for (name, value) in variables {
            let keys = name.get(PREFIX.len()..).unwrap_or_default();
            let path: Vec<String> =
                keys.split(SEPARATOR).map(|key| key.to_ascii_lowercase()).collect();
            if path.iter().any(String::is_empty) {
                problems.push(Problem::new(
                    "",
                    format!(
                        "environment variable {name}: a key is missing; the form is \
                         MOP__SECTION__KEY"
                    ),
                ));
                continue;
            }
            self.tree.overlay(Node::of_variable(&name, &value).under(&path));
            self.variables.push(name);
        }
    }
}

/// The drop-ins of a file, in the order of their names.
fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, Problem> {
    let folder = file.with_extension("d");
    let unreadable = |error: io::Error| {
        Problem::new("", format!("cannot read the folder {}: {error}", folder.display()))
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        // Editors leave hidden files behind; a ConfigMap has hidden folders.
        if name.ends_with(b".toml") && !name.starts_with(b".") {
            files.push(path);
        }
    }
    if files.len() > MAX_DROP_INS {
        let text = format!("{} has more than {MAX_DROP_INS} files", folder.display());
        return Err(Problem::new("", text));
    }
    files.sort();
    Ok(files)
}

fn read_bounded(file: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {} MiB, which no configuration has",
            MAX_FILE_BYTES >> 20
        )));
    }
    Ok(text)
}

/// Read when no file is named, where there is one.
pub(super) const DEFAULT_FILE: &str = "/etc/mop/mop.toml";

/// Begins the name of a variable that sets a key.
const PREFIX: &str = "MOP__";
const SEPARATOR: &str = "__";

/// The commented reference has 20 KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// More is a folder that was meant for something else.
const MAX_DROP_INS: usize = 256;

/// After a first error of syntax most others follow from it.
const MAX_SYNTAX_ERRORS: usize = 5;
