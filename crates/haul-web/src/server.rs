mod connection_limit;

use crate::Error;
use crate::face::Face;
use crate::gate::Gate;
use crate::site::Site;
use connection_limit::{ConnectionLimit, Most};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::sleep;

/// How many connections may be open at a time.
const CONNECTIONS: Most = Most { anonymous: 64, authenticated: 64 };

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
        let mut connections = Connections::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let site = Arc::clone(&self.site);
                    connections.take_in(|client| speak(stream, site, client));
                    // Whoever connects without end leaves the others their turns.
                    yield_now().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
        connections.tasks.shutdown().await;
    }
}

/// The connections that are open.
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<u64, AbortHandle>,
    made: u64,
    limit: Arc<Mutex<ConnectionLimit>>,
}

impl Connections {
    fn new() -> Self {
        let limit = Arc::new(Mutex::new(ConnectionLimit::new(CONNECTIONS)));
        Self { tasks: JoinSet::new(), open: HashMap::new(), made: 0, limit }
    }

    /// Begins to serve a connection, and closes the one that gives way to it.
    fn take_in<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        serve: impl FnOnce(Client) -> T,
    ) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|_, task| !task.is_finished());
        self.made += 1;
        let client = Client { id: self.made, limit: Arc::clone(&self.limit) };
        let evicted = client.limit().open(client.id);
        if let Some(task) = evicted.and_then(|id| self.open.remove(&id)) {
            tracing::debug!("a connection gives way to another");
            task.abort();
        }
        self.open.insert(self.made, self.tasks.spawn(serve(client)));
    }
}

/// Who is at the other end of a connection; it counts for as long as this lives.
pub(crate) struct Client {
    id: u64,
    limit: Arc<Mutex<ConnectionLimit>>,
}

impl Client {
    /// Notes that it has sent a whole head.
    fn has_asked(&self) {
        self.limit().asked(self.id);
    }

    /// Notes that it has shown what only the page's owner knows.
    pub(crate) fn is_owner(&self) {
        self.limit().authenticate(self.id);
    }

    fn limit(&self) -> MutexGuard<'_, ConnectionLimit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.limit().close(self.id);
    }
}

impl Links {
    /// A new link, for a browser that has not been let in yet. It opens the page once; an older
    /// link that nobody has used opens it no more.
    pub fn fresh(&self) -> Result<String, Error> {
        self.gate.renew()
    }
}

async fn speak<F: Face>(stream: TcpStream, site: Arc<Site<F>>, client: Client) {
    // Without it an event may wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request| {
        client.has_asked();
        Ok::<_, Infallible>(site.respond(request, &client).await)
    });
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
