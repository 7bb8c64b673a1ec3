use super::no_proxy::NoProxy;
use crate::Error;
use crate::codec::{base64_encode, percent_decode};
use hyper::header::HeaderValue;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use url::{Host, Url};

/// Which origins are reached through which proxy. The default is none through any.
///
/// A proxy looks up names itself and connects where it likes, past every [`Guard`](crate::Guard):
/// one that lets only public addresses pass allows none, and one that judges by spaces judges the
/// address or the name that the proxy is told.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: NoProxy,
}

/// One proxy: `http://`, `https://`, `socks5://` or `socks5h://`, a host, perhaps a port, a user and
/// a password.
///
/// Neither `Debug` nor `Display` shows the user or the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    kind: ProxyKind,
    /// Without a user and a password.
    url: Url,
    credentials: Option<Credentials>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    /// HTTP, which passes on requests for `http` and tunnels for `https` (RFC 9110 §7.6, §9.3.6).
    Http,
    /// SOCKS 5 (RFC 1928). `resolves` says whether it is told names instead of addresses.
    Socks { resolves: bool },
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Proxies {
    /// What the environment asks for, as curl reads it: `http_proxy`, `https_proxy` and `all_proxy`
    /// in lower case before upper case, but for `no_proxy`.
    ///
    /// `HTTP_PROXY` counts only where `REQUEST_METHOD` is unset: in a CGI program it is a header of
    /// whoever sent the request. Fails on a variable that is set and names no proxy, since to go
    /// without one then might tell what was to be kept from somebody.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// This proxy for every origin but those that `no_proxy` of the environment excepts.
    pub fn through(proxy: &Proxy) -> Self {
        let except = except(&|name| std::env::var(name).ok());
        Self { http: Some(proxy.clone()), https: Some(proxy.clone()), except }
    }

    /// As [`from_env`](Self::from_env), with another environment.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let upper = set("HTTP_PROXY").filter(|_| variable("REQUEST_METHOD").is_none());
        let all = || set("all_proxy").or_else(|| set("ALL_PROXY"));
        let http = set("http_proxy").or(upper).or_else(all);
        let https = set("https_proxy").or_else(|| set("HTTPS_PROXY")).or_else(all);
        Ok(Self {
            http: http.map(|text| text.parse()).transpose()?,
            https: https.map(|text| text.parse()).transpose()?,
            except: except(&set),
        })
    }

    /// The proxy through which `url` is reached.
    pub(crate) fn toward(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.except.covers(url))
    }
}

fn except(variable: &dyn Fn(&str) -> Option<String>) -> NoProxy {
    let list = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    NoProxy::parse(&list.unwrap_or_default())
}

impl Proxy {
    /// Where it is, without a user and a password.
    pub(crate) fn url(&self) -> &Url {
        &self.0.url
    }

    pub(crate) fn kind(&self) -> ProxyKind {
        self.0.kind
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.0.credentials.as_ref()
    }

    /// The port that is meant where none is given (RFC 1928 §3 for SOCKS).
    pub(crate) fn port(&self) -> u16 {
        self.0.url.port_or_known_default().unwrap_or(1080)
    }

    /// `host:port`, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.0.url.host_str().unwrap_or_default(), self.port())
    }

    /// What an HTTP proxy is told of who asks (RFC 7617).
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let Credentials { user, password } = self.0.credentials.as_ref()?;
        let pair = [user, &b":"[..], password].concat();
        let mut value = HeaderValue::from_str(&format!("Basic {}", base64_encode(&pair))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl FromStr for Proxy {
    type Err = Error;

    /// Reads `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]`; without a scheme it is HTTP.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unfit = |why: &str| Error::Input { what: "proxy", why: why.to_owned() };
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url: Url = whole.parse().map_err(|error: url::ParseError| unfit(&error.to_string()))?;
        let kind = match url.scheme() {
            "http" | "https" => ProxyKind::Http,
            "socks5" => ProxyKind::Socks { resolves: false },
            "socks5h" => ProxyKind::Socks { resolves: true },
            _ => return Err(unfit("it must be http, https, socks5 or socks5h")),
        };
        let url = with_real_host(url).ok_or_else(|| unfit("it names no host"))?;
        let credentials = Credentials::of(&url);
        if credentials.as_ref().is_some_and(|who| !who.fits(kind)) {
            return Err(unfit("its user or password is longer than 255 bytes"));
        }
        Ok(Self(Arc::new(Inner { kind, url: without_user(url), credentials })))
    }
}

/// The URL with its host read as that of an `http` URL: for schemes that it does not know, the
/// parser takes every host for an opaque name.
fn with_real_host(mut url: Url) -> Option<Url> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let host = Host::parse(host).ok()?.to_string();
    url.set_host(Some(&host)).ok()?;
    Some(url)
}

fn without_user(mut url: Url) -> Url {
    // Neither fails on a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    url
}

impl Credentials {
    fn of(url: &Url) -> Option<Self> {
        let given = !url.username().is_empty() || url.password().is_some();
        given.then(|| Self {
            user: percent_decode(url.username()),
            password: percent_decode(url.password().unwrap_or_default()),
        })
    }

    /// SOCKS has one byte for each length (RFC 1929 §2).
    fn fits(&self, kind: ProxyKind) -> bool {
        kind == ProxyKind::Http || (self.user.len() <= 255 && self.password.len() <= 255)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.url.as_str())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Error> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Proxies::from_variables(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn toward(variables: &[(&str, &str)], url: &str) -> String {
        let proxies = proxies(variables).unwrap();
        let proxy = proxies.toward(&url.parse().unwrap());
        proxy.map_or_else(String::new, |proxy| format!("{:?} {}", proxy.kind(), proxy.name()))
    }

    #[test]
    fn each_scheme_has_its_variable_and_lower_case_wins() {
        let both = [("http_proxy", "a:1"), ("HTTP_PROXY", "b:1"), ("HTTPS_PROXY", "c:1")];
        assert_eq!(toward(&both, "http://h/"), "Http a:1");
        assert_eq!(toward(&both, "https://h/"), "Http c:1");
        let all = [("ALL_PROXY", "socks5h://s"), ("https_proxy", "")];
        assert_eq!(toward(&all, "http://h/"), "Socks { resolves: true } s:1080");
        assert_eq!(toward(&all, "https://h/"), "Socks { resolves: true } s:1080");
        assert_eq!(toward(&[], "http://h/"), "");
    }

    #[test]
    fn in_a_cgi_program_the_upper_case_name_is_a_strangers_header() {
        let cgi = [("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(toward(&cgi, "http://h/"), "");
        assert_eq!(toward(&[cgi[0]], "http://h/"), "Http evil:1");
    }

    #[test]
    fn what_names_no_proxy_is_an_error_and_never_a_way_around_it() {
        for text in
            ["socks4://h", "ftp://h", "http://", "socks5://", "http://h:99999", "http://[::1"]
        {
            let error = proxies(&[("all_proxy", text)]).unwrap_err();
            assert!(matches!(error, Error::Input { what: "proxy", .. }), "{text}: {error}");
        }
        let long = format!("socks5://{}@h", "u".repeat(256));
        assert!(long.parse::<Proxy>().is_err());
    }

    #[test]
    fn a_proxy_is_never_shown_with_its_password() {
        let proxy: Proxy = "http://me:s%40cret@[::1]:3128/x?y".parse().unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://[::1]:3128/ Proxy(http://[::1]:3128/)");
        assert_eq!(proxy.authorization().unwrap(), "Basic bWU6c0BjcmV0");
        let socks: Proxy = "socks5://me:s%40cret@127.0.0.1:1".parse().unwrap();
        assert!(socks.credentials().is_some_and(|who| who.password == b"s@cret"));
        assert!(!format!("{socks:?}").contains("cret"));
    }
}
