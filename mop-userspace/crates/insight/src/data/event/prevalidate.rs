//! Which rule of the metrics platform an event would break, in words: for a dry run before
//! anything is sent, and for events that something else made.
//!
//! The rules are those of `eventBody` 1.0.13, what its descriptions add to its schema, and what the
//! platform announced that it refuses. Values are not repeated: an event is named by its field.

use mop_contract::json::{Kind, Value};

use super::is_url;
use crate::data::{consent::ConsentId, endpoint::PcmEndpoints};

/// A rule that an event breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub words: &'static str,
}

/// Every rule that an event breaks; none when it may be sent.
#[must_use]
pub fn prevalidate(event: Value<'_>, endpoints: &PcmEndpoints) -> Vec<Breach> {
    let mut check = Check::of(event);
    if !check.is_object() {
        return check.breaches;
    }
    let endpoint = check
        .required("endpoint")
        .and_then(|template| endpoints.by_template(template))
        .map(|endpoint| &**endpoint);
    if endpoint.is_none() && event.member("endpoint").is_some() {
        check.breach("endpoint", "must be one of the list of endpoints");
    }
    let is_open = endpoint.is_some_and(|endpoint| endpoint.group.is_open_data());
    let status = check.number("statusCode", 100..=599, "must be a whole number from 100 to 599");
    check.number(
        "processTimespan",
        1..=i64::MAX,
        "must be a whole number of milliseconds, 1 or more",
    );
    if let Some(url) = check.required("url") {
        if url.contains(['?', '#']) {
            check.breach("url", "must be a path without query");
        } else if !is_url(url) {
            check.breach("url", "must be a path whose first segment has letters only");
        }
    }
    check.text("httpMethod", true, is_method, "must be GET, POST, PUT, DELETE or PATCH");
    check.identity();
    check.text(
        "fapiInteractionId",
        !is_open,
        is_interaction,
        "must be 1 to 100 letters, digits and hyphens, the first no hyphen",
    );
    check.parties(!is_open);
    check.text(
        "endpointUriPrefix",
        false,
        is_prefix,
        "must be https:// and a host, without port, path or slash at its end",
    );
    check.consent(!is_open && status.is_some_and(|status| (200..=299).contains(&status)));
    check.two_organisations();
    check.breaches
}

/// What is found in an event.
pub(crate) struct Check<'v> {
    pub(crate) event: Value<'v>,
    pub(crate) breaches: Vec<Breach>,
}

impl<'v> Check<'v> {
    /// Nothing yet.
    pub(crate) fn of(event: Value<'v>) -> Self {
        Self { event, breaches: Vec::new() }
    }

    /// Nothing else can be said of what is no object.
    pub(crate) fn is_object(&mut self) -> bool {
        let is_object = self.event.kind() == Kind::Object;
        if !is_object {
            self.breach("event", "must be an object");
        }
        is_object
    }

    pub(crate) fn breach(&mut self, field: &'static str, words: &'static str) {
        self.breaches.push(Breach { field, words });
    }

    /// What every event is known by.
    pub(crate) fn identity(&mut self) {
        self.text("correlationId", true, |id| !id.is_empty(), "must not be empty");
        self.text("timestamp", true, is_timestamp, "must be yyyy-mm-ddThh:mm:ssZ, 20 characters");
    }

    /// Who called whom.
    pub(crate) fn parties(&mut self, is_client_required: bool) {
        for (field, is_required) in [
            ("clientOrgId", is_client_required),
            ("clientSSId", is_client_required),
            ("serverOrgId", true),
            ("serverASId", true),
        ] {
            self.text(field, is_required, is_id, "must be groups of 8, 4, 4, 4 and 12 characters");
        }
    }

    /// Nobody reports calls to himself.
    pub(crate) fn two_organisations(&mut self) {
        let [client, server] = ["clientOrgId", "serverOrgId"].map(|field| self.string(field));
        if client.is_some() && client == server {
            self.breach("clientOrgId", "must not be the organisation that was called");
        }
    }

    fn string(&self, field: &str) -> Option<&'v str> {
        self.event.member(field).and_then(Value::as_str)
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, field: &'static str) -> Option<&'v str> {
        let found = self.string(field);
        if found.is_none() {
            self.missing_or_no_text(field);
        }
        found
    }

    fn missing_or_no_text(&mut self, field: &'static str) {
        let is_missing = self.event.member(field).is_none();
        self.breach(field, if is_missing { "is missing" } else { "must be text" });
    }

    pub(crate) fn text(
        &mut self,
        field: &'static str,
        is_required: bool,
        is_valid: fn(&str) -> bool,
        words: &'static str,
    ) {
        match self.string(field) {
            Some(text) if is_valid(text) => {}
            Some(_) => self.breach(field, words),
            None if is_required || self.event.member(field).is_some() => {
                self.missing_or_no_text(field);
            }
            None => {}
        }
    }

    fn number(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<i64>,
        words: &'static str,
    ) -> Option<i64> {
        let Some(value) = self.event.member(field) else {
            self.breach(field, "is missing");
            return None;
        };
        let number = value
            .as_number()
            .filter(|_| value.kind() == Kind::Integer)
            .and_then(|number| number.text.parse().ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.breach(field, words);
        }
        number
    }

    fn consent(&mut self, is_required: bool) {
        const FIELD: &str = "additionalInfo.consentId";
        let info = self.event.member("additionalInfo");
        if info.is_some_and(|info| info.kind() != Kind::Object) {
            self.breach("additionalInfo", "must be an object");
            return;
        }
        match info.and_then(|info| info.member("consentId")).map(Value::as_str) {
            None if is_required => {
                self.breach(FIELD, "is missing, and the call succeeded outside of phase 1");
            }
            None => {}
            Some(consent) if consent.and_then(ConsentId::parse).is_some() => {}
            Some(_) => self.breach(FIELD, "must be a URN of at most 256 characters"),
        }
    }
}

fn is_method(method: &str) -> bool {
    ["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method)
}

fn is_timestamp(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_interaction(id: &str) -> bool {
    // The published pattern has a backslash in its class, by mistake; it is taken at its word.
    (1..=100).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'\\')
}

/// `^\w{8}-\w{4}-\w{4}-\w{4}-\w{12}$`
fn is_id(id: &str) -> bool {
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    id.split('-').all(|group| {
        lengths.next() == Some(group.len())
            && group.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }) && lengths.next().is_none()
}

fn is_prefix(prefix: &str) -> bool {
    prefix
        .strip_prefix("https://")
        .is_some_and(|host| super::uri_prefix(host).as_deref() == Some(prefix))
}
