//! Whatever keeps a helper from a file, its leader is told the same and as late: it cannot feel its
//! way around the helper's network with what it names.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::control::{Command, tell};
use haul::{Home, Url};
use haul_link::FrameReader;
use haul_span::Span;
use haul_wire::{ByeReason, FailReason, Failure, Frame, Verdict};
use scene::site::{SIZE, Site, payload};
use scene::{
    employed, grant, helper, hired, is_left_without_a_byte, last_words, lured, lured_from,
    next_word, offer, verdict,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// A helper waits so long for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// What this machine may need more than the helper says that it takes.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_the_same_bytes_between_one_and_two_seconds_later() {
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    for (url, why) in [
        ("http://10.1.2.3/f".to_owned(), "the guard forbids the address"),
        ("http://[fd00::1]/f".to_owned(), "the guard forbids the address"),
        ("http://192.0.32.8:8080/f".to_owned(), "the guard forbids the port"),
        ("http://printer.lan/f".to_owned(), "the name is a local one"),
        // The resolver refuses it by itself: no label is so long (RFC 1035 §2.3.4).
        (format!("http://{}.test/f", "a".repeat(64)), "the name has no address"),
        (format!("http://127.0.0.1:{}/f", closed()), "nobody listens"),
    ] {
        let began = Instant::now();
        let url: Url = url.parse().unwrap();
        let (reader, _writer) = employed(at, &url, SIZE).await;
        assert_eq!(refused(reader).await, refusal(), "{why}");
        let after = began.elapsed();
        assert!(after >= Duration::from_secs(1), "{why}: after {after:?}");
        assert!(after < Duration::from_secs(2) + SLACK, "{why}: after {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_not_what_was_offered_is_refused_like_the_others() {
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let [named, offered]: [Url; 2] =
        ["http://10.1.2.3/f", "http://127.0.0.1/f"].map(|url| url.parse().unwrap());
    let mut session = lured(at).await.unwrap();
    session.send(&Frame::Offer(offer(&offered, SIZE))).await.unwrap();
    session.next().await.unwrap();
    let began = Instant::now();
    session.send(&Frame::Job(scene::job(&named, SIZE))).await.unwrap();
    assert_eq!(refused(session.granted().0).await, refusal());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_answer_is_refused_with_the_same_bytes() {
    let (listener, _waiting) = deaf().await;
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let url: Url = format!("http://{listener}/f").parse().unwrap();
    let (reader, _writer) = employed(at, &url, SIZE).await;
    let heard = timeout(CONNECT + 2 * SLACK, refused(reader)).await;
    assert_eq!(heard.expect("it gives up"), refusal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_while_a_helper_gets_ready_is_no_refusal() {
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let url: Url = format!("http://{}/f", dribbling().await).parse().unwrap();
    let (mut reader, _writer) = employed(at, &url, SIZE).await;
    assert!(matches!(reader.next().await, Ok(Frame::Challenge { .. })));
    sleep(Duration::from_millis(300)).await;
    tell(&Home::at(folder.path()), Command::Pause { seconds: None }).unwrap();
    assert_eq!(last_words(reader).await, (vec![], Some(ByeReason::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_leads_a_helper_at_work_to_three_such_hosts_is_left() {
    let site = Site::bind(1);
    let url = site.url();
    let leads = ["http://10.0.0.1/f", "http://169.254.169.254/f", "http://printer.lan/f"];
    site.serve((1..).zip(leads.map(str::to_owned)).collect());
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = hired(at, &url, payload()).await;
    let failure = Failure { reason: FailReason::Network, pause_ms: 2000 };
    for lease in 1..3 {
        let began = Instant::now();
        grant(&mut writer, lease, part(lease)).await;
        assert_eq!(next_word(&mut reader).await, Frame::Failed { lease, failure });
        assert!(began.elapsed() >= Duration::from_secs(1));
    }
    grant(&mut writer, 3, part(3)).await;
    is_left_without_a_byte(reader, ByeReason::Unreachable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_keys_of_one_address_are_not_heard_after_three_files_in_vain() {
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let url: Url = "http://10.1.2.3/f".parse().unwrap();
    for (nth, expected) in (0..).zip([Verdict::Yes, Verdict::Yes, Verdict::Yes, Verdict::No]) {
        let mut session = lured_from(at, [127, 8, 0, 1].into()).await.unwrap();
        let said = verdict(&mut session, offer(&url, SIZE)).await.unwrap();
        assert_eq!(said, expected, "key {nth}");
        if said == Verdict::Yes {
            session.send(&Frame::Job(scene::job(&url, SIZE))).await.unwrap();
            assert_eq!(refused(session.granted().0).await, refusal());
        }
    }
    let mut other = lured_from(at, [127, 8, 0, 2].into()).await.unwrap();
    assert_eq!(verdict(&mut other, offer(&url, SIZE)).await.unwrap(), Verdict::Yes);
}

/// What a leader hears that names a file which the helper does not get, as bytes; where the
/// challenge begins is for chance.
fn refusal() -> Vec<Vec<u8>> {
    let span = Span::new(0, 1 << 10).unwrap();
    vec![bytes(&Frame::Challenge { span }), bytes(&Frame::Bye { reason: ByeReason::Unreachable })]
}

async fn refused(mut reader: FrameReader) -> Vec<Vec<u8>> {
    let mut heard = Vec::new();
    while let Ok(frame) = reader.next().await {
        heard.push(bytes(&match frame {
            Frame::Challenge { span } => {
                Frame::Challenge { span: Span::new(0, span.len()).unwrap() }
            }
            other => other,
        }));
    }
    heard
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    frame.encode(&mut bytes);
    bytes.to_vec()
}

fn part(lease: u32) -> Span {
    Span::of_len(u64::from(lease) << 16, 1 << 16).unwrap()
}

/// Where every answer has no end, and comes byte by byte.
async fn dribbling() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = tcp.write_all(b"HTTP/1.1 206 Partial Content\r\nX-Long: ").await;
                while tcp.write_all(b"a").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    address
}

/// A port of loopback at which nobody listens.
fn closed() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// An address at which connections are not taken any more, as enough of them wait already.
async fn deaf() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let soon = Duration::from_millis(200);
    while let Ok(taken) = timeout(soon, TcpStream::connect(address)).await {
        waiting.push(taken.unwrap());
    }
    (address, (listener, waiting))
}
