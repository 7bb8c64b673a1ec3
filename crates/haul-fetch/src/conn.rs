use crate::client::Settings;
use crate::connect::{Connected, Stream, connect, host_of, within};
use crate::host::Place;
use crate::request::{Get, Location, for_http2, for_proxy};
use crate::shared::Shared;
use crate::ways::{Proxy, ProxyFault};
use crate::{AddressSpace, Error, Fault, Stage};
use bytes::Bytes;
use h2::Reason;
use http_body_util::Empty;
use hyper::Response;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::ext::on_informational;
use hyper_util::rt::TokioIo;
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use tracing::debug;
use url::{Origin, Url};

/// A way to send one request at a time: an HTTP/1.1 connection, or a stream after another of an
/// HTTP/2 connection.
///
/// No task stands behind it: the connection moves only while somebody waits for its response, so
/// an origin is read exactly as fast as its reader wants, and dropping this closes the socket or
/// leaves it to the others that share it.
pub(crate) struct Conn {
    link: Link,
    about: Arc<About>,
    /// Where it is counted; what only waits for others to use it is not.
    place: Option<Place>,
}

enum Link {
    Own { sender: http1::SendRequest<Empty<Bytes>>, driver: Driver },
    Shared(Arc<Shared>),
}

/// Who is at the other end.
struct About {
    origin: Origin,
    /// Who answers, for messages.
    host: String,
    peer: SocketAddr,
    /// Where whoever answers is.
    space: AddressSpace,
    /// Who reads the requests and passes them on.
    forward: Option<Proxy>,
}

impl Conn {
    pub(crate) async fn open(settings: &Settings, to: &Location) -> Result<Self, Error> {
        let place = Place::at(settings.learned.of(&to.url));
        Self::over(connect(settings, to).await?, &to.url, place).await
    }

    /// Speaks HTTP over a stream that leads to where `url` points.
    pub(crate) async fn over(connected: Connected, url: &Url, place: Place) -> Result<Self, Error> {
        let Connected { stream, peer, space, forward, is_http2 } = connected;
        let host = match &forward {
            Some(proxy) => format!("{} through the proxy {}", host_of(url), proxy.name()),
            None => host_of(url),
        };
        let link = if is_http2 {
            Shared::over(stream).await.map(|shared| Link::Shared(Arc::new(shared)))
        } else {
            own(stream).await
        };
        let link = link.map_err(|source| lost(&host, 0, source))?;
        let about = Arc::new(About { origin: url.origin(), host, peer, space, forward });
        Ok(Self { link, about, place: Some(place) })
    }

    /// Another way to send requests over the same connection, if that carries several; only one
    /// with a place is for use.
    pub(crate) fn beside(&self, place: Option<Place>) -> Option<Self> {
        let Link::Shared(shared) = &self.link else { return None };
        let link = Link::Shared(Arc::clone(shared));
        Some(Self { link, about: Arc::clone(&self.about), place })
    }

    pub(crate) fn host(&self) -> &str {
        &self.about.host
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.about.peer
    }

    /// Whether it takes requests, as far as anybody has seen.
    pub(crate) fn is_open(&self) -> bool {
        match &self.link {
            Link::Own { driver, .. } => driver.0.is_some(),
            Link::Shared(shared) => shared.is_open(),
        }
    }

    /// How many others use the same connection.
    pub(crate) fn sharers(&self) -> usize {
        match &self.link {
            Link::Own { .. } => 0,
            Link::Shared(shared) => Arc::strong_count(shared) - 1,
        }
    }

    /// Whether one more may use the same connection.
    pub(crate) fn has_room(&self) -> bool {
        matches!(&self.link, Link::Shared(shared) if self.sharers() < shared.room())
    }

    /// Whether others may use the same connection.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.link, Link::Shared(_))
    }

    /// The space that whoever answers is in.
    pub(crate) fn space(&self) -> AddressSpace {
        self.about.space
    }

    /// Whether requests for a location may go over this connection.
    pub(crate) fn serves(&self, to: &Location) -> bool {
        self.about.origin == to.url.origin() && self.about.space >= to.floor
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) async fn send(
        &mut self,
        settings: &Settings,
        mut request: Get,
    ) -> Result<Response<Incoming>, Error> {
        if let Some(proxy) = &self.about.forward {
            for_proxy(&mut request, proxy)?;
        }
        let about = Arc::clone(&self.about);
        let answer = self.exchange(request);
        let answered = within(settings.timeouts.head, &about.host, Stage::Head, answer).await;
        let response = answered.inspect_err(|error| self.note(error))?;
        match &about.forward {
            Some(proxy) if response.status().as_u16() == 407 => {
                Err(Error::Proxy { proxy: proxy.name(), fault: ProxyFault::SignIn })
            }
            _ => Ok(response),
        }
    }

    async fn exchange(&mut self, mut request: Get) -> Result<Response<Incoming>, Error> {
        let exchanged = match &mut self.link {
            Link::Own { sender, driver } => driver.exchange(sender, request).await,
            Link::Shared(shared) => {
                for_http2(&mut request)?;
                shared.exchange(request).await.map_err(Failed::Hyper)
            }
        };
        exchanged.map_err(|failed| match failed {
            Failed::Hyper(source) => self.broke(0, source),
            Failed::Interim => {
                Error::Broken { host: self.about.host.clone(), fault: Fault::Interim }
            }
        })
    }

    /// The next frame of the body of a response that came over this connection.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let poll = |context: &mut Context<'_>| Pin::new(&mut *body).poll_frame(context);
        match &mut self.link {
            Link::Own { driver, .. } => driver.drive(context, poll),
            Link::Shared(shared) => shared.drive(context, poll),
        }
    }

    /// The error of a response that broke off when all bytes before `at` had come.
    pub(crate) fn broke(&self, at: u64, source: hyper::Error) -> Error {
        let host = self.about.host.clone();
        match reason(&source) {
            Some(Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM) => Error::Overrun { host },
            None | Some(Reason::NO_ERROR | Reason::CANCEL) => lost(&host, at, source),
            Some(reason) => {
                debug!(host, %reason, "HTTP/2 failed; going on with HTTP/1.1");
                if let Some(place) = &self.place {
                    place.host().shuns_http2();
                }
                Error::Lost { host, at, source: Some(source) }
            }
        }
    }

    /// Notes that a response got nowhere: others that share the connection may go on, and nobody
    /// joins them.
    pub(crate) fn note(&self, error: &Error) {
        if let (Link::Shared(shared), Error::Timeout { .. }) = (&self.link, error) {
            shared.retire();
        }
    }
}

async fn own(stream: Box<dyn Stream>) -> hyper::Result<Link> {
    let mut builder = http1::Builder::new();
    // RFC 9112 §5.2 has a user agent read folded lines, though nobody may send them any more.
    builder.allow_obsolete_multiline_headers_in_responses(true);
    builder.max_buf_size(BUFFER).max_headers(MOST_FIELDS);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    Ok(Link::Own { sender, driver: Driver(Some(Box::new(connection))) })
}

/// Why a request got no response.
enum Failed {
    Hyper(hyper::Error),
    Interim,
}

/// Counts the interim responses (RFC 9110 §15.2) that come before the one to a request.
fn count_interim(request: &mut Get) -> Arc<AtomicU32> {
    let count = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&count);
    on_informational(request, move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    count
}

/// Why HTTP/2 ended a stream or the connection, if it did.
fn reason(error: &hyper::Error) -> Option<Reason> {
    error.source()?.downcast_ref::<h2::Error>()?.reason()
}

/// The error of a connection that broke when all bytes before `at` had come.
pub(crate) fn lost(host: &str, at: u64, source: hyper::Error) -> Error {
    let host = host.to_owned();
    if source.is_parse() || has_invalid_framing(&source) {
        return Error::Broken { host, fault: Fault::Message };
    }
    Error::Lost { host, at, source: Some(source) }
}

/// Whether hyper could not tell the chunks of a body apart; it says so by the kind of an I/O error
/// only.
fn has_invalid_framing(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| {
        let invalid =
            matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
        // A TLS record that does not authenticate is the network's fault.
        invalid && source.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>())
    })
}

type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, Empty<Bytes>>;

/// The half of a connection that reads and writes; gone when the connection has ended.
struct Driver(Option<Box<Connection>>);

impl Driver {
    async fn exchange(
        &mut self,
        sender: &mut http1::SendRequest<Empty<Bytes>>,
        mut request: Get,
    ) -> Result<Response<Incoming>, Failed> {
        poll_fn(|context| self.drive(context, |context| sender.poll_ready(context)))
            .await
            .map_err(Failed::Hyper)?;
        let interim = count_interim(&mut request);
        let mut response = pin!(sender.send_request(request));
        poll_fn(|context| {
            let polled = self.drive(context, |context| response.as_mut().poll(context));
            if polled.is_pending() && interim.load(Ordering::Relaxed) > MOST_INTERIM {
                return Poll::Ready(Err(Failed::Interim));
            }
            polled.map_err(Failed::Hyper)
        })
        .await
    }

    /// Polls `work`, and the connection for as long as that is what `work` waits for.
    fn drive<T>(
        &mut self,
        context: &mut Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(done) = work(context) {
            return Poll::Ready(done);
        }
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(context).is_ready()
        {
            // How it ended reaches `work` through its own channel.
            self.0 = None;
        }
        work(context)
    }
}

/// More fields than any origin sends in earnest.
const MOST_FIELDS: usize = 1000;

/// More interim responses than any origin sends in earnest.
const MOST_INTERIM: u32 = 1000;

/// Bounds a response's head and what is read ahead of its body, in bytes.
const BUFFER: usize = 64 << 10;
