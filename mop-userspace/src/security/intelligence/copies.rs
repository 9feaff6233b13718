//! Copies of a remote source: fetched with entity tags, kept on disk, replaced file by file.
//!
//! ```text
//! <folder>/<source>/document.<ending>, .etag                     a document
//! <folder>/<source>/<uuid>.json, manifest.json, .etag            a feed of MISP
//! ```
//!
//! The index of a feed is kept only when all that it names is there: what could not be fetched is
//! wanted again the next time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use mop_insight::security::{
    intelligence::read::{FeedReader, Manifest},
    uuid::Uuid,
};

use super::{
    configuration::{SourceFormat, SourceSection},
    load,
    stores::Look,
};
use crate::sinks::http::{Client, Fetched};

/// Where they lie.
pub(super) struct Copies {
    folder: PathBuf,
}

impl Copies {
    /// Those of a source.
    pub(super) fn of(folder: &Path, source: &str) -> Self {
        Self { folder: folder.join(source) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks the source for news. What is bad is not kept; an error says why in words.
    pub(super) async fn refresh(
        &self,
        source: &SourceSection,
        client: &Client,
        reader: &FeedReader<'_>,
    ) -> Result<Look, String> {
        fs::create_dir_all(&self.folder).map_err(|error| self.failed(&error))?;
        match (source.feed(), &source.url) {
            (Some(base), _) => self.refresh_feed(base, source, client, reader).await,
            (None, Some(url)) => self.refresh_document(url, source, client, reader).await,
            (None, None) => Ok(Look::Unchanged),
        }
    }

    async fn refresh_document(
        &self,
        url: &str,
        source: &SourceSection,
        client: &Client,
        reader: &FeedReader<'_>,
    ) -> Result<Look, String> {
        let name = match source.format {
            SourceFormat::Csv => "document.csv",
            SourceFormat::Freetext => "document.txt",
            SourceFormat::Kunai => "document.jsonl",
            SourceFormat::Misp => "document.json",
        };
        let Some(fetched) = self.fetch(url, Some(name), MAX_DOCUMENT_BYTES, source, client).await?
        else {
            return Ok(Look::Unchanged);
        };
        load::parse(reader, source.format, &fetched.body).map_err(|error| error.to_string())?;
        self.write(name, &fetched.body)?;
        self.write(ETAG, fetched.etag.unwrap_or_default().as_bytes())?;
        Ok(Look::Fetched)
    }

    async fn refresh_feed(
        &self,
        base: &str,
        source: &SourceSection,
        client: &Client,
        reader: &FeedReader<'_>,
    ) -> Result<Look, String> {
        let url = format!("{base}{MANIFEST}");
        let index = self.fetch(&url, Some(MANIFEST), MAX_MANIFEST_BYTES, source, client).await?;
        let Some(index) = index else { return Ok(Look::Unchanged) };
        let manifest = Manifest::parse(&index.body).map_err(|error| format!("index: {error}"))?;
        let known = self.known();
        let mut room = MAX_FEED_BYTES;
        for event in manifest.wanted(|event| known.get(&event).copied()) {
            let name = format!("{event}.json");
            let url = format!("{base}{name}");
            let most = room.min(MAX_EVENT_BYTES);
            let Some(fetched) = self.fetch(&url, None, most, source, client).await? else {
                continue;
            };
            room = room.saturating_sub(fetched.body.len());
            // One bad event costs itself, not all others of the feed.
            if let Err(error) = reader.misp(&fetched.body) {
                eprintln!("mop: indicators: {}: {name}: {error}", source.name);
                continue;
            }
            self.write(&name, &fetched.body)?;
        }
        self.remove_all_but(&manifest)?;
        self.write(MANIFEST, &index.body)?;
        self.write(ETAG, index.etag.unwrap_or_default().as_bytes())?;
        Ok(Look::Fetched)
    }

    /// A document; none where `copy` is there and the other side says that nothing is new.
    async fn fetch(
        &self,
        url: &str,
        copy: Option<&str>,
        most: usize,
        source: &SourceSection,
        client: &Client,
    ) -> Result<Option<Fetched>, String> {
        let mut request = client.get(url);
        if let Some(file) = &source.key_file {
            let mut value = reqwest::header::HeaderValue::from_bytes(&file.read()?)
                .map_err(|_not_text| "the key is not one line of text".to_owned())?;
            value.set_sensitive(true);
            request = request.header("Authorization", value);
        }
        // For an answer of `restSearch`.
        request = request.header("Accept", "application/json, text/plain;q=0.9, */*;q=0.5");
        let tag = copy.filter(|name| self.folder.join(name).is_file());
        let tag = tag.and_then(|_| fs::read_to_string(self.folder.join(ETAG)).ok());
        if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
            request = request.header("If-None-Match", tag);
        }
        let fetched = client.fetch(request, most).await.map_err(|trouble| trouble.to_string())?;
        match fetched.status {
            200 => Ok(Some(fetched)),
            304 if copy.is_some() => Ok(None),
            status => Err(format!("the answer has status {status}")),
        }
    }

    /// When each event that is here was changed, by the index that is here.
    fn known(&self) -> BTreeMap<Uuid, i64> {
        let index = fs::read(self.folder.join(MANIFEST)).ok();
        let index = index.and_then(|bytes| Manifest::parse(&bytes).ok()).unwrap_or_default();
        let events = index.events.into_iter();
        events.map(|entry| (entry.event, entry.timestamp)).collect()
    }

    fn remove_all_but(&self, manifest: &Manifest) -> Result<(), String> {
        let named: BTreeSet<Uuid> = manifest.events.iter().map(|entry| entry.event).collect();
        for entry in fs::read_dir(&self.folder).map_err(|error| self.failed(&error))? {
            let name = entry.map_err(|error| self.failed(&error))?.file_name();
            let event = name.to_str().and_then(|name| Uuid::parse(name.strip_suffix(".json")?));
            if event.is_some_and(|event| !named.contains(&event)) {
                let removed = fs::remove_file(self.folder.join(&name));
                removed.map_err(|error| self.failed(&error))?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let new = self.folder.join(NEW);
        let written = fs::write(&new, content);
        let written = written.and_then(|()| fs::rename(&new, self.folder.join(name)));
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.folder.display())
    }
}

const MANIFEST: &str = "manifest.json";
const ETAG: &str = ".etag";
const NEW: &str = ".new";
/// A list of a million addresses has some 15 MB, an answer of `restSearch` with as many attributes
/// some hundred.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;
/// Of 200 000 events.
const MAX_MANIFEST_BYTES: usize = 128 << 20;
/// The largest public ones have some 10 MB.
const MAX_EVENT_BYTES: usize = 64 << 20;
/// Of one look: more would keep a node busy for longer than it is worth.
const MAX_FEED_BYTES: usize = 1 << 30;
