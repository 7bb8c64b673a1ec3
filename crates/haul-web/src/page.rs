use crate::Error;
use crate::gate::Gate;
use crate::jobs::{Jobs, Template};
use crate::site::Site;
use haul::{Leader, LeaderBuilder, Url};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
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

/// The leader's page, open on a port of 127.0.0.1. Dropping it stops the download at work and
/// leaves it resumable.
pub struct LeaderPage {
    listener: TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
}

/// Makes links that open a [`LeaderPage`].
#[derive(Clone)]
pub struct Links {
    site: Arc<Site>,
}

/// What a [`LeaderPage`] is to be.
#[must_use]
pub struct LeaderPageBuilder {
    folder: PathBuf,
    port: u16,
    template: Box<Template>,
}

impl LeaderPage {
    /// A page on a free port that saves files in `folder` and nowhere else.
    pub fn builder(folder: impl Into<PathBuf>) -> LeaderPageBuilder {
        LeaderPageBuilder { folder: folder.into(), port: 0, template: Box::new(Leader::builder) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The link that opens it, once: whoever has it may use the page, so it belongs in no log.
    /// When it has been used, only the address of the page is left of it.
    pub fn link(&self) -> String {
        self.site.gate.link()
    }

    /// A way to make further links while it is served.
    pub fn links(&self) -> Links {
        Links { site: Arc::clone(&self.site) }
    }

    /// Serves it until `stop` is ready, then stops the download at work and waits for its end.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
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
        // Nobody may start another download while the last one ends.
        connections.shutdown().await;
        self.site.jobs.end().await;
    }
}

impl Links {
    /// A new link, for a browser that has not been let in yet. It opens the page once; an older
    /// link that nobody has used opens it no more.
    pub fn fresh(&self) -> Result<String, Error> {
        self.site.gate.renew()
    }
}

impl Drop for LeaderPage {
    fn drop(&mut self) {
        self.site.jobs.close();
    }
}

impl LeaderPageBuilder {
    /// Listens on this port of 127.0.0.1, or on a free one if it is 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begins every download with what `template` makes of its URL; folder and name are the
    /// page's.
    pub fn template(
        mut self,
        template: impl Fn(Url) -> LeaderBuilder + Send + Sync + 'static,
    ) -> Self {
        self.template = Box::new(template);
        self
    }

    /// Opens it; browsers can connect when this returns, and are answered once it is served.
    pub async fn open(self) -> Result<LeaderPage, Error> {
        let folder = match usable(&self.folder) {
            Ok(folder) => folder,
            Err(source) => return Err(Error::Folder { path: self.folder, source }),
        };
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let failed = |source| Error::Port { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = Site::new(Gate::new(address.port())?, Jobs::new(folder, self.template));
        Ok(LeaderPage { listener, address, site: Arc::new(site) })
    }
}

/// The folder by its full name, which stays the same wherever the program goes.
fn usable(folder: &PathBuf) -> io::Result<PathBuf> {
    let folder = fs::canonicalize(folder)?;
    if !folder.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if folder.to_str().is_none() {
        let because = "its name is not Unicode, so that the page could not show it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, because));
    }
    Ok(folder)
}

async fn speak(stream: TcpStream, site: Arc<Site>) {
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
