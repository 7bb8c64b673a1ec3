//! The hostile origin: one misbehaviour at a time, each with a name and a promise.
//!
//! The table of all of them is [`Trap::all`]; docs/TRAPS.md says how downloaders fare.

mod bodies;
mod conduct;
mod frames;
mod framing;
mod further;
mod heads;
mod http2;
mod names;
mod ranges;
mod redirects;
mod reply;
mod talk;
mod timing;
mod versions;

use super::ledger::Ledger;
use super::{Counts, Seen};
use crate::{Certificate, Error, Payload};
use conduct::{Asked, Scene};
use reply::Reply;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, fs, io};
use talk::Doors;
use tokio::runtime;
use tokio::sync::oneshot;

/// One way in which an origin, or the network before it, misbehaves.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// Which kind of misbehaviour, as docs/TRAPS.md counts them.
    pub number: u8,
    /// Its own name.
    pub name: &'static str,
    /// What the origin does.
    pub does: &'static str,
    /// What a downloader should make of it.
    pub promise: Promise,
    /// How many bytes the file has.
    pub size: u64,
    /// The name that the file should be saved under.
    pub saved_as: &'static str,
    /// What the user asks for besides.
    pub asks: Asks,
    /// How long a downloader may take.
    pub patience: Duration,
    rate: u64,
    encoded: bool,
    secured: Option<Secured>,
    answer: fn(&Asked, &Scene) -> Reply,
}

/// What a downloader should make of a trap. Nothing wrong may stand under the final name in any
/// case, and a success must never be told of a file that is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The file arrives, byte for byte.
    Right,
    /// It is refused, by haul with this exit code.
    Refused(u8),
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right => f.write_str("the file arrives"),
            Self::Refused(code) => write!(f, "it is refused (exit code {code})"),
        }
    }
}

/// What the user asks for besides the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// These headers, as `Name: value`.
    Headers(&'static [&'static str]),
    /// The digest of the right file is to be checked.
    Checksum,
    /// The file is to be named by the origin.
    Name,
    /// HTTP/2 is to be spoken.
    Http2,
}

/// How an origin that speaks TLS proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secured {
    Well,
    /// It speaks HTTP/2 as well, with so many streams at a time.
    OfferingH2 {
        streams: u32,
    },
    /// It says that it speaks HTTP/2, and does not.
    OnlyNamingH2,
    ByNobody,
    TooLate,
    AsAnother,
}

impl Secured {
    /// How many streams at a time it allows in HTTP/2, if it speaks that.
    const fn streams(self) -> Option<u32> {
        match self {
            Self::OfferingH2 { streams } => Some(streams),
            _ => None,
        }
    }
}

/// The usual size: enough for several lanes to take part, and odd.
const SIZE: u64 = (8 << 20) + 7;

/// The usual pace of a connection in bytes per second, so slow that more of them are worth it.
const RATE: u64 = 768 << 10;

impl Trap {
    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let tables = [
            ranges::TRAPS,
            versions::TRAPS,
            framing::TRAPS,
            timing::TRAPS,
            redirects::TRAPS,
            names::TRAPS,
            further::TRAPS,
            http2::TRAPS,
            heads::TRAPS,
            bodies::TRAPS,
        ];
        tables.into_iter().flatten()
    }

    /// Those whose promise shows within a minute.
    pub fn quick() -> impl Iterator<Item = &'static Self> {
        Self::all().filter(|trap| trap.is_quick())
    }

    /// Whether its promise shows within a minute.
    pub fn is_quick(&self) -> bool {
        self.patience <= Duration::from_secs(60)
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|trap| trap.name == name)
    }

    /// Starts an origin that misbehaves so, on free ports of 127.0.0.1.
    pub fn spring(&'static self) -> Result<Hostile, Error> {
        Hostile::start(self, 0)
    }

    /// Starts it on this port of 127.0.0.1.
    pub fn spring_at(&'static self, port: u16) -> Result<Hostile, Error> {
        Hostile::start(self, port)
    }

    /// A trap with the usual file, which should arrive all the same.
    const fn new(
        number: u8,
        name: &'static str,
        does: &'static str,
        answer: fn(&Asked, &Scene) -> Reply,
    ) -> Self {
        Self {
            number,
            name,
            does,
            promise: Promise::Right,
            size: SIZE,
            saved_as: "file.bin",
            asks: Asks::Nothing,
            patience: Duration::from_secs(30),
            rate: RATE,
            encoded: false,
            secured: None,
            answer,
        }
    }

    const fn refused(mut self, code: u8) -> Self {
        self.promise = Promise::Refused(code);
        self
    }

    const fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    const fn rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }

    const fn encoded(mut self) -> Self {
        self.encoded = true;
        self
    }

    const fn asks(mut self, asks: Asks) -> Self {
        self.asks = asks;
        self
    }

    const fn saved_as(mut self, name: &'static str) -> Self {
        self.saved_as = name;
        self.asks = Asks::Name;
        self
    }

    const fn patience(mut self, seconds: u64) -> Self {
        self.patience = Duration::from_secs(seconds);
        self
    }

    const fn secured(mut self, secured: Secured) -> Self {
        self.secured = Some(secured);
        self
    }
}

/// A running origin with one trap; it stops when this is dropped.
#[derive(Debug)]
pub struct Hostile {
    trap: &'static Trap,
    scene: Arc<Scene>,
    certificate: Option<Certificate>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hostile {
    fn start(trap: &'static Trap, port: u16) -> Result<Self, Error> {
        let (own, address) = listen(port)?;
        let (strange, stranger) = listen(0)?;
        let certificate = trap.secured.map(certificate).transpose()?;
        let tls = certificate.as_ref().map(|certificate| match trap.secured {
            Some(Secured::OfferingH2 { .. } | Secured::OnlyNamingH2) => {
                certificate.server_config_offering(&["h2", "http/1.1"])
            }
            _ => certificate.server_config(),
        });
        let tls = tls.transpose()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start the origin's runtime"))?;
        let scene = Arc::new(Scene {
            payload: Payload::new(7, trap.size),
            other: Payload::new(8, trap.size),
            address,
            stranger,
            rate: trap.rate,
            streams: trap.secured.and_then(Secured::streams),
            began: Instant::now(),
            answer: trap.answer,
            ledger: Ledger::default(),
            memory: conduct::Memory::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let doors = Doors { own, strange, tls };
        let served = Arc::clone(&scene);
        let thread = thread::Builder::new()
            .name("hostile".to_owned())
            .spawn(move || runtime.block_on(talk::serve(doors, served, stopped)))
            .map_err(Error::io("start the origin's thread"))?;
        Ok(Self { trap, scene, certificate, stop: Some(stop), thread: Some(thread) })
    }

    /// What is to be downloaded.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/file.bin", self.scene.address)
    }

    /// The bytes of the right file.
    pub fn payload(&self) -> Payload {
        self.scene.payload
    }

    /// Whether the file at `path` is the right one, in any form in which it was sent.
    pub fn is_right(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        let payload = self.scene.payload;
        if payload.first_difference(&path)?.is_none() {
            return Ok(true);
        }
        let whole = self.scene.whole().filter(|_| self.trap.encoded);
        Ok(whole.is_some_and(|whole| {
            fs::read(path).is_ok_and(|held| held == framing::gzip(&payload.bytes(whole)))
        }))
    }

    /// The certificate whose authority is to be trusted, if it speaks TLS.
    ///
    /// An origin that is not to be trusted shows another one.
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.scene.ledger.counts()
    }

    /// Every request so far, in the order of arrival; those to another origin that it redirected
    /// to have a target that begins with `//`.
    pub fn seen(&self) -> Vec<Seen> {
        self.scene.ledger.seen()
    }

    /// What the downloader did that it should not have done, if anything.
    pub fn breach(&self) -> Option<&'static str> {
        self.scene.memory.blamed()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

fn listen(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(Error::io(format!("listen on port {port}")))?;
    let address = listener.local_addr().map_err(Error::io("read the address listened on"))?;
    listener.set_nonblocking(true).map_err(Error::io("make the listener non-blocking"))?;
    Ok((listener, address))
}

fn certificate(secured: Secured) -> Result<Certificate, Error> {
    match secured {
        Secured::Well | Secured::OfferingH2 { .. } | Secured::OnlyNamingH2 => {
            Certificate::for_names(["127.0.0.1"])
        }
        Secured::ByNobody => Certificate::unsigned(["127.0.0.1"]),
        Secured::TooLate => Certificate::expired(["127.0.0.1"]),
        Secured::AsAnother => Certificate::for_names(["another.example"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_numbers_rise() {
        let names: BTreeSet<_> = Trap::all().map(|trap| trap.name).collect();
        assert_eq!(names.len(), Trap::all().count());
        assert!(Trap::all().is_sorted_by_key(|trap| trap.number));
    }

    #[test]
    fn every_trap_springs() {
        for trap in Trap::all() {
            let hostile = trap.spring().unwrap();
            assert!(hostile.url().ends_with("/file.bin"), "{}", trap.name);
        }
    }
}
