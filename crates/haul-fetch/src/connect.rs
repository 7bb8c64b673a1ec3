//! From a URL to a stream of bytes: names, the guard, the race of addresses, TLS.

use crate::allowance::Allowed;
use crate::client::Settings;
use crate::coalesce::Coalesced;
use crate::request::Location;
use crate::tls::HTTP2;
use crate::ways::{Proxy, connect_through};
use crate::{AddressSpace, Error, Refusal, Stage};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{debug, trace};
use url::{Host, Url};

/// A connected stream, plain or secured.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream to an origin, or to a proxy that passes requests on to it.
pub(crate) struct Connected {
    pub(crate) stream: Box<dyn Stream>,
    /// Who is at the other end of the TCP connection.
    pub(crate) peer: SocketAddr,
    /// The space that the origin is in.
    pub(crate) space: AddressSpace,
    /// The proxy that reads the requests.
    pub(crate) forward: Option<Proxy>,
    /// The origin has chosen HTTP/2.
    pub(crate) is_http2: bool,
}

/// Connects to a location: through its proxy, or else itself, if the guard allows; the address is
/// then the one that was judged.
pub(crate) async fn connect(settings: &Settings, to: &Location) -> Result<Connected, Error> {
    let url = &to.url;
    if let Some(proxy) = settings.proxies.toward(url) {
        // Boxed, as it is rare and needs much more room than what is usual.
        return Box::pin(connect_through(settings, proxy, to)).await;
    }
    let host = host_of(url);
    let refused = |why| Error::Refused { host: host.clone(), why };
    settings.guard.admit_url(url, to.floor).map_err(refused)?;
    if settings.allowance.as_ref().is_some_and(|allowance| !allowance.admits(&host)) {
        return Err(refused(Refusal::Owner));
    }
    let limit = settings.timeouts.connect;
    let addresses = judged(settings, to).await?;
    let attempt = |to| attempt(settings.source_address, to);
    let race = race(&host, interleaved(addresses), attempt);
    let (stream, peer) = within(limit, &host, Stage::Connect, race).await?;
    if stream.peer_addr().ok() != Some(peer) {
        return Err(refused(Refusal::Peer));
    }
    let space = settings.guard.space(peer.ip());
    debug!(%host, %peer, ?space, "connected");
    let stream = Coalesced::new(stream);
    let stream: Box<dyn Stream> = match &settings.allowance {
        Some(allowance) => Box::new(Allowed::new(stream, Arc::clone(allowance))),
        None => Box::new(stream),
    };
    if url.scheme() == "http" {
        return Ok(Connected { stream, peer, space, forward: None, is_http2: false });
    }
    let (stream, is_http2) = secure(settings, url, stream).await?;
    Ok(Connected { stream, peer, space, forward: None, is_http2 })
}

/// The addresses of a location that may be connected to.
pub(crate) async fn judged(settings: &Settings, to: &Location) -> Result<Vec<SocketAddr>, Error> {
    let (url, host) = (&to.url, host_of(&to.url));
    let port = url.port_or_known_default().ok_or(Error::Url { why: "names no port" })?;
    let resolved = resolve(settings, url.host(), port);
    let addresses = within(settings.timeouts.connect, &host, Stage::Resolve, resolved).await?;
    let (known, guard) = (settings.learned.of(url), &settings.guard);
    let floor = to.floor.max(known.space().unwrap_or_default());
    let addresses = guard
        .admit(url, floor, addresses)
        .map_err(|why| Error::Refused { host: host.clone(), why })?;
    known.is_in(addresses.iter().map(|to| guard.space(to.ip())).min().unwrap_or_default());
    Ok(addresses)
}

/// Connects to a host that the caller chose; no guard is asked.
pub(crate) async fn dial(
    settings: &Settings,
    name: &str,
    host: Option<Host<&str>>,
    port: u16,
) -> Result<(Coalesced<TcpStream>, SocketAddr), Error> {
    let limit = settings.timeouts.connect;
    let addresses = within(limit, name, Stage::Resolve, resolve(settings, host, port)).await?;
    let attempt = |to| attempt(settings.source_address, to);
    let race = race(name, interleaved(addresses), attempt);
    let (stream, peer) = within(limit, name, Stage::Connect, race).await?;
    Ok((Coalesced::new(stream), peer))
}

/// The host of a URL for messages.
pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// `work`, or the error that it took longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    host: &str,
    stage: Stage,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Timeout { host: host.to_owned(), stage, after: limit }),
    }
}

/// The addresses of a host, never none.
pub(crate) async fn resolve(
    settings: &Settings,
    host: Option<Host<&str>>,
    port: u16,
) -> Result<Vec<SocketAddr>, Error> {
    match host {
        Some(Host::Ipv4(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Ipv6(ip)) => Ok(vec![(ip, port).into()]),
        Some(Host::Domain(name)) => match settings.hosts.get(name) {
            Some(known) => Ok(known.iter().map(|&ip| (ip, port).into()).collect()),
            None => look_up(name, port).await,
        },
        None => Err(Error::Url { why: "names no host" }),
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    match lookup_host((name, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(source) => Err(Error::Resolve { host: name.to_owned(), source }),
    }
}

/// The addresses with their families in turn, the first one's first (RFC 8305 §4).
pub(crate) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ours, mut others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut order = Vec::with_capacity(ours.len() + others.len());
    ours.reverse();
    others.reverse();
    while !ours.is_empty() || !others.is_empty() {
        order.extend(ours.pop());
        order.extend(others.pop());
    }
    order.dedup();
    order
}

/// An attempt to connect to an address.
type Attempt<S> = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<S>)> + Send>>;

/// The first connection to succeed; a further address is tried when an attempt fails or shows no
/// result within [`STAGGER`] (RFC 8305 §5).
///
/// After the last one, the first address is tried once more: a SYN that a full link drops is sent
/// again by the system only after a second (RFC 6298 §2).
async fn race<S>(
    host: &str,
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> Attempt<S>,
) -> Result<(S, SocketAddr), Error> {
    let mut again = addresses.first().copied();
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<Attempt<S>> = waiting.next().map(&attempt).into_iter().collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while !attempts.is_empty() {
        tokio::select! {
            // A machine that stood still finds the connection and the end of its patience at once.
            biased;
            (address, result) = first_done(&mut attempts) => match result {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => {
                    trace!(%address, %error, "no connection");
                    failure = error;
                    attempts.extend(waiting.next().map(&attempt));
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 || again.is_some() => {
                attempts.extend(waiting.next().or_else(|| again.take()).map(&attempt));
            }
        }
    }
    Err(Error::Connect { host: host.to_owned(), source: failure })
}

fn attempt(from: Option<IpAddr>, address: SocketAddr) -> Attempt<TcpStream> {
    Box::pin(async move {
        let stream = connect_from(from, address).await;
        // Requests are small and each waits for its answer; a failure costs only time.
        let _ = stream.as_ref().map(|stream| stream.set_nodelay(true));
        (address, stream)
    })
}

/// Connects by the route of the system, or else from the address that the caller chose.
async fn connect_from(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(to).await };
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

async fn first_done<S>(attempts: &mut Vec<Attempt<S>>) -> (SocketAddr, io::Result<S>) {
    poll_fn(|context| {
        for at in 0..attempts.len() {
            if let Poll::Ready(done) = attempts[at].as_mut().poll(context) {
                drop(attempts.swap_remove(at));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}

/// Secures a stream to the origin of `url`; says whether that has chosen HTTP/2.
pub(crate) async fn secure(
    settings: &Settings,
    url: &Url,
    stream: Box<dyn Stream>,
) -> Result<(Box<dyn Stream>, bool), Error> {
    let http2 = settings.http2.as_ref().filter(|_| settings.learned.of(url).takes_http2());
    let stream = shake_hands(settings, http2.unwrap_or(&settings.tls), url, stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    Ok((Box::new(stream), is_http2))
}

/// The TLS handshake with whom `url` names.
pub(crate) async fn shake_hands(
    settings: &Settings,
    tls: &Arc<ClientConfig>,
    url: &Url,
    stream: Box<dyn Stream>,
) -> Result<TlsStream<Box<dyn Stream>>, Error> {
    let host = host_of(url);
    let failed = |source| Error::Tls { host: host.clone(), source };
    let name = server_name(url).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let connecting = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let handshake = async { connecting.await.map_err(failed) };
    within(settings.timeouts.connect, &host, Stage::Handshake, handshake).await
}

fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(ip) => Some(ServerName::IpAddress(ip.into())),
        Host::Ipv6(ip) => Some(ServerName::IpAddress(ip.into())),
    }
}

/// How long an attempt to connect is alone (RFC 8305 §8).
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::Instant;

    #[test]
    fn families_take_turns_in_the_resolvers_order() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|address| address.parse().unwrap()).collect()
        };
        let given = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let order = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleaved(given), order);
        assert_eq!(interleaved(Vec::new()), []);
    }

    /// Races attempts that end after so many milliseconds, with a connection or without, or never.
    async fn raced(each: &[(Option<u64>, bool)]) -> (Option<usize>, Duration) {
        let began = Instant::now();
        let attempts = Arc::new(AtomicUsize::new(0));
        let attempt = |to| -> Attempt<usize> {
            let at = attempts.fetch_add(1, Ordering::Relaxed);
            let (ends, succeeds) = each[at];
            Box::pin(async move {
                match ends {
                    Some(after) => sleep(Duration::from_millis(after)).await,
                    None => pending().await,
                }
                let refused = io::ErrorKind::ConnectionRefused;
                (to, if succeeds { Ok(at) } else { Err(refused.into()) })
            })
        };
        let won = race("host", vec!["[::1]:1".parse().unwrap()], attempt).await;
        (won.ok().map(|(at, _)| at), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_there_in_time_is_asked_for_once_more() {
        assert_eq!(raced(&[(None, true), (Some(20), true)]).await, (Some(1), STAGGER + 20 * MS));
        assert_eq!(raced(&[(Some(300), true), (None, true)]).await, (Some(0), 300 * MS));
        assert_eq!(raced(&[(Some(300), false), (Some(60), true)]).await, (Some(1), 310 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_refused_is_not_asked_for_again() {
        assert_eq!(raced(&[(Some(40), false)]).await, (None, 40 * MS));
    }

    const MS: Duration = Duration::from_millis(1);
}
