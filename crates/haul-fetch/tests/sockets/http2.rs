//! HTTP/2: lanes share a connection, none of them holds up another, and what is read ahead of a
//! reader is bounded.

use crate::origin::{fetch, payload, soon, span};
use crate::secure::{acceptor_of, trusting};
use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use haul_fetch::{Allowance, Client, Error, Guard, Lane, Options, Timeouts};
use hyper::{Request, Response};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

const LENGTH: usize = 8 << 20;

/// How much of one stream may be read ahead of its reader.
const WINDOW: usize = 1 << 20;

/// An origin of `/file` and of `/silence`, which it never answers.
struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
    roots: Vec<u8>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// What each connection was chosen to speak.
    protocols: Mutex<Vec<Option<Vec<u8>>>>,
    /// How much of the answer to each request was let out by the windows.
    sent: Mutex<Vec<Arc<AtomicUsize>>>,
}

impl Origin {
    async fn new() -> Self {
        let (tls, roots) = acceptor_of("127.0.0.1", &["h2", "http/1.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&seen)));
        Self { address, seen, roots, task }
    }

    fn options(&self) -> Options {
        Options { extra_roots: self.roots.clone(), http2: true, ..Options::default() }
    }

    fn lane(&self, client: &Client, path: &str) -> Lane {
        let url = Url::parse(&format!("https://{}{path}", self.address)).unwrap();
        Lane::new(client.source(&url, LENGTH as u64, None).unwrap())
    }

    fn connections(&self) -> usize {
        self.seen.protocols.lock().unwrap().len()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, tls.clone(), Arc::clone(&seen)));
    }
}

async fn converse(stream: TcpStream, tls: TlsAcceptor, seen: Arc<Seen>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    seen.protocols.lock().unwrap().push(protocol);
    let Ok(mut connection) = server::handshake(stream).await else { return };
    let mut silent = Vec::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        if request.uri().path() == "/silence" {
            silent.push(respond);
        } else {
            let sent = Arc::new(AtomicUsize::new(0));
            seen.sent.lock().unwrap().push(Arc::clone(&sent));
            tokio::spawn(answer(request, respond, sent));
        }
    }
}

/// Sends the part that is asked for as fast as the windows allow.
async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sent: Arc<AtomicUsize>,
) -> Result<(), h2::Error> {
    let range = request.headers()["range"].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let head = Response::builder().status(206).header("etag", "\"v1\"");
    let head = head.header("content-range", format!("bytes {first}-{last}/{LENGTH}"));
    let mut stream = respond.send_response(head.body(()).unwrap(), false)?;
    let mut rest = Bytes::from(payload(LENGTH)).slice(first..=last);
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let piece = rest.split_to(room.unwrap_or(Err(Reason::CANCEL.into()))?.min(rest.len()));
        sent.fetch_add(piece.len(), Ordering::Relaxed);
        stream.send_data(piece, rest.is_empty())?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lane_that_stops_reading_holds_up_no_other_and_little_is_read_ahead_for_it() {
    let origin = Origin::new().await;
    let client = Client::new(origin.options()).unwrap();
    let mut stops = origin.lane(&client, "/file");
    stops.open(span(0, LENGTH as u64)).await.unwrap();
    let begun = stops.next().await.unwrap().unwrap().len();
    let mut goes_on = origin.lane(&client, "/file");
    let file = payload(LENGTH);
    for start in (0..LENGTH).step_by(1 << 20) {
        let part = span(start as u64, (start + (1 << 20)) as u64);
        let bytes = soon(fetch(&mut goes_on, part)).await.unwrap();
        assert_eq!(bytes, file[start..][..1 << 20]);
    }
    let ahead = origin.seen.sent.lock().unwrap()[0].load(Ordering::Relaxed) - begun;
    assert!(ahead <= WINDOW + (128 << 10), "{ahead} bytes are read ahead");
    let rest = soon(fetch(&mut stops, span(begun as u64, LENGTH as u64))).await.unwrap();
    assert_eq!(rest, file[begun..]);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_lane_that_is_dropped_takes_only_its_own_stream_along() {
    let origin = Origin::new().await;
    let client = Client::new(origin.options()).unwrap();
    let (mut one, mut two) = (origin.lane(&client, "/file"), origin.lane(&client, "/file"));
    one.open(span(0, LENGTH as u64)).await.unwrap();
    two.open(span(0, LENGTH as u64)).await.unwrap();
    one.next().await.unwrap();
    drop(one);
    assert_eq!(soon(fetch(&mut two, span(0, LENGTH as u64))).await.unwrap(), payload(LENGTH));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_leaves_a_stream_without_an_answer_gets_no_further_one() {
    let origin = Origin::new().await;
    let head = Duration::from_millis(300);
    let timeouts = Timeouts { head, ..Timeouts::default() };
    let client = Client::new(Options { timeouts, ..origin.options() }).unwrap();
    let error = origin.lane(&client, "/silence").open(span(0, 9)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(fetch(&mut origin.lane(&client, "/file"), span(0, 9)).await.unwrap().len(), 9);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn nobody_is_offered_http2_unless_the_caller_wants_it_and_no_helper_offers_it() {
    let origin = Origin::new().await;
    let wants = Client::new(origin.options()).unwrap();
    let clients = [trusting(origin.roots.clone()), wants.under(Guard::Open, Arc::new(Anything))];
    for client in clients {
        // What is spoken then is no HTTP/1.1, which does not matter here.
        let _ = soon(origin.lane(&client, "/file").open(span(0, 9))).await;
    }
    let protocols = origin.seen.protocols.lock().unwrap();
    assert!(protocols.len() >= 2);
    assert!(protocols.iter().all(|protocol| protocol.as_deref() == Some(b"http/1.1")));
}

struct Anything;

impl Allowance for Anything {
    fn admits(&self, _: &str) -> bool {
        true
    }

    fn poll_take(&self, _: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(wanted))
    }

    fn give_back(&self, _: usize) {}

    fn thrown_away(&self, _: u64) {}
}
