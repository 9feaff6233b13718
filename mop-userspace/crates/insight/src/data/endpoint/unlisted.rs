//! Operations that the ecosystem regulates and the metrics platform does not list: their paths have no
//! parameter, so that each can be told by its own text.

/// The path of such an operation; none when it is none of them, so that nothing that a caller made up
/// is kept.
#[must_use]
pub fn unlisted_path(path: &str) -> Option<&'static str> {
    UNLISTED.into_iter().find(|known| *known == path.trim_end_matches('/'))
}

/// Published documents: `admin_metrics` 1.3.0, `discovery` 1.3.0, `dynamic-fields` 1.5.0.
const UNLISTED: [&str; 7] = [
    "/open-insurance/admin/v1/metrics",
    "/open-insurance/discovery/v1/status",
    "/open-insurance/discovery/v1/outages",
    "/open-insurance/dynamic-fields/v1/damage-and-person",
    "/open-insurance/dynamic-fields/v1/capitalization-title",
    "/open-insurance/dynamic-fields/v1/callback/damage-and-person",
    "/open-insurance/dynamic-fields/v1/callback/capitalization-title",
];
