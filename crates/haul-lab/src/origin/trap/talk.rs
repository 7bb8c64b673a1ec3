//! The sockets of a hostile origin: heads in, whatever its conduct says out.

use super::conduct::{Asked, Scene};
use super::frames;
use super::reply::{Reply, Step, Then};
use crate::Payload;
use crate::origin::ledger::Seen;
use haul_span::Span;
use rustls::ServerConfig;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

/// Where an origin, and the other one that it may redirect to, can be reached.
pub(super) struct Doors {
    pub(super) own: std::net::TcpListener,
    pub(super) strange: std::net::TcpListener,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Accepts connections until the other end of `stopped` is gone.
pub(super) async fn serve(doors: Doors, scene: Arc<Scene>, mut stopped: oneshot::Receiver<()>) {
    let listen = |listener| TcpListener::from_std(listener);
    let (Ok(own), Ok(strange)) = (listen(doors.own), listen(doors.strange)) else {
        return tracing::error!("cannot listen");
    };
    let tls = doors.tls.map(TlsAcceptor::from);
    for connection in 0.. {
        let (accepted, to_stranger) = tokio::select! {
            accepted = own.accept() => (accepted, false),
            accepted = strange.accept() => (accepted, true),
            _ = &mut stopped => return,
        };
        let Ok((stream, peer)) = accepted else { continue };
        let caller = Caller { peer, connection, to_stranger, scene: Arc::clone(&scene) };
        scene.ledger.opened();
        tokio::spawn(caller.run(stream, tls.clone().filter(|_| !to_stranger)));
    }
}

/// One connection; the ledger counts it as open for as long as this lives.
pub(super) struct Caller {
    peer: SocketAddr,
    connection: u64,
    to_stranger: bool,
    scene: Arc<Scene>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.scene.ledger.closed();
    }
}

impl Caller {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Without it a head may wait for the acknowledgement of the body before it.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            let mut stream = stream;
            if let Ok(Then::Reset | Then::Gone) = self.talk(&mut stream).await {
                let _ = stream.set_zero_linger();
            }
            return;
        };
        let Ok(mut stream) = tls.accept(stream).await else { return };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        // A client that is gone is its own right.
        if let (true, Some(streams)) = (http2, self.scene.streams) {
            let _ = frames::talk(Arc::new(self), stream, streams).await;
        } else {
            let _ = self.talk(&mut stream).await;
            let _ = stream.shutdown().await;
        }
    }

    /// Answers requests until the connection is to end; says how.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<Then> {
        while let Some(head) = read_head(stream).await? {
            let asked = self.asked(self.seen(&head));
            let reply = self.reply(&asked);
            if reply.then != Then::Gone {
                self.send(stream, &reply).await?;
            }
            match reply.then {
                Then::Next => {}
                Then::Hang | Then::HangInHead => pending().await,
                then => return Ok(then),
            }
        }
        Ok(Then::Close)
    }

    fn seen(&self, head: &str) -> Seen {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Seen { peer: self.peer, method, target, headers: headers.collect(), status: 0 }
    }

    /// Counts a request and says what the conduct is to know of it.
    pub(super) fn asked(&self, mut seen: Seen) -> Asked {
        if self.to_stranger {
            seen.target = format!("/{}", seen.target);
        }
        let mut asked = Asked {
            seen,
            number: 0,
            parts_before: 0,
            open: self.scene.ledger.open(),
            connection: self.connection,
            to_stranger: self.to_stranger,
        };
        let is_part = asked.later_part(self.scene.size()).is_some();
        (asked.number, asked.parts_before) = self.scene.memory.note(is_part);
        asked
    }

    /// What the conduct answers; it is written down.
    pub(super) fn reply(&self, asked: &Asked) -> Reply {
        let reply = (self.scene.answer)(asked, &self.scene);
        let status = reply.status.split(' ').next().and_then(|code| code.parse().ok());
        self.scene.ledger.answered(Seen { status: status.unwrap_or(0), ..asked.seen.clone() });
        reply
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn rate(&self) -> u64 {
        self.scene.rate
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.scene.ledger.sent(self.peer.ip(), bytes);
    }

    async fn send(&self, stream: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
        stream.write_all(&reply.head()).await?;
        stream.flush().await?;
        for step in &reply.body {
            match step {
                Step::Bytes(bytes) => stream.write_all(bytes).await?,
                Step::File(payload, span) => {
                    self.send_file(stream, *payload, *span, self.scene.rate).await?;
                }
                Step::Crawl(payload, span, rate) => {
                    self.send_file(stream, *payload, *span, *rate).await?;
                }
            }
            stream.flush().await?;
        }
        Ok(())
    }

    async fn send_file(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        payload: Payload,
        span: Span,
        rate: u64,
    ) -> io::Result<()> {
        let mut pace = Pace::of(span, rate);
        while let Some(piece) = pace.next().await {
            stream.write_all(&payload.bytes(piece)).await?;
            stream.flush().await?;
            self.sent(piece.len());
        }
        Ok(())
    }
}

/// A span in pieces that come at an even pace.
pub(super) struct Pace {
    span: Span,
    rest: Option<Span>,
    began: Instant,
    /// In bytes per second.
    rate: u64,
}

impl Pace {
    pub(super) fn of(span: Span, rate: u64) -> Self {
        Self { span, rest: Some(span), began: Instant::now(), rate: rate.max(1) }
    }

    /// The next piece when it is time for it; `None` when the time of the last one is over.
    pub(super) async fn next(&mut self) -> Option<Span> {
        let sent = self.rest.map_or(self.span.len(), |rest| rest.start() - self.span.start());
        let millis = sent.saturating_mul(1000) / self.rate;
        sleep_until(self.began + Duration::from_millis(millis)).await;
        let piece = self.rest?.first((self.rate / 100).clamp(1, 64 << 10))?;
        self.rest = self.span.from(piece.end());
        Some(piece)
    }
}

/// Everything up to the empty line; `None` if the client has nothing more to ask.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
        if head.len() > LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

const LONGEST_HEAD: usize = 64 << 10;
