//! The endpoints that the metrics platform takes: the `enum` of `endpoint` in `eventBody` of the
//! ingestion interface, as data, and the template that a concrete path is an instance of.
//!
//! The platform grew its list without a new version of the document, so the list is a file
//! (`rules/opin/pcm/endpoints.json`, made by `examples/pcm_endpoints.rs`) and not code. A template
//! belongs to a group by the phases that the document's own description lists it under: what a
//! report must hold depends on it.
//!
//! Names in braces differ between this list and the contracts of the interfaces; a path is matched
//! with the list itself, so that the report has the list's words.

pub mod source;
mod unlisted;

use std::{borrow::Cow, sync::Arc};

use memchr::memmem;
use mop_contract::{
    Contract, ContractBuilder, Document,
    route::{Unrouted, path_of},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

pub use self::unlisted::unlisted_path;
use super::consent::ConsentId;

/// The list, ready to be searched.
#[derive(Debug)]
pub struct PcmEndpoints {
    version: String,
    endpoints: Vec<Arc<Endpoint>>,
    /// The templates as a contract of their own, for its router: it knows that literal segments
    /// win over parameters and that a consent's identifier may hold a `/`.
    router: Contract,
}

/// One endpoint of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As the list has it, such as `/open-insurance/consents/v3/consents/{consentId}`.
    pub template: String,
    /// Phases.
    pub group: Group,
    /// The segment after `/open-insurance/`: which interface it is of.
    pub interface: String,
    /// The number in `/vN/`.
    pub version: u8,
}

/// Phases of the ecosystem that an endpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Open data: no consent, and callers need not be known.
    Phase1,
    /// Customers' data.
    Phase2,
    /// Services.
    Phase3,
    /// Consents and resources.
    Phases2And3,
    /// The description does not list it: the strictest rules hold.
    Unlisted,
}

/// The file of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointFile {
    /// Name of the document that the templates are from.
    pub document: String,
    /// Its `info.version`.
    pub version: String,
    /// Templates by group.
    pub groups: Vec<EndpointGroup>,
}

/// Templates of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointGroup {
    /// Which.
    pub group: Group,
    /// In the order of the document.
    pub templates: Vec<String>,
}

/// A path and the endpoint that it is an instance of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'t> {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The path from `/open-insurance/` on, as sent.
    pub path: &'t str,
    /// The consent that the path names.
    pub consent: Option<ConsentId>,
}

/// Why a path has no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NotListed {
    /// It is below `/open-insurance/`, but not in the list.
    Unlisted,
    /// It is in the list with another version.
    OtherVersion,
    /// Too long to be looked for.
    TooLong,
    /// It is not below `/open-insurance/`.
    Unregulated,
}

/// Why a file is no list of endpoints.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// Not the JSON that is wanted.
    #[error("it is not a list of endpoints")]
    Syntax(#[source] serde_json::Error),
    /// More than [`MAX_ENDPOINTS`].
    #[error("it has more than {MAX_ENDPOINTS} endpoints")]
    TooMany,
    /// A template that is not `/open-insurance/<interface>/v<number>/…`.
    #[error("template {0} is not `/open-insurance/<interface>/v<number>/…`")]
    Template(usize),
    /// Two templates that no path can tell apart.
    #[error("template {0} means the same paths as one before it")]
    Duplicate(usize),
}

impl PcmEndpoints {
    /// The endpoints that come with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, EndpointError> {
        Self::parse(PUBLISHED)
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Every [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(EndpointError::TooLong);
        }
        Self::from_file(serde_json::from_str(text).map_err(EndpointError::Syntax)?)
    }

    /// Takes a file that was read already.
    ///
    /// # Errors
    ///
    /// Every [`EndpointError`] about templates.
    pub fn from_file(file: EndpointFile) -> Result<Self, EndpointError> {
        let EndpointFile { document: _, version, groups } = file;
        let mut endpoints = Vec::new();
        let mut paths = Map::new();
        for EndpointGroup { group, templates } in groups {
            for template in templates {
                let number = endpoints.len();
                if number >= MAX_ENDPOINTS {
                    return Err(EndpointError::TooMany);
                }
                paths.insert(template.clone(), json!({ "get": { "responses": {} } }));
                let endpoint = Endpoint::new(template, group);
                endpoints.push(Arc::new(endpoint.ok_or(EndpointError::Template(number))?));
            }
        }
        let tree = json!({
            "openapi": "3.0.0", "info": { "version": "0" }, "paths": Value::Object(paths)
        });
        let mut builder = ContractBuilder::default();
        if let Ok(document) = Document::from_tree("endpoints", tree) {
            builder.add(&document, None);
        }
        let router = builder.build();
        // The router has each operation by its template; positions are its own.
        let mut ordered = Vec::with_capacity(endpoints.len());
        for operation in router.operations() {
            let named = endpoints.iter().find(|endpoint| *endpoint.template == *operation.template);
            ordered.extend(named.cloned());
        }
        if let Some(lost) = endpoints.iter().position(|endpoint| !ordered.contains(endpoint)) {
            return Err(EndpointError::Duplicate(lost));
        }
        if ordered.len() != endpoints.len() {
            return Err(EndpointError::Duplicate(ordered.len()));
        }
        Ok(Self { version, endpoints: ordered, router })
    }

    /// Version of the document that the list is from.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The endpoint of this template.
    #[must_use]
    pub fn by_template(&self, template: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.template == template)
    }

    /// The endpoint that a request target is an instance of.
    ///
    /// # Errors
    ///
    /// [`NotListed`].
    pub fn find<'t>(&self, target: &'t str) -> Result<Found<'t>, NotListed> {
        let path = regulated_path(path_of(target)).ok_or(NotListed::Unregulated)?;
        if path.len() > MAX_PATH_BYTES {
            return Err(NotListed::TooLong);
        }
        let (route, _operation) =
            self.router.route("GET", path).map_err(|unrouted| match unrouted {
                Unrouted::VersionUnknown => NotListed::OtherVersion,
                Unrouted::PathTooLong => NotListed::TooLong,
                Unrouted::MethodUnknown | Unrouted::PathUnknown => NotListed::Unlisted,
            })?;
        let endpoint =
            self.endpoints.get(route.operation.index()).cloned().ok_or(NotListed::Unlisted)?;
        let consent = route
            .parameters
            .iter()
            .find(|(name, _)| *name == CONSENT_PARAMETER)
            .and_then(|(_, value): &(&str, Cow<'_, str>)| ConsentId::parse(value));
        Ok(Found { endpoint, path, consent })
    }
}

impl Endpoint {
    fn new(template: String, group: Group) -> Option<Self> {
        let mut segments = template.strip_prefix(PREFIX)?.split('/');
        let interface = segments.next()?.to_owned();
        let version = segments.next()?.strip_prefix('v')?.parse().ok()?;
        segments.next().filter(|segment| !segment.is_empty())?;
        Some(Self { template, group, interface, version })
    }

    /// The template after the version, with its slash: `/consents/{consentId}`.
    #[must_use]
    pub fn operation_path(&self) -> &str {
        // Prefix, interface and version are segments 1 to 3 of every template.
        self.template
            .match_indices('/')
            .nth(3)
            .and_then(|(at, _)| self.template.get(at..))
            .unwrap_or_default()
    }
}

impl Group {
    /// Whether it is of open data.
    #[must_use]
    pub const fn is_open_data(self) -> bool {
        matches!(self, Self::Phase1)
    }
}

impl NotListed {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 4] =
        [Self::Unlisted, Self::OtherVersion, Self::TooLong, Self::Unregulated];

    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlisted => "endpoint_unlisted",
            Self::OtherVersion => "endpoint_other_version",
            Self::TooLong => "path_too_long",
            Self::Unregulated => "unregulated",
        }
    }
}

/// The part of a path from `/open-insurance/` on: a participant may serve it below a prefix of its
/// own, which is no part of what is reported.
#[must_use]
pub fn regulated_path(path: &str) -> Option<&str> {
    if path.starts_with(PREFIX) {
        return Some(path);
    }
    memmem::find(path.as_bytes(), PREFIX.as_bytes()).and_then(|at| path.get(at..))
}

/// Below it is what the ecosystem regulates.
pub const PREFIX: &str = "/open-insurance/";

/// Name of the parameter that is a consent's identifier.
const CONSENT_PARAMETER: &str = "consentId";

/// A consent's identifier has at most 256 characters, three times as many bytes when every one is
/// percent-encoded; the longest template has 150. Calls are held in memory with their path.
pub const MAX_PATH_BYTES: usize = 2048;

/// The list has 328.
pub const MAX_ENDPOINTS: usize = 4096;

/// The list has 29 kB.
pub const MAX_FILE_BYTES: usize = 1 << 20;

const PUBLISHED: &str = include_str!("../../../../../rules/opin/pcm/endpoints.json");

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> PcmEndpoints {
        PcmEndpoints::parse(include_str!("../../../../../rules/opin/pcm/endpoints.json")).unwrap()
    }

    #[test]
    fn paths_find_their_template() {
        let endpoints = endpoints();
        for (target, template, path, consent) in [
            (
                "/open-insurance/consents/v3/consents/urn%3Ax%3A1%2F2?x=1",
                "/open-insurance/consents/v3/consents/{consentId}",
                "/open-insurance/consents/v3/consents/urn%3Ax%3A1%2F2",
                Some("urn:x:1/2"),
            ),
            (
                "/brand/open-insurance/quote-auto/v1/request/urn:x:a/b/quote-status",
                "/open-insurance/quote-auto/v1/request/{consentId}/quote-status",
                "/open-insurance/quote-auto/v1/request/urn:x:a/b/quote-status",
                Some("urn:x:a/b"),
            ),
            (
                "https://host/open-insurance/insurance-life-pension/v1/insurance-life-pension/7/claim",
                "/open-insurance/insurance-life-pension/v1/insurance-life-pension/{certificateId}/claim",
                "/open-insurance/insurance-life-pension/v1/insurance-life-pension/7/claim",
                None,
            ),
            (
                "/open-insurance/webhook/v1/quote/v1/request/urn:x:1/quote-status",
                "/open-insurance/webhook/v1/quote/{versionApi}/request/{consentId}/quote-status",
                "/open-insurance/webhook/v1/quote/v1/request/urn:x:1/quote-status",
                Some("urn:x:1"),
            ),
        ] {
            let found = endpoints.find(target).unwrap();
            assert_eq!(found.endpoint.template, template);
            assert_eq!(found.path, path);
            assert_eq!(found.consent.as_ref().map(ConsentId::as_str), consent);
        }
    }

    const CONSENT: &str = "/open-insurance/consents/v3/consents/urn:a:";

    #[test]
    fn what_is_not_in_the_list_says_why() {
        let endpoints = endpoints();
        for (target, expected) in [
            ("/open-insurance/admin/v1/metrics", NotListed::Unlisted),
            ("/open-insurance/discovery/v1/status", NotListed::Unlisted),
            ("/open-insurance/dynamic-fields/v1/damage-and-person", NotListed::Unlisted),
            ("/open-insurance/consents/v1/consents", NotListed::OtherVersion),
            (&format!("{CONSENT}{}", "x".repeat(MAX_PATH_BYTES)), NotListed::TooLong),
            ("/token", NotListed::Unregulated),
        ] {
            assert_eq!(endpoints.find(target), Err(expected), "{target}");
        }
    }

    #[test]
    fn every_template_is_found_by_an_instance_of_itself() {
        let endpoints = endpoints();
        for endpoint in endpoints.endpoints() {
            let path = endpoint.template.replace('{', "x").replace('}', "y");
            assert_eq!(endpoints.find(&path).unwrap().endpoint, *endpoint);
            assert!(endpoint.template.ends_with(endpoint.operation_path()));
            assert!(!endpoint.operation_path().contains("/v1/insurance"));
        }
        assert_eq!(endpoints.endpoints().len(), 328);
    }

    #[test]
    fn a_bad_file_is_refused() {
        let file = |templates: &[&str]| EndpointFile {
            document: "d".into(),
            version: "1".into(),
            groups: vec![EndpointGroup {
                group: Group::Phase2,
                templates: templates.iter().map(|template| (*template).to_owned()).collect(),
            }],
        };
        let parse = |templates: &[&str]| PcmEndpoints::from_file(file(templates));
        assert!(parse(&["/open-insurance/a/v1/b", "/open-insurance/a/v1/{c}"]).is_ok());
        assert!(matches!(parse(&["/open-insurance/a/b"]), Err(EndpointError::Template(0))));
        for pair in [
            ["/open-insurance/a/v1/{b}", "/open-insurance/a/v1/{c}"],
            ["/open-insurance/a/v1/b", "/open-insurance/a/v1/b"],
        ] {
            assert!(matches!(parse(&pair), Err(EndpointError::Duplicate(1))), "{pair:?}");
        }
    }
}
