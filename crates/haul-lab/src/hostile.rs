//! A leader that asks for what it should not have.

use haul_link::{Identity, LinkError, Me, Secured, Session, accept, greet};
use haul_span::Span;
use haul_wire::{Ask, ByeReason, FailReason, Frame, JobFacts, Offer, Scheme, SizeClass, Verdict};
use sha2::{Digest, Sha256};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, timeout, timeout_at};
use url::Url;

/// How often an ask is repeated until the helper dials.
const AGAIN: Duration = Duration::from_millis(200);

/// A leader that names one URL after the other to a helper and says that each file is all zeros.
#[derive(Debug)]
pub struct Enticer {
    /// Its address; the asks come from here and the helper dials it.
    pub from: Ipv4Addr,
    /// Where the helper hears asks.
    pub helper: SocketAddr,
    /// How long it says each file is, in bytes.
    pub length: u64,
}

/// What a helper did with one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it, or its policy, said to the offer.
    pub verdict: Option<Verdict>,
    /// With which word it left.
    pub bye: Option<ByeReason>,
    /// Which failures of leases it told.
    pub failed: Vec<FailReason>,
    /// How many bytes it brought.
    pub bytes: u64,
    /// From the job to its last word.
    pub after: Duration,
}

impl Outcome {
    /// Whether it was not considered for want of a turn.
    pub fn was_busy(&self) -> bool {
        self.verdict == Some(Verdict::Busy)
    }

    /// Whether the offer was met with a yes.
    pub fn was_accepted(&self) -> bool {
        self.verdict == Some(Verdict::Yes)
    }
}

impl Enticer {
    /// Names `url` to the helper, each time as somebody new; must run on the machine that has the
    /// address, within a tokio runtime. Waits `patience` for the helper to dial, and then for each
    /// of its words.
    pub async fn entice(&self, url: &str, patience: Duration) -> Result<Outcome, LinkError> {
        let broken = |source| LinkError::Broken { doing: "enticing", source };
        let identity = Identity::ephemeral();
        let listener = listen(self.from).map_err(broken)?;
        let port = listener.local_addr().map_err(broken)?.port();
        let id = haul_link::random();
        let ask = ask(id, identity.id().0, port);
        let secured = timeout(patience, self.called(&identity, &listener, &ask)).await;
        let secured = secured.unwrap_or_else(|_| Err(broken(io::ErrorKind::TimedOut.into())))?;
        let session = greet(secured, Me { id: identity.id(), name: "enticer", group: None }, id)
            .await?
            .session;
        self.offer(session, url, patience).await
    }

    /// Asks until the helper dials and finds the key that asked. A helper that was busy calls back
    /// whoever asked before from the same address and port, and leaves as it finds another key.
    async fn called(
        &self,
        identity: &Identity,
        listener: &TcpListener,
        ask: &Ask,
    ) -> Result<Secured, LinkError> {
        loop {
            let dialled = self.dialled(listener, ask).await;
            let tcp = dialled.map_err(|source| LinkError::Broken { doing: "enticing", source })?;
            if let Ok(secured) = accept(identity, tcp).await {
                return Ok(secured);
            }
        }
    }

    /// Asks until the helper dials.
    async fn dialled(&self, listener: &TcpListener, ask: &Ask) -> io::Result<TcpStream> {
        let socket = UdpSocket::bind((self.from, 0))?;
        let mut again = interval(AGAIN);
        loop {
            tokio::select! {
                taken = listener.accept() => return Ok(taken?.0),
                _ = again.tick() => drop(socket.send_to(&ask.to_bytes(), self.helper)?),
            }
        }
    }

    async fn offer(
        &self,
        mut session: Session,
        url: &str,
        patience: Duration,
    ) -> Result<Outcome, LinkError> {
        session.send(&Frame::Offer(offer_of(url, self.length))).await?;
        let (verdict, bytes, began) = (None, 0, Instant::now());
        let mut outcome =
            Outcome { verdict, bye: None, failed: Vec::new(), bytes, after: Duration::ZERO };
        match session.next().await? {
            Frame::Answer(answer) => outcome.verdict = Some(answer.verdict),
            Frame::Bye { reason } => outcome.bye = Some(reason),
            _ => {}
        }
        if outcome.verdict == Some(Verdict::Yes) {
            let job = JobFacts { url: url.into(), length: self.length, validator: None };
            session.send(&Frame::Job(job)).await?;
            self.follow(session, patience, &mut outcome).await;
        }
        outcome.after = began.elapsed();
        Ok(outcome)
    }

    /// Answers whatever the helper wants and grants it the file in eight parts, until it leaves or
    /// has nothing more to say.
    async fn follow(&self, session: Session, patience: Duration, outcome: &mut Outcome) {
        let (mut reader, mut writer) = session.granted();
        let mut left = 8;
        loop {
            let next = timeout_at(Instant::now() + patience, reader.next()).await;
            let Ok(Ok(frame)) = next else { return };
            let mut replies = Vec::new();
            match frame {
                Frame::Challenge { span } => {
                    replies.push(Frame::Proof { sha256: zeros(span) });
                }
                Frame::Ready => replies = self.grants(),
                Frame::Ping => replies.push(Frame::Pong),
                Frame::Data { bytes, .. } => outcome.bytes += bytes.len() as u64,
                Frame::Done { .. } => left -= 1,
                Frame::Failed { failure, .. } => {
                    outcome.failed.push(failure.reason);
                    left -= 1;
                }
                Frame::Bye { reason } => {
                    outcome.bye = Some(reason);
                    return;
                }
                _ => {}
            }
            if left == 0 {
                replies.push(Frame::Bye { reason: ByeReason::Done });
            }
            for reply in replies {
                if writer.send(&reply).await.is_err() {
                    return;
                }
            }
            if left == 0 {
                return;
            }
        }
    }

    fn grants(&self) -> Vec<Frame> {
        let part = self.length / 8;
        let spans = (0..8).filter_map(|at| Span::new(at * part, (at + 1) * part));
        let grants = (1..).zip(spans).map(|(lease, span)| Frame::Grant { lease, span });
        let before = [Frame::Credit { bytes: 8 << 20 }, Frame::Lanes { lanes: 4 }];
        before.into_iter().chain(grants).collect()
    }
}

fn zeros(span: Span) -> [u8; 32] {
    let len = usize::try_from(span.len()).unwrap_or_default();
    Sha256::digest(vec![0; len]).into()
}

/// The first free port of those that a helper dials.
fn listen(from: Ipv4Addr) -> io::Result<TcpListener> {
    let mut failure = io::ErrorKind::AddrInUse.into();
    for port in haul_link::PORTS {
        match std::net::TcpListener::bind((from, port)) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return TcpListener::from_std(listener);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A socket for datagrams in the name of an address that need be nobody's; takes the right to
/// change the network.
pub fn forging(from: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_ip_transparent_v4(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    Ok(socket.into())
}

/// An ask for help with a file of no size that is told.
pub fn ask(id: [u8; 16], leader: [u8; 32], port: u16) -> Ask {
    let size = SizeClass::Unknown;
    Ask { id, leader, port, size, wanted: 1, expires: 60, group: [0; 8], tag: [0; 16] }
}

/// The offer that fits the URL as a browser would read it, or some offer where it cannot be read.
fn offer_of(url: &str, length: u64) -> Offer {
    let read = Url::parse(url).ok();
    let (host, port, https) = read.map_or(("unreadable".into(), 80, false), |url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        (host, url.port_or_known_default().unwrap_or(80), url.scheme() == "https")
    });
    let scheme = if https { Scheme::Https } else { Scheme::Http };
    Offer { scheme, host, port, size: length, share: length }
}
