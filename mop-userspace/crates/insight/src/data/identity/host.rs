//! Names of hosts, as calls and configuration write them.

/// The host of an authority (`host`, `host:port`, `[address]:port`), in small letters; `None` when
/// it is no name or address.
#[must_use]
pub fn of_authority(authority: &str) -> Option<String> {
    let authority = authority.trim();
    // A user before the host has no place in a call.
    if authority.contains('@') {
        return None;
    }
    let host = if let Some(rest) = authority.strip_prefix('[') {
        rest.split_once(']').map(|(host, _)| host)?
    } else {
        authority.split(':').next().unwrap_or_default()
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_host = (1..=MAX_HOST_BYTES).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    is_host.then(|| host.to_ascii_lowercase())
}

/// Host and path of an `https` or `http` address; the path is without query.
#[must_use]
pub fn of_url(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    Some((of_authority(authority)?, path))
}

/// RFC 1035, section 2.3.4.
pub const MAX_HOST_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_without_port_and_in_small_letters() {
        for (authority, host) in [
            ("API.Seguradora.example:8443", Some("api.seguradora.example")),
            ("api.seguradora.example.", Some("api.seguradora.example")),
            ("[fd00::1]:443", Some("fd00::1")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("user@host", None),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(of_authority(authority).as_deref(), host, "{authority}");
        }
        assert_eq!(of_url("https://A.example:1/b/c?d"), Some(("a.example".into(), "/b/c")));
        assert_eq!(of_url("https://a.example"), Some(("a.example".into(), "/")));
        assert_eq!(of_url("ftp://a.example"), None);
    }
}
