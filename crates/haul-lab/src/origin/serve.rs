use super::Resource;
use super::answer::Answer;
use super::ledger::{Ledger, Seen};
use super::shape::{Links, Path};
use bytes::Bytes;
use haul_span::Span;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

type Body = Channel<Bytes, io::Error>;

/// What all connections of an origin share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) links: Links,
    pub(super) ledger: Ledger,
}

/// Accepts connections until the other end of `stopped` is gone.
pub(super) async fn accept(
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    site: Arc<Site>,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot listen"),
    };
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(Connection::new(peer, Arc::clone(&site)).run(stream, tls.clone()));
            }
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
    }
}

/// One connection; the ledger counts it as open for as long as this lives.
struct Connection {
    peer: SocketAddr,
    path: Path,
    site: Arc<Site>,
}

impl Connection {
    fn new(peer: SocketAddr, site: Arc<Site>) -> Self {
        site.ledger.opened();
        Self { peer, path: site.links.connect(peer.ip()), site }
    }

    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Without it a head may wait for the acknowledgement of the body before it.
        let _ = stream.set_nodelay(true);
        let ended = match tls {
            None => self.speak(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    Arc::new(self).speak_http2(stream).await
                }
                Ok(stream) => self.speak(stream).await,
                Err(error) => return tracing::debug!(%error, "no TLS with a client"),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn speak<S>(&self, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(async |request| Ok::<_, io::Error>(self.respond(request).await));
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    }

    async fn speak_http2<S>(self: Arc<Self>, stream: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(move |request| {
            let connection = Arc::clone(&self);
            async move { Ok::<_, io::Error>(connection.respond(request).await) }
        });
        let builder = http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let resource = self.site.resources.get(request.uri().path());
        let Answer { head, status, body } =
            Answer::to(resource, request.method(), request.headers());
        self.site.ledger.answered(seen(self.peer, &request, status.as_u16()));
        self.path.delay_head().await;
        let (sender, channel) = Channel::new(1);
        if let (Some(span), Some(resource)) = (body, resource) {
            let pump = Pump {
                resource: resource.clone(),
                path: self.path.clone(),
                site: Arc::clone(&self.site),
                peer: self.peer,
            };
            tokio::spawn(pump.run(span, sender));
        }
        head.body(channel).expect("the head is made of valid fields")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.site.ledger.closed();
    }
}

/// Feeds one body to its connection at the pace of the links.
struct Pump {
    resource: Resource,
    path: Path,
    site: Arc<Site>,
    peer: SocketAddr,
}

impl Pump {
    async fn run(self, span: Span, mut sender: Sender<Bytes, io::Error>) {
        let mut rest = Some(span);
        while let Some(span) = rest {
            let Some(piece) = span.first(self.path.piece()) else { return };
            let bytes = match self.resource.read(piece) {
                Ok(bytes) => bytes,
                Err(error) => return sender.abort(error),
            };
            self.path.pass(piece.len()).await;
            // The client is gone: that is its own right.
            if sender.send_data(bytes.into()).await.is_err() {
                return;
            }
            self.site.ledger.sent(self.peer.ip(), piece.len());
            rest = span.from(piece.end());
        }
    }
}

fn seen(peer: SocketAddr, request: &Request<Incoming>, status: u16) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = request.headers().iter();
    Seen {
        peer,
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        status,
    }
}
