use crate::Error;
use crate::face::Face;
use crate::gate::Gate;
use crate::site::Site;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many connections may be open at a time; those beyond are closed at once.
const CONNECTIONS: usize = 64;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The longest head that is read, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// How long to wait after a connection could not be accepted, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// A page that is open on a port of 127.0.0.1.
pub(crate) struct Server<F> {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) site: Arc<Site<F>>,
}

/// Makes links that open a page.
#[derive(Clone)]
pub struct Links {
    gate: Arc<Gate>,
}

impl<F: Face> Server<F> {
    /// Opens it; browsers can connect when this returns, and are answered once it is served.
    pub(crate) async fn open(port: u16, face: F) -> Result<Self, Error> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| Error::Port { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = Site::new(Gate::new(address.port())?, face);
        Ok(Self { listener, address, site: Arc::new(site) })
    }

    pub(crate) fn links(&self) -> Links {
        Links { gate: Arc::clone(&self.site.gate) }
    }

    /// Serves it until `stop` is ready; no connection outlives that.
    pub(crate) async fn serve(&self, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS => {
                    connections.spawn(speak(stream, Arc::clone(&self.site)));
                }
                Ok(_) => tracing::debug!("a connection too many was closed"),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
        connections.shutdown().await;
    }
}

impl Links {
    /// A new link, for a browser that has not been let in yet. It opens the page once; an older
    /// link that nobody has used opens it no more.
    pub fn fresh(&self) -> Result<String, Error> {
        self.gate.renew()
    }
}

async fn speak<F: Face>(stream: TcpStream, site: Arc<Site<F>>) {
    // Without it an event may wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request| Ok::<_, Infallible>(site.respond(request).await));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
