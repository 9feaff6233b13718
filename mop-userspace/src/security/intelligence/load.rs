//! From files to a store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use mop_insight::security::intelligence::{
    read::{Batch, FeedReader, MAX_FILE_BYTES, PlainOptions, accepted::AcceptedTypes},
    store::{Store, StoreBuilder, StoreOptions, texts::HashKey},
    warninglist::{WarninglistError, Warninglists, WarninglistsBuilder},
};
use serde::Serialize;

use super::{
    configuration::{IntelligenceConfiguration, SourceFormat, SourceSection},
    copies::Copies,
};
use crate::failure::Failure;

/// A store, and what its sources gave.
pub(super) struct Loaded {
    pub(super) store: Store,
    pub(super) sources: Vec<SourceReport>,
}

/// What a source gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SourceReport {
    pub(crate) name: String,
    pub(crate) files: usize,
    pub(crate) indicators: usize,
    /// Attributes of types that are not looked for.
    pub(crate) unknown_types: usize,
    pub(crate) deleted: usize,
    /// Entries that are not what they should be.
    pub(crate) unreadable: usize,
    /// File and entry, or line, of the first of them.
    pub(crate) first_unreadable: Option<String>,
    /// Entries beyond what one file may have.
    pub(crate) beyond: usize,
}

/// Reads all sources. `now` in seconds since 1970.
pub(super) fn load(configuration: &IntelligenceConfiguration, now: i64) -> Result<Loaded, Failure> {
    let key = HashKey::new(random()?);
    let options = StoreOptions {
        decay: configuration.decay()?,
        warned_percent: configuration.warned_percent,
        key,
    };
    let warninglists = warninglists(configuration.warninglists.as_deref(), key)?;
    let types = AcceptedTypes::published().map_err(Failure::runtime)?;
    let mut builder = StoreBuilder::new(options, warninglists);
    let mut sources = Vec::new();
    for source in &configuration.sources {
        let mut report = SourceReport { name: source.name.clone(), ..SourceReport::default() };
        let reader = reader(source, &types, now);
        for file in files(configuration, source)? {
            let bad = |text: &dyn std::fmt::Display| {
                let (name, file) = (&source.name, file.display());
                Failure::configuration(format!("the source {name}: {file}: {text}"))
            };
            let bytes = read(&file, MAX_FILE_BYTES).map_err(|text| bad(&text))?;
            let batch = parse(&reader, source.format, &bytes).map_err(|error| bad(&error))?;
            for indicator in &batch.indicators {
                builder.add(indicator);
            }
            report.take(&file, &batch);
        }
        sources.push(report);
    }
    Ok(Loaded { store: builder.build(), sources })
}

/// Reads a document of a source.
pub(super) fn parse(
    reader: &FeedReader<'_>,
    format: SourceFormat,
    bytes: &[u8],
) -> Result<Batch, mop_insight::security::intelligence::read::ReadError> {
    match format {
        SourceFormat::Csv => reader.csv(bytes),
        SourceFormat::Freetext => reader.freetext(bytes),
        SourceFormat::Kunai => reader.kunai(bytes),
        SourceFormat::Misp => reader.misp(bytes),
    }
}

/// A reader of a source.
pub(super) fn reader<'t>(
    source: &SourceSection,
    types: &'t AcceptedTypes,
    now: i64,
) -> FeedReader<'t> {
    FeedReader {
        types,
        source: Arc::from(source.name.as_str()),
        read_at: now,
        plain: PlainOptions { form: source.form, confidence: source.confidence },
    }
}

/// The files that a source has now; none of a remote one that was not fetched yet.
pub(super) fn files(
    configuration: &IntelligenceConfiguration,
    source: &SourceSection,
) -> Result<Vec<PathBuf>, Failure> {
    let path = match (&source.path, &configuration.folder) {
        (Some(path), _) => path.clone(),
        (None, Some(folder)) => {
            let copies = Copies::of(folder, &source.name);
            if !copies.folder().is_dir() {
                return Ok(Vec::new());
            }
            copies.folder().to_owned()
        }
        (None, None) => return Ok(Vec::new()),
    };
    if !path.is_dir() {
        return Ok(vec![path]);
    }
    let name = &source.name;
    let failed = |error: std::io::Error| {
        Failure::configuration(format!("the source {name}: {}: {error}", path.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if is_of(source.format, &file) && file.is_file() {
            files.push(file);
        }
        if files.len() > MAX_FILES {
            return Err(Failure::configuration(format!(
                "the source {name}: {} has more than {MAX_FILES} files",
                path.display()
            )));
        }
    }
    files.sort();
    Ok(files)
}

impl SourceReport {
    fn take(&mut self, file: &Path, batch: &Batch) {
        let Batch { indicators, unknown_types, deleted, unreadable, first_unreadable, beyond } =
            batch;
        self.files += 1;
        self.indicators += indicators.len();
        self.unknown_types += unknown_types;
        self.deleted += deleted;
        self.unreadable += unreadable;
        self.beyond += beyond;
        if let (None, Some(place)) = (&self.first_unreadable, first_unreadable) {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            self.first_unreadable = Some(format!("{file}:{place}"));
        }
    }
}

/// Whether a file of a folder is one of a format.
fn is_of(format: SourceFormat, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    // The lists of a feed are no events, and a file that begins with a dot is somebody's own.
    if name.starts_with('.') || ["manifest.json", "hashes.csv"].contains(&name) {
        return false;
    }
    match format {
        SourceFormat::Csv => ends(&[".csv"]),
        SourceFormat::Freetext => ends(&[".txt", ".list"]),
        SourceFormat::Kunai => ends(&[".json", ".jsonl", ".ndjson"]),
        SourceFormat::Misp => ends(&[".json"]),
    }
}

/// Lists of a folder, and of folders in it. Those of kinds that are not read are passed over.
fn warninglists(folder: Option<&Path>, key: HashKey) -> Result<Warninglists, Failure> {
    let mut builder = WarninglistsBuilder::default();
    let Some(folder) = folder else { return Ok(builder.build(key)) };
    for file in warninglist_files(folder)? {
        let bad = |text: &dyn std::fmt::Display| {
            Failure::configuration(format!("the warninglist {}: {text}", file.display()))
        };
        let most = mop_insight::security::intelligence::warninglist::MAX_FILE_BYTES;
        let bytes = read(&file, most).map_err(|text| bad(&text))?;
        match builder.add(&bytes) {
            Ok(_) | Err(WarninglistError::Type) => {}
            Err(error) => return Err(bad(&error)),
        }
    }
    Ok(builder.build(key))
}

pub(super) fn warninglist_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let failed = |error: std::io::Error| {
        Failure::configuration(format!("the warninglists in {}: {error}", folder.display()))
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let list = path.join("list.json");
        if path.is_dir() && list.is_file() {
            files.push(list);
        } else if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(failed(std::io::Error::other("there are too many")));
        }
    }
    files.sort();
    Ok(files)
}

/// The bytes of a file, if they are not too many.
fn read(file: &Path, most: usize) -> Result<Vec<u8>, String> {
    let facts = fs::metadata(file).map_err(|error| error.to_string())?;
    if facts.len() > most as u64 {
        return Err(format!("it has more than {most} bytes"));
    }
    fs::read(file).map_err(|error| error.to_string())
}

fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_no_random| Failure::runtime("the machine gives no random numbers"))?;
    Ok(bytes)
}

/// Large public feeds have some thousand events.
const MAX_FILES: usize = 50_000;
