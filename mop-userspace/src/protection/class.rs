//! Classes of calls, in the order in which they are left out.

use std::sync::LazyLock;

use mop_contract::route::path_of;
use mop_insight::data::endpoint::{PcmEndpoints, regulated_path};
use mop_wire::Exchange;

/// How much a call matters to the participant's duties, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Of no regulated interface, and none of an authorisation server.
    Other,
    /// Of an interface of open data, which concerns no customer.
    OpenData,
    /// Of any other regulated interface, or of an authorisation server. Never left out alone.
    Regulated,
}

impl Class {
    /// The class of an exchange, by its path. What has no path that is known is the first to go.
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let target = exchange.request.as_ref().map(|request| request.target.as_str());
        target.map_or(Self::Other, |target| Self::of_path(path_of(target)))
    }

    fn of_path(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        if let Some(path) = regulated_path(path) {
            let is_open = |endpoints: &PcmEndpoints| {
                endpoints.find(path).is_ok_and(|found| found.endpoint.group.is_open_data())
            };
            return match ENDPOINTS.as_ref().is_some_and(is_open) {
                true => Self::OpenData,
                false => Self::Regulated,
            };
        }
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if AUTHORISATION.contains(&last) { Self::Regulated } else { Self::Other }
    }
}

/// The published list; the program has it inside, and a test reads it.
static ENDPOINTS: LazyLock<Option<PcmEndpoints>> = LazyLock::new(|| PcmEndpoints::published().ok());

/// Usual last segments of the endpoints of authorisation servers (RFC 8414, 9126, 7662, 7009, 7591).
const AUTHORISATION: [&str; 9] = [
    "authorize",
    "introspect",
    "jwks",
    "openid-configuration",
    "par",
    "register",
    "revoke",
    "token",
    "userinfo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_path() {
        for (path, class) in [
            ("/open-insurance/consents/v2/consents", Class::Regulated),
            ("/open-insurance/consents/v9/not-yet-known", Class::Regulated),
            ("/open-insurance/channels/v1/branches", Class::OpenData),
            ("/below/open-insurance/channels/v1/branches?page=2", Class::OpenData),
            ("/auth/token", Class::Regulated),
            ("/as/par/", Class::Regulated),
            ("/tokens", Class::Other),
            ("/", Class::Other),
            ("", Class::Other),
        ] {
            assert_eq!(Class::of_path(path), class, "{path}");
        }
        assert!(Class::Other < Class::OpenData && Class::OpenData < Class::Regulated);
    }
}
