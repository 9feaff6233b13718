//! HTTP as the sinks use it: one client, and what its answers and failures mean.
//!
//! Redirects are not followed, since a signed or secret request belongs to the address that was
//! configured and to no other; proxies are used when they are configured and never because of the
//! environment; of an answer no more than [`MAX_ANSWER_BYTES`] are kept.

mod jws;
mod pace;
mod secret;
#[cfg(test)]
pub(crate) mod stub;

use std::{
    error::Error,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Proxy, RequestBuilder, Url, redirect::Policy};

pub(crate) use jws::Signer;
pub(crate) use pace::Pace;
pub(crate) use secret::{Secret, SecretFile};

use crate::{failure::Failure, sinks::Trouble};

/// How to reach the other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'a> {
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<&'a Path>,
    pub(crate) proxy: Option<&'a str>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
}

/// Sends requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    inner: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long the other side asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Its first bytes.
    pub(crate) body: Vec<u8>,
}

/// A document that was asked for.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    /// Its entity tag.
    pub(crate) etag: Option<String>,
    /// All of it; of an answer that has another status than 200, nothing.
    pub(crate) body: Vec<u8>,
}

/// An answer that goes on for as long as the other side has something to say.
#[cfg(feature = "kubernetes")]
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) status: u16,
    response: reqwest::Response,
}

/// What an answer means for what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It was taken.
    Taken,
    /// Not now; the reason.
    Later(&'static str),
    /// Who sends is not accepted.
    Unauthorised,
    /// It is not the address that takes such requests.
    Misdirected,
    /// What was sent is refused for good; the reason.
    Refused(&'static str),
}

impl Client {
    pub(crate) fn new(reach: Reach<'_>) -> Result<Self, Failure> {
        let Reach { ca_file, proxy, connect_timeout, request_timeout } = reach;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mop/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(connect_timeout)
            .timeout(request_timeout)
            .pool_max_idle_per_host(MAX_IDLE);
        if let Some(path) = ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        if let Some(url) = proxy {
            let proxy = Proxy::all(url).map_err(|error| {
                Failure::configuration(format!("the proxy is no URL: {}", error.without_url()))
            })?;
            builder = builder.proxy(proxy);
        }
        let inner = builder.build().map_err(|error| {
            Failure::configuration(format!("cannot make an HTTP client: {}", cause(&error)))
        })?;
        Ok(Self { inner })
    }

    pub(crate) fn get(&self, url: &str) -> RequestBuilder {
        self.inner.get(url)
    }

    pub(crate) fn post(&self, url: &str) -> RequestBuilder {
        self.inner.post(url)
    }

    /// Sends a request and waits for its answer, within the limits of time.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let mut response = request.send().await.map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| retry_after(value.to_str().ok()?, jiff::Timestamp::now()));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = MAX_ANSWER_BYTES.saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        break;
                    }
                }
                Ok(None) => break,
                // The status is there, and it is what counts.
                Err(_) if status != 200 => break,
                Err(error) => return Err(trouble(&error)),
            }
        }
        Ok(Answer { status, retry_after, body })
    }
}

impl Client {
    /// Asks for a document of at most so many bytes; a larger one is trouble.
    pub(crate) async fn fetch(
        &self,
        request: RequestBuilder,
        most: usize,
    ) -> Result<Fetched, Trouble> {
        let mut response = request.send().await.map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok());
        let etag = etag.filter(|it| it.len() <= MAX_ETAG_BYTES).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            // What comes with another status is of no use.
            if status != 200 {
                break;
            }
            if body.len().saturating_add(chunk.len()) > most {
                let detail = format!("the document has more than {most} bytes");
                return Err(Trouble::lasting("too_large", detail));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status, etag, body })
    }

    /// Asks for an answer that goes on. The limit of time is that of the request, for all of it.
    #[cfg(feature = "kubernetes")]
    pub(crate) async fn stream(&self, request: RequestBuilder) -> Result<Stream, Trouble> {
        let response = request.send().await.map_err(|error| trouble(&error))?;
        Ok(Stream { status: response.status().as_u16(), response })
    }
}

#[cfg(feature = "kubernetes")]
impl Stream {
    /// The next bytes; `None` at its end in good order. What came is not lost when nobody waits any
    /// more.
    pub(crate) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Trouble> {
        self.response.chunk().await.map_err(|error| trouble(&error))
    }
}

impl Answer {
    /// What it means for what was sent.
    pub(crate) fn meaning(&self) -> Meaning {
        match self.status {
            200..=299 => Meaning::Taken,
            401 | 403 => Meaning::Unauthorised,
            408 => Meaning::Later("timeout"),
            425 | 429 => Meaning::Later("rate_limited"),
            413 => Meaning::Refused("too_large"),
            // These are about the address, not about what was sent to it.
            300..=399 | 404 | 405 | 407 | 410 => Meaning::Misdirected,
            400..=499 => Meaning::Refused("refused_by_server"),
            _ => Meaning::Later("server_error"),
        }
    }

    /// The trouble that it tells, when it is not what was hoped for.
    pub(crate) fn as_trouble(&self, what: &str) -> Trouble {
        let status = self.status;
        match self.meaning() {
            Meaning::Later(reason) => {
                Trouble::passing(reason, format!("the answer to {what} has status {status}"))
            }
            Meaning::Unauthorised => Trouble::lasting(
                "unauthorised",
                format!("the other side does not accept who sends {what} (status {status})"),
            ),
            Meaning::Misdirected | Meaning::Refused(_) | Meaning::Taken => Trouble::lasting(
                "misdirected",
                format!("the address does not take {what} (status {status}): is the URL right?"),
            ),
        }
    }
}

/// TCP ports that requests to these URLs go to, through a proxy or not; `None` when one cannot be
/// told.
pub(crate) fn ports_of<'a>(
    urls: impl IntoIterator<Item = &'a str>,
    proxy: Option<&'a str>,
) -> Option<Vec<u16>> {
    let port = |text: &str| Url::parse(text).ok()?.port_or_known_default();
    urls.into_iter().chain(proxy).map(port).collect()
}

/// A URL that may be used: HTTPS, or HTTP to this machine.
pub(crate) fn check_url(what: &str, text: &str) -> Result<(), Failure> {
    let url = Url::parse(text)
        .map_err(|error| Failure::configuration(format!("{what} is no URL: {error}")))?;
    let is_local = url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        "http" => {
            return Err(Failure::configuration(format!(
                "{what}: plain HTTP is for addresses of this machine only; use https"
            )));
        }
        _ => return Err(Failure::configuration(format!("{what}: only https can be used"))),
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(Failure::configuration(format!(
            "{what}: a URL must not hold a user or password; put the secret into a file"
        )));
    }
    Ok(())
}

/// A file of certificates in PEM.
fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let problem = |error: &dyn std::fmt::Display| {
        Failure::configuration(format!(
            "cannot use the certificates in {}: {error}",
            path.display()
        ))
    };
    let pem = fs::read(path).map_err(|error| problem(&error))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| problem(&cause(&error)))?;
    if found.is_empty() {
        return Err(problem(&"it has none in PEM"));
    }
    Ok(found)
}

/// Why a request came to nothing, without its address.
fn trouble(error: &reqwest::Error) -> Trouble {
    let cause = cause(error);
    if error.is_timeout() {
        Trouble::passing("silent", "no answer within the limit of time")
    } else if error.is_connect() {
        Trouble::passing("unreachable", cause)
    } else if error.is_builder() {
        Trouble::lasting("misdirected", "the request cannot be made: is the URL right?")
    } else {
        Trouble::passing("lost", cause)
    }
}

/// The innermost cause of an error: the others repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() {
        return "it cannot be sent".to_owned();
    }
    cause.to_string()
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(now.duration_until(at)).unwrap_or_default()
        }
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// Reads a small file that holds one line.
pub(crate) fn read_small(path: &PathBuf) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_SMALL_BYTES {
        return Err(format!("{} is larger than 64 KiB", path.display()));
    }
    fs::read(path).map(zeroize::Zeroizing::new).map_err(unreadable)
}

/// Answers of receivers are a few words; the lists of fields some 10 KB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// A digest in hexadecimal digits has 64 to 128.
const MAX_ETAG_BYTES: usize = 256;
/// Whoever asks for more is asked again after it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);
/// Connections kept between bursts: the largest window of a sink.
const MAX_IDLE: usize = 16;
/// A key of 16,384 bits has 13 KB in PEM.
const MAX_SMALL_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_is_to_be_done() {
        let meaning = |status| Answer { status, retry_after: None, body: Vec::new() }.meaning();
        for (status, expected) in [
            (200, Meaning::Taken),
            (201, Meaning::Taken),
            (302, Meaning::Misdirected),
            (400, Meaning::Refused("refused_by_server")),
            (401, Meaning::Unauthorised),
            (403, Meaning::Unauthorised),
            (404, Meaning::Misdirected),
            (408, Meaning::Later("timeout")),
            (413, Meaning::Refused("too_large")),
            (422, Meaning::Refused("refused_by_server")),
            (429, Meaning::Later("rate_limited")),
            (500, Meaning::Later("server_error")),
            (503, Meaning::Later("server_error")),
        ] {
            assert_eq!(meaning(status), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().expect("a timestamp");
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(900)),
            ("Tue, 24 Nov 2026 12:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    #[test]
    fn only_addresses_that_keep_what_is_sent_are_used() {
        for (url, is_good) in [
            ("https://mop-server.example/process", true),
            ("http://127.0.0.1:8080/process", true),
            ("http://localhost/process", true),
            ("http://[::1]:1/", true),
            ("http://mop-server.example/process", false),
            ("http://localhost.example/", false),
            ("ftp://mop-server.example/", false),
            ("https://user:hunter2@mop-server.example/", false),
            ("process", false),
        ] {
            let checked = check_url("process_url", url);
            assert_eq!(checked.is_ok(), is_good, "{url}");
            if let Err(failure) = checked {
                assert!(!failure.to_string().contains("hunter2"), "{failure}");
            }
        }
    }
}
