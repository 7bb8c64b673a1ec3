use crate::client::Settings;
use crate::connect::{Connected, Stream, connect, host_of, within};
use crate::host::Place;
use crate::request::{Get, for_proxy};
use crate::ways::{Proxy, ProxyFault};
use crate::{Error, Fault, Stage};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use url::{Origin, Url};

/// One HTTP/1.1 connection.
///
/// No task stands behind it: the connection moves only while somebody waits for its response, so
/// an origin is read exactly as fast as its reader wants, and dropping this closes the socket.
pub(crate) struct Conn {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: Driver,
    origin: Origin,
    /// Who answers, for messages.
    host: String,
    peer: SocketAddr,
    /// Who reads the requests and passes them on.
    forward: Option<Proxy>,
    _place: Place,
}

impl Conn {
    pub(crate) async fn open(settings: &Settings, url: &Url) -> Result<Self, Error> {
        let place = Place::at(settings.learned.of(url));
        Self::over(connect(settings, url).await?, url, place).await
    }

    /// Speaks HTTP over a stream that leads to where `url` points.
    pub(crate) async fn over(connected: Connected, url: &Url, place: Place) -> Result<Self, Error> {
        let Connected { stream, peer, forward } = connected;
        let host = match &forward {
            Some(proxy) => format!("{} through the proxy {}", host_of(url), proxy.name()),
            None => host_of(url),
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_headers(MOST_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| lost(&host, 0, source))?;
        let driver = Driver(Some(Box::new(connection)));
        Ok(Self { sender, driver, origin: url.origin(), host, peer, forward, _place: place })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it has not been seen to end.
    pub(crate) fn is_open(&self) -> bool {
        self.driver.0.is_some()
    }

    /// Whether requests for `url` may go over this connection.
    pub(crate) fn serves(&self, url: &Url) -> bool {
        self.origin == url.origin()
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) async fn send(
        &mut self,
        settings: &Settings,
        mut request: Get,
    ) -> Result<Response<Incoming>, Error> {
        if let Some(proxy) = &self.forward {
            for_proxy(&mut request, proxy)?;
        }
        let response = self.exchange(settings, request).await?;
        match &self.forward {
            Some(proxy) if response.status().as_u16() == 407 => {
                Err(Error::Proxy { proxy: proxy.name(), fault: ProxyFault::SignIn })
            }
            _ => Ok(response),
        }
    }

    async fn exchange(
        &mut self,
        settings: &Settings,
        request: Get,
    ) -> Result<Response<Incoming>, Error> {
        let Self { sender, driver, host, .. } = self;
        let exchange = async {
            poll_fn(|context| driver.drive(context, |context| sender.poll_ready(context))).await?;
            let mut response = Box::pin(sender.send_request(request));
            poll_fn(|context| driver.drive(context, |context| response.as_mut().poll(context)))
                .await
        };
        let answer = async { exchange.await.map_err(|source| lost(host, 0, source)) };
        within(settings.timeouts.head, host, Stage::Head, answer).await
    }

    /// The next frame of the body of a response that came over this connection.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.driver.drive(context, |context| Pin::new(&mut *body).poll_frame(context))
    }
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

/// Bounds a response's head and what is read ahead of its body, in bytes.
const BUFFER: usize = 64 << 10;
