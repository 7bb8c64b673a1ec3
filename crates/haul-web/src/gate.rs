//! Who may ask for what.

use crate::reply::Refusal;
use crate::secret::Secret;
use crate::{Error, reply};
use hyper::header::{AsHeaderName, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Response, StatusCode};
use std::sync::{Mutex, PoisonError};

/// The header that carries the key; empty while the page does not know it yet.
const KEY: &str = "x-haul-key";

/// The port that an authority without one means (RFC 9110 §4.2.1).
const HTTP: u16 = 80;

/// Lets in whoever opened the link, and nobody else.
///
/// Two secrets prove it. Scripts of the page cannot read the cookie; but browsers send it to every
/// port of this host, so that another program's page may come to know it. That page cannot read the
/// key, which the browser stores for this port alone and the page's script sends as a header.
pub(crate) struct Gate {
    port: u16,
    /// What the last link was made with, until somebody uses it.
    token: Mutex<Option<Secret>>,
    session: Secret,
    key: Secret,
}

impl Gate {
    pub(crate) fn new(port: u16) -> Result<Self, Error> {
        let token = Mutex::new(Some(Secret::new()?));
        Ok(Self { port, token, session: Secret::new()?, key: Secret::new()? })
    }

    /// Makes a new link, which voids the last one if nobody has used that.
    pub(crate) fn renew(&self) -> Result<String, Error> {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(Secret::new()?);
        Ok(self.link())
    }

    /// The link that opens the page once, unless it was used.
    pub(crate) fn link(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let fragment = token.as_ref().map(|token| format!("#t={}", token.to_hex()));
        format!("http://127.0.0.1:{}/{}", self.port, fragment.unwrap_or_default())
    }

    /// Refuses a request that does not name this server, as one through a rebound name does not.
    pub(crate) fn check_host(&self, request: &Parts) -> Result<(), Refusal> {
        let named = only(&request.headers, HOST).and_then(|host| host.parse().ok());
        // A target with an authority of its own overrides the header (RFC 9112 §3.2.2).
        let target = request.uri.authority();
        if named.is_some_and(|host| self.is_here(&host)) && target.is_none_or(|at| self.is_here(at))
        {
            return Ok(());
        }
        Err(Refusal::forbidden("it names another host than this page's"))
    }

    /// Refuses what another page sent, and changes that this page would send in another form.
    pub(crate) fn check_source(request: &Parts) -> Result<(), Refusal> {
        let headers = &request.headers;
        let origin = headers.contains_key(ORIGIN).then(|| is_own_origin(headers));
        let site = headers.contains_key("sec-fetch-site").then(|| is_own_site(headers));
        if [origin, site].contains(&Some(false)) {
            return Err(Refusal::forbidden("another page sent it"));
        }
        if request.method == Method::GET {
            return Ok(());
        }
        if origin.or(site).is_none() {
            return Err(Refusal::forbidden("it does not say which page sent it"));
        }
        check_form(headers)
    }

    /// Refuses whoever has not come through the link: both its cookie and its key are needed.
    pub(crate) fn check_session(&self, request: &Parts) -> Result<(), Refusal> {
        let key = only(&request.headers, KEY).is_some_and(|key| self.key.is(key));
        if key && self.has_cookie(request) {
            return Ok(());
        }
        Err(Refusal::forbidden("this browser has not opened the link"))
    }

    fn has_cookie(&self, request: &Parts) -> bool {
        let name = self.cookie_name();
        let cookies = request.headers.get_all(COOKIE).into_iter();
        let is_session = |pair: &str| {
            let (key, value) = pair.trim().split_once('=').unwrap_or_default();
            key == name && self.session.is(value)
        };
        let lines = cookies.filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).any(is_session)
    }

    /// Exchanges the token of the link, which dies of it, for the session's cookie and key.
    pub(crate) fn enter(&self, said: &str) -> Result<Response<reply::Body>, Refusal> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.take_if(|token| token.is(said)).is_none() {
            return Err(Refusal::forbidden("the link was used before, or is not this program's"));
        }
        let cookie = format!(
            "{}={}; HttpOnly; SameSite=Strict; Path=/api",
            self.cookie_name(),
            self.session.to_hex()
        );
        let cookie = HeaderValue::try_from(cookie).expect("hex and digits are visible ASCII");
        Ok(reply::entered(cookie, &self.key.to_hex()))
    }

    /// Browsers keep one jar for all ports of a host, so the port is part of the name.
    fn cookie_name(&self) -> String {
        format!("haul-{}", self.port)
    }

    fn is_here(&self, authority: &Authority) -> bool {
        let host = authority.host();
        !authority.as_str().contains('@')
            && (host == "127.0.0.1" || host.eq_ignore_ascii_case("localhost"))
            && authority.port_u16().unwrap_or(HTTP) == self.port
    }
}

/// Whether the page that sent it came from the host that it asks.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let origin = only(headers, ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    origin.is_some() && origin == only(headers, HOST)
}

fn is_own_site(headers: &HeaderMap) -> bool {
    only(headers, "sec-fetch-site") == Some("same-origin")
}

/// Demands what neither a form nor a script of another origin can send without being asked first.
fn check_form(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = only(headers, CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::new(status, "it is not application/json", "send JSON"));
    }
    if !headers.contains_key(KEY) {
        return Err(Refusal::forbidden("it lacks the header that this page's script sends"));
    }
    Ok(())
}

/// The value of a field that must not be sent twice.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(target: &str, host: &str) -> Result<(), Refusal> {
        let request = Request::get(target).header(HOST, host).body(()).unwrap();
        Gate::new(4000).unwrap().check_host(&request.into_parts().0)
    }

    #[test]
    fn only_the_loopback_names_with_the_port_are_this_host() {
        for host in ["127.0.0.1:4000", "localhost:4000", "LocalHost:4000"] {
            assert!(asked("/", host).is_ok(), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:4001",
            "127.0.0.1:",
            "127.evil.com:4000",
            "evil.com:4000",
            "127.0.0.1.evil.com:4000",
            "localhost.:4000",
            "a@127.0.0.1:4000",
            "[::1]:4000",
            "127.0.0.1:4000,evil.com",
            "0.0.0.0:4000",
            "127.1:4000",
            "2130706433:4000",
        ] {
            assert!(asked("/", host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_target_with_a_foreign_authority_is_refused() {
        assert!(asked("http://127.0.0.1:4000/", "127.0.0.1:4000").is_ok());
        assert!(asked("http://evil.com/", "127.0.0.1:4000").is_err());
    }

    #[test]
    fn the_token_of_a_link_opens_once() {
        let gate = Gate::new(4000).unwrap();
        let link = gate.link();
        let token = link.split_once("#t=").unwrap().1;
        assert!(gate.enter("").is_err() && gate.enter(&token[1..]).is_err());
        assert!(gate.enter(token).is_ok());
        assert!(gate.enter(token).is_err());
        assert!(!gate.link().contains("#t="));
    }
}
