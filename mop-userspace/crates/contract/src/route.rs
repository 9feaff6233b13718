//! From a request target to the operation it means.
//!
//! A tree of path segments over all documents. Literal segments win over parameters, whatever the
//! order of the documents; a parameter stands for one segment, percent-decoded after the path was
//! split (RFC 3986, section 2.4), so that `%2F` stays inside it. One exception: a consent id is a
//! URN, which may hold a `/` of its own; a parameter whose segment begins with `urn:` may take the
//! segments after it, if nothing else fits, and the shortest such reading wins.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use crate::operation::OperationId;

/// Finds operations by method and path.
#[derive(Debug, Default)]
pub struct Router {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    /// Names may differ from document to document, so they are kept with the operation.
    parameter: Option<usize>,
    /// By method, in capitals.
    methods: BTreeMap<Box<str>, Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    operation: OperationId,
    /// Names of the parameters, in the order of the path.
    parameters: Box<[Box<str>]>,
}

/// An operation and what stood in the places of its parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'r, 't> {
    /// The operation.
    pub operation: OperationId,
    /// Parameters and their values, percent-decoded. The values are received text.
    pub parameters: Vec<(&'r str, Cow<'t, str>)>,
}

/// Why no operation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unrouted {
    /// The path is known, but not with this method.
    MethodUnknown,
    /// No contract has this path, but one has it below another version.
    VersionUnknown,
    /// No contract has this path.
    PathUnknown,
    /// Longer than [`MAX_PATH_BYTES`], or of more than [`MAX_SEGMENTS`] segments.
    PathTooLong,
}

impl Unrouted {
    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MethodUnknown => "method_unknown",
            Self::VersionUnknown => "version_unknown",
            Self::PathUnknown => "path_unknown",
            Self::PathTooLong => "path_too_long",
        }
    }
}

impl Router {
    /// Adds an operation. The first of equal paths and methods stays; whether it was added.
    pub fn insert(&mut self, method: &str, template: &str, operation: OperationId) -> bool {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        let mut parameters = Vec::new();
        for segment in segments(template) {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let known = match (name, self.nodes.get(at)) {
                (Some(_), Some(node)) => node.parameter,
                (None, Some(node)) => node.literals.get(segment).copied(),
                (_, None) => return false,
            };
            let next = known.unwrap_or(self.nodes.len());
            if known.is_none() {
                self.nodes.push(Node::default());
            }
            let Some(node) = self.nodes.get_mut(at) else { return false };
            if let Some(name) = name {
                parameters.push(name.into());
                node.parameter = Some(next);
            } else {
                node.literals.insert(segment.into(), next);
            }
            at = next;
        }
        let Some(node) = self.nodes.get_mut(at) else { return false };
        if node.methods.contains_key(method) {
            return false;
        }
        node.methods.insert(method.into(), Endpoint { operation, parameters: parameters.into() });
        true
    }

    /// The operation that a method and the path of a target mean.
    pub fn find<'r, 't>(
        &'r self,
        method: &str,
        target: &'t str,
    ) -> Result<Route<'r, 't>, Unrouted> {
        let path = path_of(target);
        if path.len() > MAX_PATH_BYTES {
            return Err(Unrouted::PathTooLong);
        }
        if segments(path).nth(MAX_SEGMENTS).is_some() {
            return Err(Unrouted::PathTooLong);
        }
        if !self.may_begin(path) {
            return Err(Unrouted::PathUnknown);
        }
        let parts: Vec<&'t str> = segments(path).collect();
        let mut search =
            Search { router: self, method, parts: &parts, path_known: false, steps: 0 };
        let mut values = Vec::new();
        let found = search.walk(0, 0, &mut values);
        let path_known = search.path_known;
        let Some(endpoint) = found else {
            return Err(if path_known {
                Unrouted::MethodUnknown
            } else if self.has_other_version(method, &parts) {
                Unrouted::VersionUnknown
            } else {
                Unrouted::PathUnknown
            });
        };
        let parameters = endpoint
            .parameters
            .iter()
            .zip(values)
            .map(|(name, (from, to))| (&**name, value(&parts, from, to)))
            .collect();
        Ok(Route { operation: endpoint.operation, parameters })
    }

    /// Whether any template, of whatever version, begins as a path does: most calls of a node may be to
    /// others.
    fn may_begin(&self, path: &str) -> bool {
        let Some((first, root)) = segments(path).next().zip(self.nodes.first()) else {
            return false;
        };
        let is_literal = || decode(first).is_some_and(|it| root.literals.contains_key(&*it));
        root.parameter.is_some() || is_version(first) || is_literal()
    }

    /// Whether the path would be found if its version segment were another.
    fn has_other_version(&self, method: &str, parts: &[&str]) -> bool {
        let Some(place) = parts.iter().position(|part| is_version(part)) else { return false };
        let mut node = Some(0);
        for part in parts.iter().take(place) {
            node = node
                .and_then(|at| self.nodes.get(at))
                .and_then(|node| node.literals.get(*part).copied());
        }
        let Some(node) = node.and_then(|at| self.nodes.get(at)) else { return false };
        node.literals.iter().filter(|(literal, _)| is_version(literal)).any(|(_, next)| {
            let mut search = Search { router: self, method, parts, path_known: false, steps: 0 };
            search.walk(*next, place + 1, &mut Vec::new()).is_some() || search.path_known
        })
    }
}

/// One walk through the tree.
struct Search<'r, 'p, 't> {
    router: &'r Router,
    method: &'p str,
    parts: &'p [&'t str],
    /// Whether the path exists with another method.
    path_known: bool,
    steps: u32,
}

impl<'r> Search<'r, '_, '_> {
    /// Tries every reading of the segments from `at` on below a node, best first. `values` holds
    /// the segments that parameters took.
    fn walk(
        &mut self,
        node: usize,
        at: usize,
        values: &mut Vec<(usize, usize)>,
    ) -> Option<&'r Endpoint> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return None;
        }
        let node = self.router.nodes.get(node)?;
        let Some(part) = self.parts.get(at) else {
            let endpoint = node.methods.get(self.method);
            self.path_known |= endpoint.is_none() && !node.methods.is_empty();
            return endpoint;
        };
        let literal = match decode(part) {
            Some(decoded) => node.literals.get(&*decoded).copied(),
            None => None,
        };
        if let Some(found) = literal.and_then(|next| self.walk(next, at + 1, values)) {
            return Some(found);
        }
        let next = node.parameter.filter(|_| !part.is_empty())?;
        let last = if is_urn(part) { self.parts.len() } else { at + 1 };
        for end in at + 1..=last {
            values.push((at, end));
            if let Some(found) = self.walk(next, end, values) {
                return Some(found);
            }
            values.pop();
        }
        None
    }
}

/// Path of a request target in origin or absolute form (RFC 9112, section 3.2), without its query.
#[must_use]
pub fn path_of(target: &str) -> &str {
    let end = target.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    let without_query = end.and_then(|end| target.get(..end)).unwrap_or(target);
    if without_query.starts_with('/') {
        return without_query;
    }
    match without_query.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => without_query,
    }
}

/// Query of a request target, without its `?`.
#[must_use]
pub fn query_of(target: &str) -> Option<&str> {
    let target = target.split('#').next().unwrap_or_default();
    target.split_once('?').map(|(_, query)| query)
}

/// Removes percent-encoding; `None` when the result is not UTF-8. A `%` that begins no encoding
/// stands for itself.
#[must_use]
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = if *byte == b'%' { text.get(at + 1..at + 3) } else { None };
        let encoded = pair
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        decoded.push(encoded.unwrap_or(*byte));
        at += if encoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Segments of a path; a slash at its end is one empty segment, and no template has one.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// Text of the segments that a parameter took.
fn value<'t>(parts: &[&'t str], from: usize, to: usize) -> Cow<'t, str> {
    let taken = parts.get(from..to).unwrap_or_default();
    match taken {
        [one] => decode(one).unwrap_or(Cow::Borrowed(one)),
        several => {
            let joined = several.join("/");
            let decoded = decode(&joined).map(Cow::into_owned);
            Cow::Owned(decoded.unwrap_or(joined))
        }
    }
}

fn is_urn(part: &str) -> bool {
    part.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        || part.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("urn%3a"))
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// No server accepts longer targets by default.
pub const MAX_PATH_BYTES: usize = 8 << 10;

/// The longest template has nine; a URN may add some.
pub const MAX_SEGMENTS: usize = 64;

/// A path of many `urn:` segments has many readings; templates have at most two parameters before
/// a literal, so real paths need a few dozen steps.
const MAX_STEPS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn router(templates: &[(&str, &str)]) -> Router {
        let mut router = Router::default();
        for (number, (method, template)) in (0..).zip(templates) {
            assert!(router.insert(method, template, OperationId(number)));
        }
        router
    }

    fn found(
        router: &Router,
        method: &str,
        target: &str,
    ) -> Result<(usize, Vec<String>), Unrouted> {
        router.find(method, target).map(|route| {
            let values = route.parameters.into_iter();
            (
                route.operation.index(),
                values.map(|(name, value)| format!("{name}={value}")).collect(),
            )
        })
    }

    const TEMPLATES: &[(&str, &str)] = &[
        ("POST", "/open-insurance/consents/v3/consents"),
        ("GET", "/open-insurance/consents/v3/consents/{consentId}"),
        ("GET", "/open-insurance/quote-auto/v1/request/{consentId}/quote-status"),
        ("PATCH", "/open-insurance/quote-auto/v1/request/{consentId}"),
        ("GET", "/open-insurance/insurance-auto/v1/insurance-auto/{policyId}/claim"),
        ("GET", "/open-insurance/products-services/v2/home-insurance/area/{area}"),
        ("GET", "/open-insurance/products-services/v2/home-insurance/{a}/{b}"),
    ];

    #[test]
    fn paths_lead_to_operations() {
        let router = router(TEMPLATES);
        for (method, target, operation, values) in [
            ("POST", "/open-insurance/consents/v3/consents?x=1", 0, &[][..]),
            ("POST", "https://host/open-insurance/consents/v3/consents", 0, &[]),
            ("GET", "/open-insurance/consents/v3/consents/urn:x:1", 1, &["consentId=urn:x:1"]),
            (
                "GET",
                "/open-insurance/consents/v3/consents/urn%3Ax%3A1%2F2",
                1,
                &["consentId=urn:x:1/2"],
            ),
            (
                "GET",
                "/open-insurance/consents/v3/consents/urn:x:1/2/3",
                1,
                &["consentId=urn:x:1/2/3"],
            ),
            (
                "GET",
                "/open-insurance/quote-auto/v1/request/urn:x:1/a/quote-status",
                2,
                &["consentId=urn:x:1/a"],
            ),
            (
                "PATCH",
                "/open-insurance/quote-auto/v1/request/urn:x:a/b",
                3,
                &["consentId=urn:x:a/b"],
            ),
            (
                "GET",
                "/open-insurance/insurance-auto/v1/insurance-auto/7-1/claim",
                4,
                &["policyId=7-1"],
            ),
            ("GET", "/open-insurance/products-services/v2/home-insurance/area/s", 5, &["area=s"]),
            ("GET", "/open-insurance/products-services/v2/home-insurance/x/s", 6, &["a=x", "b=s"]),
        ] {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(found(&router, method, target), Ok((operation, values)), "{target}");
        }
    }

    #[test]
    fn what_is_not_found_says_why() {
        let router = router(TEMPLATES);
        for (method, target, expected) in [
            ("PUT", "/open-insurance/consents/v3/consents", Unrouted::MethodUnknown),
            ("POST", "/open-insurance/consents/v9/consents", Unrouted::VersionUnknown),
            ("GET", "/open-insurance/consents/v2/consents/urn:a:b", Unrouted::VersionUnknown),
            ("POST", "/open-insurance/consents/v3/consents/", Unrouted::PathUnknown),
            ("POST", "/open-insurance/consents/v3/consent", Unrouted::PathUnknown),
            ("GET", "/open-insurance/consents/v3/consents/a/b", Unrouted::PathUnknown),
            ("GET", "", Unrouted::PathUnknown),
            ("GET", &"/a".repeat(MAX_SEGMENTS + 1), Unrouted::PathTooLong),
            ("GET", &"a".repeat(MAX_PATH_BYTES + 1), Unrouted::PathTooLong),
        ] {
            assert_eq!(found(&router, method, target), Err(expected), "{target:.80}");
        }
    }

    #[test]
    fn many_readings_of_a_path_end_soon() {
        let template = format!("/a{}", "/{p}".repeat(30)) + "/end";
        let router = router(&[("GET", &template)]);
        let target = format!("/a{}", "/urn:x".repeat(60));
        assert_eq!(found(&router, "GET", &target), Err(Unrouted::PathUnknown));
    }

    #[test]
    fn the_first_of_equal_operations_stays() {
        let mut router = router(&[("GET", "/a/{x}")]);
        assert!(!router.insert("GET", "/a/{y}", OperationId(9)));
        assert_eq!(found(&router, "GET", "/a/1"), Ok((0, vec!["x=1".to_owned()])));
    }

    #[test]
    fn percent_signs_that_encode_nothing_stand_for_themselves() {
        for (text, expected) in
            [("a%20b", Some("a b")), ("100%", Some("100%")), ("%zz", Some("%zz")), ("%ff", None)]
        {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
