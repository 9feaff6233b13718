//! From the text of an indicator to its typed value: refanged, checked, and in the one form in which
//! it is compared.
//!
//! A feed may hold anything. What would match too much (`0.0.0.0/0`, the path `/`, a top-level
//! domain) is no indicator.

use std::{borrow::Cow, net::IpAddr};

use super::indicator::{JA4_BYTES, Network, Value};

/// What a text is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Address or network.
    Address,
    /// Name, and those below it.
    Domain,
    /// One name.
    Hostname,
    /// MD5 in hexadecimal digits.
    Ja3,
    /// `a_b_c`.
    Ja4,
    /// Path and query.
    Path,
    /// URL, with or without scheme.
    Url,
    /// User agent.
    UserAgent,
    /// Fingerprint in hexadecimal digits.
    X509Sha1,
    /// Fingerprint in hexadecimal digits.
    X509Sha256,
}

impl Value {
    /// Reads a text of a form; none where it is not of the form, or too general to be looked for.
    #[must_use]
    pub fn parse(form: Form, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_VALUE_BYTES || text.chars().any(char::is_control) {
            return None;
        }
        match form {
            Form::Address => network(&refang(text)).map(Self::Network),
            Form::Domain => domain(refang(text).trim_start_matches("*.")).map(Self::Domain),
            Form::Hostname => domain(&refang(text)).map(Self::Hostname),
            Form::Ja3 => hexadecimal(text).map(Self::Ja3),
            Form::Ja4 => ja4(text).map(Self::Ja4),
            Form::Path => path(&refang(text)).map(Self::Path),
            Form::Url => url(&refang(text)).map(|it| Self::Url(it.into())),
            Form::UserAgent => (text.len() >= MIN_USER_AGENT_BYTES)
                .then(|| Self::UserAgent(text.to_ascii_lowercase().into())),
            Form::X509Sha1 => hexadecimal(text).map(Self::X509Sha1),
            Form::X509Sha256 => hexadecimal(text).map(Self::X509Sha256),
        }
    }

    /// Reads a text that says nothing of its form. Hexadecimal digits are not read: a hash of a
    /// file looks the same.
    #[must_use]
    pub fn infer(text: &str) -> Option<Self> {
        let plain = refang(text.trim());
        let form = if plain.contains("://") {
            Form::Url
        } else if plain.starts_with('/') {
            Form::Path
        } else if ja4(&plain).is_some() {
            Form::Ja4
        } else {
            let is_address = Self::parse(Form::Address, &plain);
            return is_address
                .or_else(|| Self::parse(Form::Domain, &plain))
                .or_else(|| plain.contains('/').then(|| Self::parse(Form::Url, &plain))?);
        };
        Self::parse(form, &plain)
    }
}

/// Undoes what keeps people from clicking: `hxxp://a[.]b` is `http://a.b`.
#[must_use]
pub fn refang(text: &str) -> Cow<'_, str> {
    let head = text.get(..4).unwrap_or_default();
    let is_scheme = head.eq_ignore_ascii_case("hxxp");
    if !is_scheme && !text.contains(['[', '(', '{', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    if is_scheme {
        plain.push_str("http");
        rest = rest.get(4..).unwrap_or_default();
    }
    while let Some(next) = rest.chars().next() {
        let found = DEFANGED.iter().find_map(|(from, to)| {
            let is_it = rest.get(..from.len())?.eq_ignore_ascii_case(from);
            is_it.then_some((from.len(), *to))
        });
        if let Some((length, to)) = found {
            plain.push_str(to);
            rest = rest.get(length..).unwrap_or_default();
        } else {
            plain.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    Cow::Owned(plain)
}

/// A URL in the form in which it is compared: no scheme, user or fragment, host in lower case, no
/// usual port, at least `/` as path.
#[must_use]
pub fn url(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if is_web(scheme) => rest,
        // In a query it may stand; otherwise it is another protocol.
        Some((before, _)) if before.contains(['/', '?']) => text,
        Some(_) => return None,
        None => text,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let authority = self::authority(authority)?;
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    Some(format!("{authority}{slash}{target}"))
}

/// Host in lower case, and its port unless it is 80 or 443.
fn authority(text: &str) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let host = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(literal) => format!("[{}]", literal.parse::<std::net::Ipv6Addr>().ok()?),
        None if host.parse::<std::net::Ipv4Addr>().is_ok() => host.to_owned(),
        None => domain(host)?.into_string(),
    };
    let port = port.filter(|it| !it.is_empty()).map(|it| it.parse::<u16>().ok());
    match port {
        None | Some(Some(80 | 443)) => Some(host),
        Some(port) => Some(format!("{host}:{}", port?)),
    }
}

/// A name in lower case without a dot at the end, of at least two labels.
pub(super) fn domain(text: &str) -> Option<Box<str>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
    };
    let last = text.rsplit('.').next()?;
    let is_name = text.len() <= MAX_DOMAIN_BYTES
        && text.contains('.')
        && text.split('.').all(is_label)
        // Otherwise it would be an address that is not one.
        && !last.bytes().all(|it| it.is_ascii_digit());
    is_name.then(|| text.to_ascii_lowercase().into())
}

/// An address or a network that is not too wide.
fn network(text: &str) -> Option<Network> {
    let network = any_network(text)?;
    let least = if network.first().is_ipv4() { MIN_PREFIX_V4 } else { MIN_PREFIX_V6 };
    (network.prefix() >= least).then_some(network)
}

/// An address or a network of any size.
pub(super) fn any_network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address = address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(whole), |it| it.parse().ok())?;
    Network::new(address, prefix)
}

fn path(text: &str) -> Option<Box<str>> {
    let text = text.split('#').next()?;
    (text.starts_with('/') && text.len() >= MIN_PATH_BYTES).then(|| text.into())
}

fn ja4(text: &str) -> Option<[u8; JA4_BYTES]> {
    let bytes: [u8; JA4_BYTES] = text.to_ascii_lowercase().as_bytes().try_into().ok()?;
    let is_form = bytes.iter().enumerate().all(|(at, byte)| match at {
        0 => matches!(byte, b'd' | b'q' | b't'),
        3 => matches!(byte, b'd' | b'i'),
        4..=7 => byte.is_ascii_digit(),
        10 | 23 => *byte == b'_',
        11..=22 | 24..=35 => byte.is_ascii_hexdigit(),
        _ => byte.is_ascii_alphanumeric(),
    });
    is_form.then_some(bytes)
}

/// Exactly as many hexadecimal digits as the fingerprint has; colons between bytes may stand.
pub(super) fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > 3 * N {
        return None;
    }
    let mut digits = text.bytes().filter(|it| *it != b':').map(|it| char::from(it).to_digit(16));
    let mut bytes = [0; N];
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

fn is_web(scheme: &str) -> bool {
    ["http", "https"].iter().any(|it| scheme.eq_ignore_ascii_case(it))
}

/// Longer ones are no URL that a server takes; the longest published ones have about 2 000.
pub const MAX_VALUE_BYTES: usize = 8192;
/// RFC 1035, section 2.3.4.
const MAX_DOMAIN_BYTES: usize = 253;
/// The largest networks that one holder was ever given; wider ones are mistakes of a feed.
const MIN_PREFIX_V4: u8 = 8;
/// As for IPv4.
const MIN_PREFIX_V6: u8 = 16;
/// `/` is the path of most first requests.
const MIN_PATH_BYTES: usize = 3;
/// Shorter words are in many user agents.
const MIN_USER_AGENT_BYTES: usize = 4;
/// What stands for what. Longer ones first, where one begins with the other.
const DEFANGED: [(&str, &str); 9] = [
    ("[://]", "://"),
    ("[dot]", "."),
    ("(dot)", "."),
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[:]", ":"),
    ("[/]", "/"),
    ("\\.", "."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defanged_texts_are_refanged() {
        for (from, to) in [
            ("hxxps://Bad[.]example[.]com/a", "https://Bad.example.com/a"),
            ("HXXP[://]a(dot)b", "http://a.b"),
            ("10[.]0(.)0{.}1", "10.0.0.1"),
            ("http://[::1]/", "http://[::1]/"),
            ("é[.]b\\.c", "é.b.c"),
            ("plain.example", "plain.example"),
        ] {
            assert_eq!(refang(from), to);
        }
    }

    #[test]
    fn urls_are_compared_without_what_does_not_matter() {
        for (text, form) in [
            ("https://user@Bad.Example:443/A?b#c", "bad.example/A?b"),
            ("http://bad.example:8080", "bad.example:8080/"),
            ("bad.example/x", "bad.example/x"),
            ("http://[2001:DB8::1]:80?q=http://x", "[2001:db8::1]/?q=http://x"),
            ("http://198.51.100.7/x", "198.51.100.7/x"),
        ] {
            assert_eq!(url(text).as_deref(), Some(form), "{text}");
        }
        for wrong in ["ftp://a.b/", "http://", "http://localhost/", "http://a.b:99999/", "x y"] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_would_match_too_much_is_no_indicator() {
        for (form, text) in [
            (Form::Address, "0.0.0.0/0"),
            (Form::Address, "10.0.0.0/33"),
            (Form::Address, "::/0"),
            (Form::Domain, "com"),
            (Form::Domain, "1.2.3.4"),
            (Form::Domain, "a..b"),
            (Form::Path, "/"),
            (Form::Path, "a/b"),
            (Form::UserAgent, "Go"),
            (Form::Ja3, "00"),
            (Form::Ja4, "t13d1516h2_8daaf6152771_02713d6af86"),
            (Form::X509Sha256, "aa:bb"),
        ] {
            assert_eq!(Value::parse(form, text), None, "{text}");
        }
    }

    #[test]
    fn forms_are_inferred() {
        use super::super::indicator::Kind;
        for (text, kind) in [
            ("198[.]51.100.7", Some(Kind::Address)),
            ("198.51.100.0/24", Some(Kind::Network)),
            ("::ffff:198.51.100.7", Some(Kind::Address)),
            ("*.Bad.example.", Some(Kind::Domain)),
            ("hxxp://bad[.]example/x", Some(Kind::Url)),
            ("bad.example/x", Some(Kind::Url)),
            ("/wp-login.php", Some(Kind::Path)),
            ("t13d1516h2_8daaf6152771_02713d6af862", Some(Kind::Ja4)),
            ("d41d8cd98f00b204e9800998ecf8427e", None),
            ("two words", None),
        ] {
            assert_eq!(Value::infer(text).map(|it| it.kind()), kind, "{text}");
        }
        let fingerprint = "AB:".repeat(19) + "ab";
        let read = Value::parse(Form::X509Sha1, &fingerprint);
        assert_eq!(read, Some(Value::X509Sha1([0xab; 20])));
    }
}
