//! By what a call is known: its interaction, and the host that it calls.

use mop_wire::{Exchange, Headers};

use crate::data::identity::host;

/// Identifier of the interaction, under the first of these names that has one: of the request, or
/// the one that the server gave it.
pub(crate) fn interaction_id<'a>(
    exchange: &'a Exchange,
    names: &[&'static str],
) -> Option<&'a str> {
    let read = |headers: &'a Headers| {
        names.iter().find_map(|name| {
            let id = std::str::from_utf8(headers.first(name)?).ok()?.trim();
            is_interaction(id).then_some(id)
        })
    };
    let sent = exchange.request.as_ref().and_then(|request| read(&request.headers));
    sent.or_else(|| exchange.response.as_ref().and_then(|it| read(&it.headers)))
}

/// Host of a target in absolute form, which goes before the field (RFC 9112, section 3.2.2).
pub(crate) fn host_of(target: &str, headers: &Headers) -> Option<String> {
    if !target.starts_with('/')
        && let Some((host, _path)) = host::of_url(target)
    {
        return Some(host);
    }
    host::of_authority(std::str::from_utf8(headers.first("host")?).ok()?)
}

/// `^[a-zA-Z0-9][a-zA-Z0-9-]{0,99}$`, by all interfaces and by the metrics platform.
fn is_interaction(id: &str) -> bool {
    (1..=100).contains(&id.len())
        && !id.starts_with('-')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Where calls name their interaction.
pub(crate) const INTERACTION: &str = "x-fapi-interaction-id";

/// Calls of webhooks have one of their own instead.
pub(crate) const WEBHOOK_INTERACTION: &str = "x-webhook-interaction-id";
