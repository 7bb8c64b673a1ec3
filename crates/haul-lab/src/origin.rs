//! An HTTP/1.1 origin in this process, over links that it shapes itself.
//!
//! It listens on loopback and serves whatever resources it was given, each under its own path, in
//! ranges (RFC 9110 §14) with strong validators unless the resource says otherwise. All of
//! 127.0.0.0/8 is loopback on Linux, so clients that bind addresses of their own (127.0.0.11,
//! 127.0.0.12, …) each see a link of their own under one and the same URL: see [`Shape`].

mod answer;
mod ledger;
mod resource;
mod serve;
mod shape;
mod trap;

pub use ledger::{Counts, Seen};
pub use resource::Resource;
pub use shape::Shape;
pub use trap::{Asks, Hostile, Promise, Trap};

use crate::{Certificate, Error, Rate};
use ledger::Ledger;
use serve::Site;
use shape::Links;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::runtime;
use tokio::sync::oneshot;

/// A running origin; it stops, and closes every connection, when this is dropped.
///
/// It has a thread and a runtime of its own, so that tests without a runtime can use it and a
/// busy test cannot starve it.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    certificate: Option<Certificate>,
    site: Arc<Site>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// An origin that serves nothing yet, on a free port of 127.0.0.1, unshaped and without TLS.
    pub fn builder() -> OriginBuilder {
        OriginBuilder {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            certificate: None,
            http2: false,
            resources: BTreeMap::new(),
            shape: Shape::default(),
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The certificate, if it speaks TLS.
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.site.ledger.counts()
    }

    /// Every request so far, in the order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.site.ledger.seen()
    }

    /// Changes the link of one peer at once, also for responses under way.
    ///
    /// A rate of zero stalls the peer: its connections stay open and nothing comes.
    pub fn set_rate(&self, peer: IpAddr, rate: Rate) {
        self.site.links.set_rate(peer, rate);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

/// What an [`Origin`] is to serve, and how.
#[derive(Debug)]
#[must_use]
pub struct OriginBuilder {
    address: SocketAddr,
    certificate: Option<Certificate>,
    http2: bool,
    resources: BTreeMap<String, Resource>,
    shape: Shape,
}

impl OriginBuilder {
    /// Serves `resource` under `path`, which begins with a slash; other paths answer 404.
    pub fn serve(mut self, path: impl Into<String>, resource: Resource) -> Self {
        self.resources.insert(path.into(), resource);
        self
    }

    /// Shapes the links of those who connect.
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// Listens there and not on a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Speaks TLS and nothing else.
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Offers HTTP/2 before HTTP/1.1 to those who speak TLS with it.
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Starts it; it accepts connections when this returns.
    pub fn start(self) -> Result<Origin, Error> {
        let listener = TcpListener::bind(self.address)
            .map_err(Error::io(format!("listen on {}", self.address)))?;
        let address = listener.local_addr().map_err(Error::io("read the address listened on"))?;
        listener.set_nonblocking(true).map_err(Error::io("make the listener non-blocking"))?;
        let protocols: &[_] = if self.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let offer = |certificate: &Certificate| certificate.server_config_offering(protocols);
        let tls = self.certificate.as_ref().map(offer).transpose()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start the origin's runtime"))?;
        let site = Arc::new(Site {
            resources: self.resources,
            links: Links::new(self.shape),
            ledger: Ledger::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&site);
        let thread = thread::Builder::new()
            .name("origin".to_owned())
            .spawn(move || runtime.block_on(serve::accept(listener, tls, served, stopped)))
            .map_err(Error::io("start the origin's thread"))?;
        Ok(Origin {
            address,
            certificate: self.certificate,
            site,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}
