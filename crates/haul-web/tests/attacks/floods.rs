//! Too much, too slowly, or for too long: whatever somebody does with the port, a download at work
//! ends as if nobody had.

use crate::client::{Served, Session, head, with};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn streams_without_end_leave_room_for_the_page() {
    let page = Served::new().await;
    let session = page.enter().await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut stream = events(&page, &session).await;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        refused += usize::from(status.ends_with(b"429"));
        open.push(stream);
    }
    assert_eq!(refused, 8);
    assert_eq!(page.send("GET", "/api/jobs", &page.inside(&session), "").await.status, 200);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_reads_do_not_hold_a_download_up() {
    let download = Download::start().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(events(&download.page, &download.session).await);
    }
    download.ends_well().await;
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_opened_and_dropped_by_the_hundred_do_not_hold_a_download_up() {
    let download = Download::start().await;
    for _ in 0..300 {
        drop(events(&download.page, &download.session).await);
    }
    download.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_by_the_hundred_do_not_hold_a_download_up() {
    let download = Download::start().await;
    let mut open = Vec::new();
    for _ in 0..300 {
        open.push(TcpStream::connect(download.page.address).await.unwrap());
    }
    drop(open);
    download.ends_well().await;
}

/// What somebody who may not use the page does with a connection to it.
#[derive(Clone, Copy, Debug)]
enum Stranger {
    Idle,
    HalfAHead,
    SlowHead,
    Tls,
    Asks,
}

impl Stranger {
    /// Holds a connection for as long as the page lets it, and makes another then.
    async fn hold(self, address: SocketAddr) {
        loop {
            // Whoever is refused tries again.
            let _ = self.hold_one(address).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn hold_one(self, address: SocketAddr) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n");
        match self {
            Self::Idle => {}
            Self::HalfAHead => stream.write_all(head.as_bytes()).await?,
            Self::SlowHead => {
                for byte in head.bytes() {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Self::Tls => stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await?,
            Self::Asks => stream.write_all(format!("{head}\r\n").as_bytes()).await?,
        }
        let mut sink = [0; 4096];
        while stream.read(&mut sink).await? > 0 {}
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_strangers_keep_no_page_from_the_owner() {
    const PAGES: usize = 53;
    use Stranger::{Asks, HalfAHead, Idle, SlowHead, Tls};
    for (stranger, count) in [Idle, HalfAHead, SlowHead, Tls, Asks]
        .into_iter()
        .flat_map(|kind| [(kind, 64), (kind, 500)])
    {
        let page = Served::new().await;
        let session = page.enter().await;
        let mut open = events(&page, &session).await;
        // The page knows the owner once it has answered.
        let mut status = [0; 12];
        open.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        let address = page.address;
        let mut strangers = tokio::task::JoinSet::new();
        (0..count).for_each(|_| drop(strangers.spawn(stranger.hold(address))));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut shown = 0;
        for at in 0..PAGES {
            let (path, fields) = match at % 3 {
                0 => ("/", page.own()),
                1 => ("/page.js", page.own()),
                _ => ("/api/jobs", page.inside(&session)),
            };
            let answer = page.bytes(head("GET", path, &fields).as_bytes()).await;
            shown += usize::from(answer.starts_with(b"HTTP/1.1 200"));
        }
        assert_eq!(shown, PAGES, "{count} connections that are {stranger:?}");
        // The owner's stream of events is still open, and tells.
        let body = r#"{"url":"http://127.0.0.1:9/file","save_as":"told"}"#;
        assert_eq!(page.post("/api/jobs", &session, body).await.status, 202);
        let mut told = Vec::new();
        while !String::from_utf8_lossy(&told).contains("told") {
            assert!(open.read_buf(&mut told).await.unwrap() > 0, "the stream was closed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_let_in_among_connections_of_strangers() {
    let page = Served::new().await;
    let address = page.address;
    let mut strangers = tokio::task::JoinSet::new();
    (0..500).for_each(|_| drop(strangers.spawn(Stranger::Idle.hold(address))));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let session = page.enter().await;
    assert_eq!(page.send("GET", "/api/jobs", &page.inside(&session), "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_strangers_by_the_thousand_do_not_hold_a_download_up() {
    let download = Download::start().await;
    let page = &download.page;
    let foreign = with(page.own(), "Host", "evil.example");
    for _ in 0..500 {
        assert_eq!(page.send("GET", "/api/jobs", &foreign, "").await.status, 403);
        assert_eq!(page.send("POST", "/api/jobs/cancel", &page.own(), "{}").await.status, 403);
    }
    download.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_never_end_are_given_up() {
    let page = Served::new().await;
    let session = page.enter().await;
    let mut slow = Vec::new();
    let body = head("POST", "/api/jobs", &with(page.inside(&session), "Content-Length", "99"));
    let half = format!("GET / HTTP/1.1\r\nHost: {}\r\n", page.address);
    for begun in [half.as_bytes(), b"G", b"", body.as_bytes()] {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    for mut stream in slow {
        let mut answer = Vec::new();
        // Closed or reset: either way it holds no place any more.
        let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
            .await
            .unwrap();
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 408");
        assert!(refused, "{:?}", String::from_utf8_lossy(&answer));
    }
    assert!(began.elapsed() > Duration::from_secs(5), "slow lines have their time too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_never_answers_holds_no_more_than_four_probes() {
    let page = Served::new().await;
    let session = page.enter().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let body = format!(r#"{{"url":"http://{}/file"}}"#, silent.local_addr().unwrap());
    let fields = with(page.inside(&session), "Content-Length", &body.len().to_string());
    let request = head("POST", "/api/probe", &fields) + &body;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        open.push((stream, silent.accept().await.unwrap()));
    }
    assert_eq!(page.post("/api/probe", &session, &body).await.status, 429);
    assert_eq!(page.send("GET", "/api/jobs", &page.inside(&session), "").await.status, 200);
}

#[tokio::test]
async fn more_downloads_than_anybody_waits_for_are_not_taken() {
    let page = Served::new().await;
    let session = page.enter().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", silent.local_addr().unwrap());
    let mut statuses = Vec::new();
    for at in 0..120 {
        let body = format!(r#"{{"url":"{url}","save_as":"file {at}"}}"#);
        statuses.push(page.post("/api/jobs", &session, &body).await.status);
    }
    assert!(statuses[..100].iter().all(|status| *status == 202), "{statuses:?}");
    assert!(statuses[100..].iter().all(|status| *status == 409), "{statuses:?}");
}

/// A download of a second or two, begun on a page.
struct Download {
    page: Served,
    session: Session,
    payload: Payload,
    _origin: Origin,
}

impl Download {
    async fn start() -> Self {
        let page = Served::new().await;
        let session = page.enter().await;
        let payload = Payload::new(8, 2 << 20);
        let shape = Shape::by_peer(Rate::mbit(16));
        let origin = Origin::builder().serve("/file", Resource::of(payload)).shape(shape);
        let origin = origin.start().unwrap();
        let body = format!(r#"{{"url":"{}","save_as":"file"}}"#, origin.url("/file"));
        assert_eq!(page.post("/api/jobs", &session, &body).await.status, 202);
        Self { page, session, payload, _origin: origin }
    }

    /// Waits for its file, which must be byte-exact.
    async fn ends_well(self) {
        let began = Instant::now();
        while !self.page.path("file").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "the download did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.payload.first_difference(self.page.path("file")).unwrap(), None);
    }
}

/// A stream of events of which nothing is read.
async fn events(page: &Served, session: &Session) -> TcpStream {
    let Session { cookie, key } = session;
    let host = page.address;
    let request = format!(
        "GET /api/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Haul-Key: {key}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
