//! From a proxy to a stream that leads to an origin.

use super::ProxyFault;
use super::proxy::{Proxy, ProxyKind};
use super::socks::{self, Target};
use crate::client::Settings;
use crate::connect::{
    Connected, Stream, dial, host_of, interleaved, judged, secure, shake_hands, within,
};
use crate::request::Location;
use crate::{Error, Stage};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request, Uri, upgrade};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use tracing::debug;
use url::{Host, Url};

/// Connects to a location through `proxy`. The guard judges what the proxy is told: an address, or
/// a name by what it says itself.
pub(crate) async fn connect_through(
    settings: &Settings,
    proxy: &Proxy,
    to: &Location,
) -> Result<Connected, Error> {
    let url = &to.url;
    debug!(proxy = proxy.name(), host = host_of(url), "through a proxy");
    let refused = |why| Error::Refused { host: host_of(url), why };
    settings.guard.admit_named(url, to.floor).map_err(refused)?;
    let mut space = settings.guard.named_space(url);
    let (stream, peer) = match proxy.kind() {
        ProxyKind::Http if url.scheme() == "http" => {
            let (stream, peer) = reach(settings, proxy).await?;
            let forward = Some(proxy.clone());
            return Ok(Connected { stream, peer, space, forward, is_http2: false });
        }
        ProxyKind::Http => tunnelled(settings, proxy, url).await?,
        ProxyKind::Socks { resolves } => {
            let (stream, peer, target) = over_socks(settings, proxy, to, resolves).await?;
            if let Target::Address(address) = target {
                space = settings.guard.space(address.ip());
            }
            (stream, peer)
        }
    };
    let (stream, is_http2) = if url.scheme() == "https" {
        secure(settings, url, stream).await?
    } else {
        (stream, false)
    };
    Ok(Connected { stream, peer, space, forward: None, is_http2 })
}

/// A stream to the proxy itself.
async fn reach(settings: &Settings, proxy: &Proxy) -> Result<(Box<dyn Stream>, SocketAddr), Error> {
    let reached = async {
        let (stream, peer) =
            dial(settings, &proxy.name(), proxy.url().host(), proxy.port()).await?;
        let stream: Box<dyn Stream> = Box::new(stream);
        if !proxy.is_secure() {
            return Ok((stream, peer));
        }
        let stream = shake_hands(settings, &settings.tls, proxy.url(), stream).await?;
        let stream: Box<dyn Stream> = Box::new(stream);
        Ok((stream, peer))
    };
    reached.await.map_err(|error| fault(proxy, ProxyFault::Unreachable(Box::new(error))))
}

async fn tunnelled(
    settings: &Settings,
    proxy: &Proxy,
    url: &Url,
) -> Result<(Box<dyn Stream>, SocketAddr), Error> {
    let (stream, peer) = reach(settings, proxy).await?;
    let stream = in_time(settings, proxy, tunnel(stream, proxy, url)).await?;
    Ok((stream, peer))
}

/// Asks the proxy for a tunnel (RFC 9110 §9.3.6). It is told the origin's host and port, and
/// nothing else of the request to come.
async fn tunnel(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    url: &Url,
) -> Result<Box<dyn Stream>, ProxyFault> {
    let request = connect_request(proxy, url).ok_or(ProxyFault::LongName)?;
    let made = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(|_| ProxyFault::Garbled)?;
    let mut exchange = pin!(async {
        let response = sender.send_request(request).await.map_err(of_hyper)?;
        match response.status().as_u16() {
            200..300 => upgrade::on(response).await.map_err(of_hyper),
            // Some answer with the status of an origin to a wrong password.
            401 | 407 => Err(ProxyFault::SignIn),
            status => Err(ProxyFault::Refused { status }),
        }
    });
    let mut connection = pin!(connection.with_upgrades());
    let upgraded = tokio::select! {
        done = &mut exchange => done,
        // Its end leaves the answer, or the reason why there is none, with the exchange.
        _ = &mut connection => exchange.await,
    };
    Ok(Box::new(TokioIo::new(upgraded?)))
}

fn connect_request(proxy: &Proxy, url: &Url) -> Option<Request<Empty<Bytes>>> {
    let authority = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.parse::<Uri>().ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&authority).ok()?);
    headers.insert(USER_AGENT, HeaderValue::from_static(crate::request::AGENT));
    headers.extend(proxy.authorization().map(|who| (PROXY_AUTHORIZATION, who)));
    Some(request)
}

fn of_hyper(error: hyper::Error) -> ProxyFault {
    if error.is_parse() {
        return ProxyFault::Garbled;
    }
    ProxyFault::Lost(std::io::Error::other(error))
}

/// A way over SOCKS to the name, or to its addresses one after another, and where it leads.
async fn over_socks(
    settings: &Settings,
    proxy: &Proxy,
    to: &Location,
    resolves: bool,
) -> Result<(Box<dyn Stream>, SocketAddr, Target), Error> {
    let mut last = ProxyFault::Garbled;
    for target in targets(settings, to, resolves).await? {
        let (mut stream, peer) = reach(settings, proxy).await?;
        let handshake = socks::handshake(&mut stream, proxy.credentials(), &target);
        match in_time(settings, proxy, handshake).await {
            Ok(()) => return Ok((stream, peer, target)),
            Err(Error::Proxy { fault: fault @ ProxyFault::NoWay { .. }, .. }) => last = fault,
            Err(error) => return Err(error),
        }
    }
    Err(fault(proxy, last))
}

/// What the proxy is asked to connect to; never nothing.
async fn targets(settings: &Settings, to: &Location, resolves: bool) -> Result<Vec<Target>, Error> {
    let port = to.url.port_or_known_default().ok_or(Error::Url { why: "names no port" })?;
    if let (Some(Host::Domain(name)), true) = (to.url.host(), resolves) {
        return Ok(vec![Target::Name(name.trim_end_matches('.').to_owned(), port)]);
    }
    let addresses = judged(settings, to).await?;
    Ok(interleaved(addresses).into_iter().map(Target::Address).collect())
}

/// The proxy's answer, for which it may have to wait for the origin.
async fn in_time<T>(
    settings: &Settings,
    proxy: &Proxy,
    answer: impl Future<Output = Result<T, ProxyFault>>,
) -> Result<T, Error> {
    let answer = async { Ok(answer.await) };
    let answered = within(settings.timeouts.head, &proxy.name(), Stage::Head, answer).await;
    let answered = answered.map_err(|error| ProxyFault::Unreachable(Box::new(error)));
    answered.and_then(|answer| answer).map_err(|what| fault(proxy, what))
}

fn fault(proxy: &Proxy, fault: ProxyFault) -> Error {
    Error::Proxy { proxy: proxy.name(), fault }
}

/// Bounds the head of a proxy's answer, in bytes.
const HEAD: usize = 64 << 10;
