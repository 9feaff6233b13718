//! Records in MongoDB: one document each, whose key follows from the record.
//!
//! There are no counts and no positions: those are the database's part. A document is inserted
//! once; the same record that comes again finds its key taken.

use std::time::Duration;

use futures_util::{StreamExt as _, future::BoxFuture};
use jiff::Timestamp;
use mongodb::{
    Client, Collection, IndexModel,
    bson::{self, Bson, DateTime, Document, doc},
    error::{Error, ErrorKind},
    options::{Acknowledgment, ClientOptions, Credential, IndexOptions, WriteConcern},
};

use super::{
    configuration::{MongoDbConfiguration, RetentionConfiguration, read_secret},
    message::Arrival,
    partitions::KeptDays,
    refusal::Refusal,
    store::{Batch, Fate, Store},
};
use crate::{failure::Failure, sinks::Trouble};

/// A store in MongoDB.
pub(crate) struct MongoDbStore {
    configuration: MongoDbConfiguration,
    password: Option<String>,
    retention: RetentionConfiguration,
    collection: Option<Collection<Document>>,
}

impl MongoDbStore {
    pub(crate) fn new(
        configuration: &MongoDbConfiguration,
        retention: RetentionConfiguration,
    ) -> Result<Self, Failure> {
        let password = match &configuration.password_file {
            Some(file) => Some(read_secret("hub.mongodb.password_file", file)?),
            None => None,
        };
        Ok(Self { configuration: configuration.clone(), password, retention, collection: None })
    }

    async fn open(&mut self) -> Result<(), Trouble> {
        self.collection = None;
        let mut options = ClientOptions::parse(self.configuration.url.as_str())
            .await
            .map_err(|error| trouble(&error))?;
        options.app_name = Some("mop-hub".to_owned());
        options.connect_timeout = Some(CONNECT_LIMIT);
        options.server_selection_timeout = Some(CONNECT_LIMIT);
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
        if let Some(password) = &self.password {
            options.credential.get_or_insert_with(Credential::default).password =
                Some(password.clone());
        }
        let client = Client::with_options(options).map_err(|error| trouble(&error))?;
        let collection = client
            .database(&self.configuration.database)
            .collection::<Document>(&self.configuration.collection);
        // The server removes documents by itself when they are so old.
        let days = u64::from(self.retention.record_days) + 1;
        let options = IndexOptions::builder()
            .name("retention".to_owned())
            .expire_after(Duration::from_secs(days * 86_400))
            .build();
        let index = IndexModel::builder().keys(doc! { "ts": 1 }).options(options).build();
        collection.create_index(index).await.map_err(|error| trouble(&error))?;
        self.collection = Some(collection);
        Ok(())
    }

    async fn store_all(&mut self, batch: &Batch) -> Result<Vec<Fate>, Trouble> {
        let Some(collection) = &self.collection else {
            return Err(Trouble::passing("lost", "there is no connection"));
        };
        let kept = KeptDays::today(self.retention);
        let mut fates = Vec::with_capacity(batch.arrivals.len());
        let mut documents = Vec::with_capacity(batch.arrivals.len());
        let mut places = Vec::with_capacity(batch.arrivals.len());
        for (at, arrival) in batch.arrivals.iter().enumerate() {
            let day = arrival.day;
            let (fate, document) = match document(arrival) {
                _ if day < kept.first => (Fate::Expired, None),
                _ if day > kept.last => (Fate::Refused(Refusal::FutureDay), None),
                None => (Fate::Refused(Refusal::Database), None),
                document => (Fate::New, document),
            };
            fates.push(fate);
            if let Some(document) = document {
                documents.push(document);
                places.push(at);
            }
        }
        if documents.is_empty() {
            return Ok(fates);
        }
        let Err(error) = collection.insert_many(&documents).ordered(false).await else {
            return Ok(fates);
        };
        let ErrorKind::InsertMany(found) = &*error.kind else { return Err(trouble(&error)) };
        if found.write_concern_error.is_some() {
            return Err(trouble(&error));
        }
        let mut again = Vec::new();
        for failed in found.write_errors.iter().flatten() {
            let Some(at) = places.get(failed.index) else { continue };
            let fate = if failed.code == DUPLICATE_KEY {
                again.push((*at, failed.index));
                Fate::Duplicate
            } else {
                Fate::Refused(Refusal::Database)
            };
            if let Some(place) = fates.get_mut(*at) {
                *place = fate;
            }
        }
        for at in conflicts(collection, &documents, &again).await? {
            if let Some(place) = fates.get_mut(at) {
                *place = Fate::Refused(Refusal::Conflict);
            }
        }
        Ok(fates)
    }
}

impl Store for MongoDbStore {
    fn name(&self) -> &'static str {
        "MongoDB"
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(self.open())
    }

    fn store<'s>(&'s mut self, batch: &'s Batch) -> BoxFuture<'s, Result<Vec<Fate>, Trouble>> {
        Box::pin(self.store_all(batch))
    }

    /// Streams are read from their beginning: what is there already changes nothing.
    fn offset<'s>(&'s mut self, _queue: &'s str) -> BoxFuture<'s, Result<Option<i64>, Trouble>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn maintain(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A record as a document; `None` when it cannot be one.
fn document(arrival: &Arrival) -> Option<Document> {
    let Arrival { id, kind, node, ts, day, place, schema, body, source: _, summary: _ } = arrival;
    let record: serde_json::Value = serde_json::from_str(body).ok()?;
    let record = bson::serialize_to_bson(&record).ok()?;
    let place = place.as_ref();
    Some(doc! {
        "_id": format!("{day}/{id}"),
        "kind": kind,
        "node": node,
        "ts": DateTime::from_millis(ts.as_millisecond()),
        "epoch": place.map(|place| place.epoch),
        "stream": place.map(|place| &*place.stream),
        "sequence": place.map(|place| place.sequence),
        "schema": schema,
        "received_at": DateTime::from_millis(Timestamp::now().as_millisecond()),
        "record": record,
    })
}

/// Those whose key is taken by another record. `again` has places of arrivals and of documents.
async fn conflicts(
    collection: &Collection<Document>,
    documents: &[Document],
    again: &[(usize, usize)],
) -> Result<Vec<usize>, Trouble> {
    let ids: Vec<&Bson> =
        again.iter().filter_map(|(_, document)| documents.get(*document)?.get("_id")).collect();
    let mut there = collection
        .find(doc! { "_id": { "$in": ids } })
        .projection(doc! { "record": 1 })
        .await
        .map_err(|error| trouble(&error))?;
    let mut conflicts = Vec::new();
    while let Some(known) = there.next().await {
        let known = known.map_err(|error| trouble(&error))?;
        for (at, document) in again {
            let Some(document) = documents.get(*document) else { continue };
            if document.get("_id") == known.get("_id")
                && document.get("record") != known.get("record")
            {
                conflicts.push(*at);
            }
        }
    }
    Ok(conflicts)
}

/// An error in words that hold nothing of any record.
fn trouble(error: &Error) -> Trouble {
    match &*error.kind {
        ErrorKind::Authentication { message, .. } => Trouble::lasting("refused", message),
        ErrorKind::InvalidArgument { message, .. } => Trouble::lasting("refused", message),
        ErrorKind::Command(error) => {
            Trouble::passing("failed", format!("{} ({})", error.code_name, error.code))
        }
        ErrorKind::ServerSelection { .. } => {
            Trouble::passing("unreachable", "no server can be reached")
        }
        ErrorKind::Io(error) => Trouble::passing("lost", error),
        _ => Trouble::passing("failed", "the operation failed"),
    }
}

const DUPLICATE_KEY: i32 = 11_000;
/// A server that does not answer by then will not.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_record_is_a_document_whose_key_follows_from_it() {
        let line =
            br#"{"id":"e1/quality","kind":"quality.report","ts":"2026-11-24T00:00:01Z","n":1}"#;
        let arrival = Arrival::from_line(&Arc::from("test"), "node-1", line, 1000);
        let document = document(&arrival.expect("a good line")).expect("a document");
        assert_eq!(document.get_str("_id"), Ok("2026-11-24/e1/quality"));
        let record = document.get_document("record").expect("the record");
        assert_eq!(record.get_str("kind"), Ok("quality.report"));
        let bytes = bson::serialize_to_vec(&document).expect("it can be written");
        assert!(!bytes.is_empty());
    }
}
