//! An origin whose every byte is the test's own.

use haul_fetch::{Body, Client, Error, Lane, Options};
use haul_span::Span;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// Listens on loopback until it is dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which connection it came over, counted from 0.
    pub(crate) connection: usize,
    /// How many requests came before it, over any connection.
    pub(crate) number: usize,
    pub(crate) head: String,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The first byte and, where given, the last one.
    pub(crate) fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().unwrap(), last.parse().ok()))
    }
}

/// What goes over the wire after a request was read.
pub(crate) struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

enum Then {
    KeepAlive,
    Close,
    Reset,
    Stall,
    Trickle(Vec<u8>),
}

pub(crate) fn reply(head: &str, body: &[u8]) -> Reply {
    let head = head.trim().lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
    let bytes = [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
    Reply { bytes, then: Then::KeepAlive }
}

impl Reply {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::KeepAlive }
    }

    pub(crate) fn close(self) -> Self {
        Self { then: Then::Close, ..self }
    }

    pub(crate) fn reset(self) -> Self {
        Self { then: Then::Reset, ..self }
    }

    /// Sends nothing more, and keeps the connection.
    pub(crate) fn stall(self) -> Self {
        Self { then: Then::Stall, ..self }
    }

    /// Sends these bytes one by one, 20 ms apart.
    pub(crate) fn trickle(self, bytes: &[u8]) -> Self {
        Self { then: Then::Trickle(bytes.to_vec()), ..self }
    }
}

impl Origin {
    pub(crate) async fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    pub(crate) async fn listen(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Script { answer: Box::new(answer), requests: requests.clone() });
        let task = tokio::spawn(accept(listener, tls, script));
        Self { address, requests, task }
    }

    /// The file `payload`, served as the RFCs ask for.
    pub(crate) async fn of(payload: Vec<u8>) -> Self {
        Self::new(move |request| serve(request, &payload)).await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Script {
    answer: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    requests: Arc<Mutex<Vec<Request>>>,
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, script: Arc<Script>) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, tls.clone(), script.clone(), connection));
    }
}

async fn converse(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    script: Arc<Script>,
    connection: usize,
) {
    if let Some(tls) = tls {
        let Ok(mut stream) = tls.accept(stream).await else { return };
        talk(&mut stream, &script, connection).await;
    } else if let Some(Then::Reset) = talk(&mut stream, &script, connection).await {
        stream.set_zero_linger().unwrap();
    }
}

async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    script: &Script,
    connection: usize,
) -> Option<Then> {
    while let Some(head) = head(stream).await {
        let request = {
            let mut requests = script.requests.lock().unwrap();
            let request = Request { connection, number: requests.len(), head };
            requests.push(request.clone());
            request
        };
        let Reply { bytes, then } = (script.answer)(&request);
        stream.write_all(&bytes).await.ok()?;
        stream.flush().await.ok()?;
        match then {
            Then::KeepAlive => {}
            Then::Stall => std::future::pending().await,
            Then::Trickle(bytes) => trickle(stream, &bytes).await?,
            Then::Close | Then::Reset => return Some(then),
        }
    }
    None
}

async fn trickle(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<()> {
    for byte in bytes {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(&[*byte]).await.ok()?;
        stream.flush().await.ok()?;
    }
    Some(())
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A well-behaved answer.
pub(crate) fn serve(request: &Request, payload: &[u8]) -> Reply {
    let length = payload.len() as u64;
    let Some((first, last)) = request.range() else {
        return reply(&format!("200 OK\nETag: \"v1\"\nContent-Length: {length}"), payload);
    };
    if first >= length {
        return reply(&format!("416 No\nContent-Range: bytes */{length}\nContent-Length: 0"), b"");
    }
    let end = last.map_or(length, |last| length.min(last + 1));
    part(payload, first..end, &format!("Content-Range: bytes {first}-{}/{length}", end - 1))
}

/// An answer with a part of `payload`, whatever `fields` say of it.
pub(crate) fn part(payload: &[u8], range: std::ops::Range<u64>, fields: &str) -> Reply {
    let body = &payload[range.start as usize..range.end as usize];
    let length = body.len();
    let head = format!("206 Partial Content\nETag: \"v1\"\nContent-Length: {length}\n{fields}");
    reply(&head, body)
}

/// Bytes in which no part looks like another.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| step()).collect()
}

pub(crate) fn client() -> Client {
    Client::new(Options::default()).unwrap()
}

pub(crate) fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

/// A lane on a source of known length, which has sent no request yet.
pub(crate) fn lane(client: &Client, origin: &Origin, length: usize) -> Lane {
    Lane::new(client.source(&origin.url("/f.bin"), length as u64, None).unwrap())
}

/// All of a span.
pub(crate) async fn fetch(lane: &mut Lane, span: Span) -> Result<Vec<u8>, Error> {
    lane.open(span).await?;
    rest(lane).await
}

pub(crate) async fn rest(lane: &mut Lane) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = lane.next().await? {
        assert!(!piece.is_empty() && piece.len() <= 64 << 10);
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// All of a body, with the error that it ended with if it did.
pub(crate) async fn drain(body: &mut Body) -> (Vec<u8>, Option<Error>) {
    let mut bytes = Vec::new();
    loop {
        match body.next().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

/// `work` within a time that only a hang takes.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it hangs")
}
