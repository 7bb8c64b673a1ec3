//! Time: nothing is waited for without end, and a wait that is taken up again is one wait.

use crate::origin::{Origin, Reply, client, fetch, lane, part, payload, reply, soon, span};
use haul_fetch::{Client, Error, Kind, Options, Retry, Stage, Timeouts};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use url::Url;

fn impatient() -> Client {
    let short = Duration::from_millis(200);
    let timeouts = Timeouts { connect: short, head: short, idle: short };
    Client::new(Options { timeouts, ..Options::default() }).unwrap()
}

fn stage(error: &Error) -> Option<Stage> {
    match error {
        Error::Timeout { stage, .. } => Some(*stage),
        _ => None,
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_to_an_end_times_out() {
    for trickle in [false, true] {
        let origin = Origin::new(move |_| {
            let start = Reply::raw("HTTP/1.1 200 OK\r\n");
            if trickle { start.trickle(&[b'a'; 1000]) } else { start.stall() }
        })
        .await;
        let error = soon(impatient().probe(&origin.url("/"))).await.err().unwrap();
        assert_eq!((stage(&error), error.kind()), (Some(Stage::Head), Kind::Network));
        assert_eq!(error.retry(), Retry::After(Duration::ZERO));
    }
}

#[tokio::test]
async fn a_body_that_stops_times_out_where_it_stands() {
    let file = payload(1000);
    let origin = Origin::new(move |_| {
        let head = "206 P\nContent-Length: 1000\nContent-Range: bytes 0-999/1000";
        reply(head, &file[..400]).stall()
    })
    .await;
    let mut lane = lane(&impatient(), &origin, 1000);
    let error = soon(fetch(&mut lane, span(0, 1000))).await.unwrap_err();
    assert_eq!((stage(&error), lane.position()), (Some(Stage::Body), 400));
}

#[tokio::test]
async fn a_wait_for_a_body_counts_on_when_it_is_broken_off() {
    let origin = Origin::new(|_| {
        reply("206 P\nContent-Length: 1000\nContent-Range: bytes 0-999/1000", &[1; 9]).stall()
    })
    .await;
    let mut lane = lane(&impatient(), &origin, 1000);
    lane.open(span(0, 1000)).await.unwrap();
    lane.next().await.unwrap();
    let error = soon(async {
        loop {
            if let Ok(next) = timeout(Duration::from_millis(30), lane.next()).await {
                return next.unwrap_err();
            }
        }
    });
    assert_eq!(stage(&error.await), Some(Stage::Body));
}

#[tokio::test]
async fn a_reader_that_pauses_does_not_time_out() {
    let file = payload(4 << 20);
    let sent = file.clone();
    let origin = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        let end = last.unwrap() + 1;
        part(&sent, first..end, &format!("Content-Range: bytes {first}-{}/{}", end - 1, sent.len()))
    })
    .await;
    let mut lane = lane(&impatient(), &origin, file.len());
    lane.open(span(0, file.len() as u64)).await.unwrap();
    let first = lane.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let bytes = [&first[..], &crate::origin::rest(&mut lane).await.unwrap()].concat();
    assert!(bytes == file);
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let error = soon(impatient().probe(&url)).await.err().unwrap();
    assert_eq!(stage(&error), Some(Stage::Handshake));
}

#[tokio::test]
async fn a_closed_port_is_a_network_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client().probe(&url).await.err().unwrap();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Network);
}

fn leading_to(addresses: &[&str]) -> Client {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let hosts = [("f.test".to_owned(), addresses)].into();
    Client::new(Options { hosts, ..Options::default() }).unwrap()
}

#[tokio::test]
async fn an_address_that_refuses_is_followed_by_the_next() {
    let origin = Origin::of(payload(10)).await;
    let url = Url::parse(&format!("http://f.test:{}/", origin.address.port())).unwrap();
    soon(leading_to(&["::1", "127.0.0.2", "127.0.0.1"]).probe(&url)).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_says_nothing_holds_up_the_next_by_a_quarter_of_a_second() {
    for silent in ["::1", "127.0.0.2"] {
        let origin = Origin::of(payload(10)).await;
        let swallowed =
            swallow(SocketAddr::new(silent.parse().unwrap(), origin.address.port())).await;
        let url = Url::parse(&format!("http://f.test:{}/", origin.address.port())).unwrap();
        let began = Instant::now();
        soon(leading_to(&[silent, "127.0.0.1"]).probe(&url)).await.unwrap();
        let took = began.elapsed();
        // RFC 8305 §8 recommends 250 ms; the rest is the machine's.
        assert!((250..2000).contains(&took.as_millis()), "{took:?}");
        drop(swallowed);
    }
}

/// Makes an address take no notice of connections, as a path does that loses every packet.
#[cfg(target_os = "linux")]
async fn swallow(silent: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = if silent.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind(silent).unwrap();
    let listener = socket.listen(0).unwrap();
    // A listener whose queue is full takes no notice of further connections.
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(silent)).await {
        queued.push(stream.unwrap());
    }
    (listener, queued)
}

#[tokio::test]
async fn retry_after_is_honoured_and_capped() {
    for (field, wait) in [("7", 7), ("1000000000", 120), ("Mon, 05 Jan 2026 00:00:00 GMT", 0)] {
        let origin = Origin::new(move |_| {
            reply(&format!("429 No\nRetry-After: {field}\nContent-Length: 0"), b"")
        })
        .await;
        let mut lane = lane(&client(), &origin, 1000);
        let error = fetch(&mut lane, span(0, 10)).await.unwrap_err();
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(wait)), "{field}");
        assert_eq!(error.kind(), Kind::Busy);
    }
}
