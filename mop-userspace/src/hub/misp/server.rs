//! The API of a MISP server, as far as the relay needs it.
//!
//! Statuses of MISP say little: 403 is a wrong key as well as an event that is not taken, 404 an
//! event that is not there as well as, at `add`, one that is. So the words of an answer are read too,
//! and only for this: they are told to nobody but the operator.

use std::{path::Path, time::Duration};

use mop_insight::security::uuid::Uuid;
use reqwest::{RequestBuilder, header::HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::RelayConfiguration;
use crate::{
    failure::Failure,
    sinks::{
        Trouble,
        http::{Answer, Client, Reach, SecretFile},
    },
};

/// A server, and the key that it knows the hub by.
pub(super) struct Server {
    client: Client,
    /// Without a slash at its end.
    base: String,
    key_file: SecretFile,
}

/// What it says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// An event with this identifier is there already.
    Exists,
    /// There is no such event, or, at `add`, perhaps there is.
    Missing,
    /// It will never be taken as it is; why, in words.
    Refused(String),
    /// The event that is there is not older.
    Stale,
    /// It is done.
    Taken,
}

/// Why nothing can be told at the moment.
#[derive(Debug)]
pub(super) struct Setback {
    /// Who is in trouble, for people.
    pub(super) who: &'static str,
    pub(super) trouble: Trouble,
    /// How long the server asks to be left alone.
    pub(super) wait: Option<Duration>,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    errors: Value,
}

impl Server {
    pub(super) fn new(configuration: &RelayConfiguration) -> Result<Self, Failure> {
        let key_file = configuration.key_file.clone();
        let key_file = key_file
            .ok_or_else(|| Failure::configuration("hub.misp.key_file: a file is wanted"))?;
        key_file
            .read()
            .map_err(|text| Failure::configuration(format!("hub.misp.key_file: {text}")))?;
        let client = Client::new(Reach {
            ca_file: configuration.ca_file.as_deref().map(Path::new),
            proxy: None,
            connect_timeout: CONNECT_LIMIT,
            request_timeout: REQUEST_LIMIT,
        })?;
        let base = configuration.url.trim_end_matches('/').to_owned();
        Ok(Self { client, base, key_file })
    }

    /// Adds an event.
    pub(super) async fn add(&self, body: &[u8]) -> Result<Reply, Setback> {
        self.post("/events/add", body, true).await
    }

    /// Brings an event up to date.
    pub(super) async fn edit(&self, event: Uuid, body: &[u8]) -> Result<Reply, Setback> {
        self.post(&format!("/events/edit/{event}"), body, true).await
    }

    /// Publishes an event.
    pub(super) async fn publish(&self, event: Uuid) -> Result<Reply, Setback> {
        self.post(&format!("/events/publish/{event}"), b"{}", false).await
    }

    /// Adds sightings to attributes of an event. Those whose identifiers are there already are passed
    /// over; `/sightings/add` takes no identifier of a sighting and would count a repeat.
    pub(super) async fn sight(&self, event: Uuid, sightings: &[Value]) -> Result<Reply, Setback> {
        let body = serde_json::to_vec(sightings).unwrap_or_default();
        self.post(&format!("/sightings/bulkSaveSightings/{event}"), &body, false).await
    }

    /// When the event that is there was changed, in seconds since 1970.
    pub(super) async fn timestamp(&self, event: Uuid) -> Result<Option<i64>, Setback> {
        let path = format!("/events/view/{event}");
        let request = self.signed(self.client.get(&format!("{}{path}", self.base)))?;
        let fetched = self.client.fetch(request, MAX_EVENT_BYTES).await?;
        let answer: Value = serde_json::from_slice(&fetched.body).unwrap_or_default();
        let timestamp = answer.pointer("/Event/timestamp");
        Ok(timestamp.and_then(|it| it.as_i64().or_else(|| it.as_str()?.parse().ok())))
    }

    /// Whether it knows the key.
    pub(super) async fn is_known(&self) -> Result<bool, Setback> {
        let url = format!("{}/users/view/me", self.base);
        let request = self.signed(self.client.get(&url))?;
        Ok(self.client.send(request).await?.status == 200)
    }

    async fn post(&self, path: &str, body: &[u8], is_event: bool) -> Result<Reply, Setback> {
        let request = self.signed(self.client.post(&format!("{}{path}", self.base)))?;
        let request = request.header("Content-Type", "application/json").body(body.to_vec());
        let answer = self.client.send(request).await?;
        reply(&answer, is_event)
    }

    fn signed(&self, request: RequestBuilder) -> Result<RequestBuilder, Setback> {
        let wrong = |text: String| Setback::from(Trouble::lasting("key", text));
        let key = self.key_file.read().map_err(wrong)?;
        let mut key = HeaderValue::from_bytes(&key)
            .map_err(|_not_text| wrong("the key is not one line of text".to_owned()))?;
        key.set_sensitive(true);
        Ok(request.header("Authorization", key).header("Accept", "application/json"))
    }
}

/// What an answer says; `is_event` when a taken request is answered with the event.
fn reply(answer: &Answer, is_event: bool) -> Result<Reply, Setback> {
    let status = answer.status;
    if (200..300).contains(&status) {
        // A proxy's page for a login has this status too.
        let is_one = !is_event || answer.body.windows(7).any(|part| part == b"\"Event\"");
        return if is_one { Ok(Reply::Taken) } else { Err(misdirected(status)) };
    }
    let words: Words = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = words.lower_case();
    // As the server is set up, not as this event is.
    let is_known = !text.contains("authentication failed");
    match status {
        401 => Err(unauthorised(status)),
        403 if !is_known => Err(unauthorised(status)),
        408 | 425 | 429 | 500.. => {
            let reason = if status == 429 { "rate_limited" } else { "server_error" };
            let trouble = Trouble::passing(reason, format!("the answer has status {status}"));
            Err(Setback { wait: answer.retry_after, ..Setback::from(trouble) })
        }
        _ if text.contains("not newer") => Ok(Reply::Stale),
        _ if text.contains("already exists") => Ok(Reply::Exists),
        404 => Ok(Reply::Missing),
        409 => Ok(Reply::Exists),
        // What is about the event says what is wrong with it.
        403 if words.errors.is_null() => Err(unauthorised(status)),
        400 | 403 | 406 | 411..=424 | 426..=428 | 430..=499 => {
            Ok(Reply::Refused(words.reason(status)))
        }
        _ => Err(misdirected(status)),
    }
}

impl Words {
    fn lower_case(&self) -> String {
        let Self { name, message, errors } = self;
        format!("{name} {message} {errors}").to_ascii_lowercase()
    }

    /// For the operator, on one line.
    fn reason(&self, status: u16) -> String {
        let said = [&self.message, &self.name].into_iter().find_map(Value::as_str);
        let said = said.unwrap_or("it does not say why");
        let plain = said.chars().filter(|it| !it.is_control()).take(MAX_REASON_CHARACTERS);
        format!("status {status}: {}", plain.collect::<String>())
    }
}

impl From<Trouble> for Setback {
    fn from(trouble: Trouble) -> Self {
        Self { who: "MISP", trouble, wait: None }
    }
}

fn unauthorised(status: u16) -> Setback {
    let text =
        format!("the server does not accept the key, or it may not do this (status {status})");
    Trouble::lasting(UNAUTHORISED, text).into()
}

/// The address takes no such requests.
pub(super) fn misdirected(status: u16) -> Setback {
    let text = format!("the address is none of MISP's API (status {status}): is the URL right?");
    Trouble::lasting("misdirected", text).into()
}

/// Reason of a trouble with the key or its rights.
pub(super) const UNAUTHORISED: &str = "unauthorised";
/// A server that does not answer by then will not.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// MISP correlates an event before it answers, and one of 256 attributes takes it seconds.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// An event of 256 attributes, and what others added to it.
const MAX_EVENT_BYTES: usize = 8 << 20;
/// A sentence.
const MAX_REASON_CHARACTERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Result<Reply, &'static str> {
        let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
        reply(&answer, true).map_err(|setback| setback.trouble.reason)
    }

    #[test]
    fn answers_of_misp_mean_what_is_to_be_done() {
        let exists =
            r#"{"name":"Event already exists, if you would like to edit it, use the url"}"#;
        let stale = r#"{"saved":false,"name":"Could not edit Event",
                        "errors":"Event in the request not newer than the local copy."}"#;
        let key = r#"{"name":"Authentication failed. Please make sure","message":"","url":"/"}"#;
        let wrong =
            "{\"name\":\"Could not add Event\",\"message\":\"No\\n way\",\"errors\":{\"a\":1}}";
        for (status, body, expected) in [
            (200, r#"{"Event":{}}"#, Ok(Reply::Taken)),
            (200, "<html>Please log in</html>", Err("misdirected")),
            (302, "", Err("misdirected")),
            (404, exists, Ok(Reply::Exists)),
            (403, exists, Ok(Reply::Exists)),
            (404, r#"{"name":"Invalid event"}"#, Ok(Reply::Missing)),
            (403, stale, Ok(Reply::Stale)),
            (403, key, Err("unauthorised")),
            (403, r#"{"name":"You do not have permission"}"#, Err("unauthorised")),
            (401, "", Err("unauthorised")),
            (403, wrong, Ok(Reply::Refused("status 403: No way".to_owned()))),
            (413, "", Ok(Reply::Refused("status 413: it does not say why".to_owned()))),
            (429, "", Err("rate_limited")),
            (500, "", Err("server_error")),
            (503, exists, Err("server_error")),
        ] {
            assert_eq!(of(status, body), expected, "{status} {body}");
        }
    }
}
