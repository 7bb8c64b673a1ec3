//! The one kind of request that haul sends.

use crate::client::Settings;
use crate::codec::{base64_encode, percent_decode};
use crate::ways::Proxy;
use crate::{AddressSpace, Client, Error};
use bytes::Bytes;
use haul_span::Span;
use http_body_util::Empty;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_RANGE, PROXY_AUTHORIZATION, RANGE, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use std::time::SystemTime;
use url::Url;

pub(crate) type Get = Request<Empty<Bytes>>;

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) trust: Trust,
    /// The narrowest space that it may lead to: that of whoever named it.
    pub(crate) floor: AddressSpace,
}

/// What may be told to whoever is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The caller means this origin: all secrets.
    Origin,
    /// The caller named it as a mirror: the URL's user, and what is kept for its host.
    Mirror,
    /// A server named it: nothing. Once a redirect has led to another origin nobody further on is
    /// trusted, even if that is the first origin again.
    Stranger,
}

impl Location {
    /// One that the caller names, wherever it leads.
    pub(crate) fn named(url: Url, trust: Trust) -> Self {
        Self { url, trust, floor: AddressSpace::default() }
    }

    /// Where somebody in this space leads who was asked here. The user of the URL stays the
    /// caller's own, and goes where the other secrets go.
    pub(crate) fn onward(&self, mut url: Url, by: AddressSpace) -> Self {
        let same = url.origin() == self.url.origin();
        let trust = if same { self.trust } else { Trust::Stranger };
        let floor = self.floor.max(by);
        let (user, password) = match trust {
            Trust::Stranger => ("", None),
            _ => (self.url.username(), self.url.password()),
        };
        // Neither fails on a URL that has a host.
        let _ = url.set_username(user);
        let _ = url.set_password(password);
        Self { url, trust, floor }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// The file, without a word of ranges.
    File,
    /// The range that is the whole file.
    WholeRange,
    /// One part of the file, if the file still has this strong tag (RFC 9110 §13.1.5).
    Part { span: Span, tag: Option<&'a str> },
}

impl Wanted<'_> {
    /// The part that is asked for; none where that is all of the file.
    pub(crate) fn part(self) -> Option<Span> {
        match self {
            Self::File | Self::WholeRange => None,
            Self::Part { span, .. } => Some(span),
        }
    }
}

pub(crate) fn get(client: &Client, location: &Location, wanted: Wanted<'_>) -> Result<Get, Error> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri(&location.url)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host(&location.url)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.extend(range(wanted).map(|range| (RANGE, range)));
    headers.extend(condition(wanted).map(|tag| (IF_RANGE, tag)));
    if location.trust != Trust::Stranger {
        let settings = &client.0;
        headers.extend(who(settings, &location.url).map(|who| (AUTHORIZATION, who)));
        let cookies = settings.cookies.header(&location.url, SystemTime::now());
        headers.extend(cookies.map(|cookies| (COOKIE, cookies)));
    }
    if location.trust == Trust::Origin {
        client.0.headers.add_to(headers);
    }
    Ok(request)
}

/// Whether a request for `url` tells its origin what is not for everybody.
pub(crate) fn tells_secrets(settings: &Settings, url: &Url) -> bool {
    !settings.headers.0.is_empty()
        || who(settings, url).is_some()
        || settings.cookies.header(url, SystemTime::now()).is_some()
}

/// The URL's user, with a password that is kept for its host if it has none itself.
fn who(settings: &Settings, url: &Url) -> Option<HeaderValue> {
    let host = url.host_str().filter(|_| url.password().is_none());
    let kept = host.and_then(|host| settings.netrc.authorization(host, url.username()));
    kept.or_else(|| authorization(url))
}

/// Makes a request one for a proxy that passes it on: it names the origin (RFC 9112 §3.2.2), and
/// the proxy is told who asks.
pub(crate) fn for_proxy(request: &mut Get, proxy: &Proxy) -> Result<(), Error> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = format!("http://{host}{}", request.uri());
    *request.uri_mut() =
        target.parse().map_err(|_| Error::Url { why: "cannot be put into a request" })?;
    request.headers_mut().extend(proxy.authorization().map(|who| (PROXY_AUTHORIZATION, who)));
    Ok(())
}

/// Makes a request one for HTTP/2, which names the origin in the target's stead (RFC 9113 §8.3.1).
pub(crate) fn for_http2(request: &mut Get) -> Result<(), Error> {
    let host = request.headers_mut().remove(HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = format!("https://{host}{}", request.uri());
    *request.uri_mut() =
        target.parse().map_err(|_| Error::Url { why: "cannot be put into a request" })?;
    Ok(())
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

fn range(wanted: Wanted<'_>) -> Option<HeaderValue> {
    let text = match wanted {
        Wanted::File => return None,
        Wanted::WholeRange => "bytes=0-".to_owned(),
        Wanted::Part { span, .. } => format!("bytes={}-{}", span.start(), span.last()),
    };
    HeaderValue::from_str(&text).ok()
}

fn condition(wanted: Wanted<'_>) -> Option<HeaderValue> {
    let Wanted::Part { tag, .. } = wanted else { return None };
    HeaderValue::from_str(tag?).ok()
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

pub(crate) const AGENT: &str = concat!("haul/", env!("CARGO_PKG_VERSION"));

/// The caller's own headers.
#[derive(Clone)]
pub(crate) struct Headers(HeaderMap);

impl Headers {
    pub(crate) fn new(given: &[(String, String)]) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let (name, value) =
                checked(name, value).map_err(|why| Error::Header { name: name.clone(), why })?;
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

fn checked(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "it is no name of a header")?;
    let mut value =
        HeaderValue::from_str(value).map_err(|_| "its value has characters that no header may")?;
    value.set_sensitive(true);
    let owned = OWNED.iter().find(|(names, _)| names.contains(&name.as_str()));
    owned.map_or(Ok((name, value)), |(_, why)| Err(why))
}

/// Headers that decide what a response means, where a message ends or who is asked, and why each
/// is haul's own.
const OWNED: [(&[&str], &str); 5] = [
    (&["range"], "haul asks for the parts that it needs itself"),
    (
        &["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"],
        "haul compares the versions of the file itself",
    ),
    (
        &["accept-encoding", "content-encoding", "te"],
        "haul needs the plain bytes of the file, not a coded form",
    ),
    (
        &[
            "connection",
            "content-length",
            "expect",
            "host",
            "http2-settings",
            "keep-alive",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ],
        "it belongs to the connection, which is haul's own",
    ),
    (
        &["proxy-authorization", "proxy-connection"],
        "it would reach the origin; give the proxy's user with --proxy",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> Result<Headers, Error> {
        Headers::new(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn headers_that_haul_must_own_or_that_break_lines_are_refused() {
        let owned = OWNED.iter().flat_map(|(names, _)| names.iter().copied());
        for name in owned.chain(["RANGE", "Host", "", "a b", "a:", "a\r\nb"]) {
            assert!(matches!(headers(name, "x"), Err(Error::Header { .. })), "{name}");
        }
        assert!(headers("X-A", "a\r\nRange: bytes=0-1").is_err());
        assert!(headers("Cookie", "a=b; c=ä").is_ok());
    }

    #[test]
    fn the_request_names_the_host_and_path_as_parsed() {
        let client = Client::new(crate::Options::default()).unwrap();
        let ask = |url: &str| {
            let location = Location::named(Url::parse(url).unwrap(), Trust::Origin);
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
