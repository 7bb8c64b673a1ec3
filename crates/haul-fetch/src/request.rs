//! The one kind of request that haul sends.

use crate::codec::{base64_encode, percent_decode};
use crate::{Client, Error};
use bytes::Bytes;
use haul_span::Span;
use http_body_util::Empty;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, RANGE,
    USER_AGENT,
};
use hyper::{Method, Request, Uri};
use url::Url;

pub(crate) type Get = Request<Empty<Bytes>>;

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) url: Url,
    /// Whether the caller's headers and the URL's user may be told there. Once a redirect has led
    /// to another origin nobody further on is trusted, even if that is the first origin again.
    pub(crate) trusted: bool,
}

impl Location {
    /// Where a redirect from here leads. The user of the URL stays the caller's own, and goes
    /// where the other secrets go.
    pub(crate) fn onward(&self, mut url: Url) -> Self {
        let trusted = self.trusted && url.origin() == self.url.origin();
        let (user, password) =
            if trusted { (self.url.username(), self.url.password()) } else { ("", None) };
        // Neither fails on a URL that has a host.
        let _ = url.set_username(user);
        let _ = url.set_password(password);
        Self { url, trusted }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// The file, without a word of ranges.
    File,
    /// The range that is the whole file.
    WholeRange,
    /// One part of the file.
    Part(Span),
}

pub(crate) fn get(client: &Client, location: &Location, wanted: Wanted) -> Result<Get, Error> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri(&location.url)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host(&location.url)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.extend(range(wanted).map(|range| (RANGE, range)));
    if location.trusted {
        headers.extend(authorization(&location.url).map(|user| (AUTHORIZATION, user)));
        client.0.headers.add_to(headers);
    }
    Ok(request)
}

/// Path and query as the URL's parser left them, so that no second parser has a say.
fn uri(url: &Url) -> Result<Uri, Error> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    target.parse().map_err(|_| Error::Url { why: "cannot be put into a request" })
}

fn host(url: &Url) -> Result<HeaderValue, Error> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    HeaderValue::from_str(host).map_err(|_| Error::Url { why: "names no host" })
}

fn range(wanted: Wanted) -> Option<HeaderValue> {
    let text = match wanted {
        Wanted::File => return None,
        Wanted::WholeRange => "bytes=0-".to_owned(),
        Wanted::Part(span) => format!("bytes={}-{}", span.start(), span.last()),
    };
    HeaderValue::from_str(&text).ok()
}

/// The URL's user and password as basic credentials (RFC 7617).
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decode(url.username());
    pair.push(b':');
    pair.extend(percent_decode(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64_encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const AGENT: &str = concat!("haul/", env!("CARGO_PKG_VERSION"));

/// The caller's own headers.
#[derive(Clone)]
pub(crate) struct Headers(HeaderMap);

impl Headers {
    pub(crate) fn new(given: &[(String, String)]) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let (name, value) =
                checked(name, value).ok_or_else(|| Error::Header { name: name.clone() })?;
            headers.append(name, value);
        }
        Ok(Self(headers))
    }

    /// Adds them; what haul sends by default under one of their names gives way.
    fn add_to(&self, headers: &mut HeaderMap) {
        for name in self.0.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.0 {
            headers.append(name, value.clone());
        }
    }
}

fn checked(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name: HeaderName = name.parse().ok()?;
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    (!OWNED.contains(&name.as_str())).then_some((name, value))
}

/// Headers that decide what a response means or where a message ends.
const OWNED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> Result<Headers, Error> {
        Headers::new(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn headers_that_haul_must_own_or_that_break_lines_are_refused() {
        for name in OWNED.iter().copied().chain(["RANGE", "Host", "", "a b", "a:", "a\r\nb"]) {
            assert!(matches!(headers(name, "x"), Err(Error::Header { .. })), "{name}");
        }
        assert!(headers("X-A", "a\r\nRange: bytes=0-1").is_err());
        assert!(headers("Cookie", "a=b; c=ä").is_ok());
    }

    #[test]
    fn the_request_names_the_host_and_path_as_parsed() {
        let client = Client::new(crate::Options::default()).unwrap();
        let ask = |url: &str| {
            let location = Location { url: Url::parse(url).unwrap(), trusted: true };
            let request = get(&client, &location, Wanted::WholeRange).unwrap();
            (request.uri().to_string(), request.headers()[HOST].to_str().unwrap().to_owned())
        };
        for (url, path, host) in [
            ("http://EXAMPLE.org", "/", "example.org"),
            ("http://example.org:80/a b?c d#e", "/a%20b?c%20d", "example.org"),
            ("https://example.org:8443//x|y?{\"z\"}^`", "//x|y?{%22z%22}^`", "example.org:8443"),
            ("http://u:p@[::1]:81/../ü", "/%C3%BC", "[::1]:81"),
            ("http://0x7f.1/", "/", "127.0.0.1"),
        ] {
            assert_eq!(ask(url), (path.to_owned(), host.to_owned()), "{url}");
        }
    }

    #[test]
    fn the_urls_user_becomes_basic_credentials() {
        let user = |url: &str| authorization(&Url::parse(url).unwrap());
        assert_eq!(user("http://a%40b:c%3Ad@h/").unwrap(), "Basic YUBiOmM6ZA==");
        assert_eq!(user("http://h/"), None);
    }
}
