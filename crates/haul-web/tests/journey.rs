//! Through the page alone, a file arrives byte-exact, and whoever watches hears all of it.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "a test may panic, and its helpers are shared"
)]

mod client;

use client::{Served, Session};
use haul::Happening;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::sync::mpsc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_submitted_on_the_page_arrives_and_its_events_are_told() {
    let page = Served::new().await;
    let payload = Payload::new(5, 3 << 20);
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).start().unwrap();
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    let answer = page.post("/api/jobs", &session, &job(&origin, "saved.bin")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = live.until("done").await;
    let begin = told.iter().position(|event| event.contains("event: begin")).unwrap();
    assert!(told[begin].contains("saved.bin"), "{told:?}");
    assert!(told.iter().any(|event| event.contains(r#""event":"probed""#)), "{told:?}");
    assert_eq!(payload.first_difference(page.path("saved.bin")).unwrap(), None);

    // Whoever comes later, or back, hears what was told.
    let replayed = Events::open(&page, &session, None).await.until("done").await;
    assert!(replayed.contains(&told[begin]) && replayed.last() == told.last());
    let rest = Events::open(&page, &session, Some(id(&told[begin]))).await.until("done").await;
    assert!(!rest.contains(&told[begin]) && rest.last() == told.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_leads_to_private_addresses_only_if_the_page_was_told_so() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = Served::through(proxy.local_addr().unwrap()).await;
    let led = tokio::spawn(lead_to_the_router(proxy));
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    let job = r#"{"url":"http://origin.test/file","save_as":"led.bin""#;
    assert_eq!(page.post("/api/jobs", &session, &format!("{job}}}")).await.status, 202);
    let told = live.until("failed").await;
    assert!(told.last().unwrap().contains(r#""code":43"#), "{told:?}");
    let allowed = format!(r#"{job},"allow_private":true}}"#);
    assert_eq!(page.post("/api/jobs", &session, &allowed).await.status, 202);
    live.until("done").await;
    assert_eq!(std::fs::read(page.path("led.bin")).unwrap(), b"rebooting");
    assert_eq!(led.await.unwrap(), ["origin.test", "origin.test", "192.168.0.1"]);
}

/// A proxy behind which a server on the internet redirects to a router; whom it was asked for.
async fn lead_to_the_router(proxy: TcpListener) -> Vec<String> {
    let mut hosts = Vec::new();
    while hosts.len() < 3 {
        let (stream, _) = proxy.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
        let host = head.strip_prefix("GET http://").unwrap().split('/').next().unwrap().to_owned();
        let answer = if host == "origin.test" {
            "302 Go\r\nLocation: http://192.168.0.1/router/reboot\r\nContent-Length: 0\r\n\r\n"
        } else {
            "200 OK\r\nContent-Length: 9\r\n\r\nrebooting"
        };
        let answer = answer.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
        hosts.push(host);
    }
    hosts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_download_goes_on_from_another_url_where_it_was() {
    let page = Served::new().await;
    let payload = Payload::new(6, 4 << 20);
    let slow = Shape::by_peer(Rate::mbit(8));
    let (one, two) = (Resource::of(payload), Resource::of(payload));
    let origin = Origin::builder().serve("/file.bin", one).serve("/mirror", two).shape(slow);
    let origin = origin.start().unwrap();
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    assert_eq!(page.post("/api/jobs/pause", &session, r#"{"job":1}"#).await.status, 409);
    assert_eq!(page.post("/api/jobs", &session, &job(&origin, "a.bin")).await.status, 202);
    assert_eq!(page.post("/api/jobs", &session, &job(&origin, "a.bin")).await.status, 409);
    live.until_stored(1 << 20).await;
    assert_eq!(page.post("/api/jobs/pause", &session, r#"{"job":1}"#).await.status, 202);
    let told = live.until("failed").await;
    assert!(told.last().unwrap().contains(r#""code":7"#), "{told:?}");
    assert!(told.iter().any(|event| event.contains(r#""is":"paused""#)), "{told:?}");
    assert!(!page.path("a.bin").exists());

    origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    let resume = format!(r#"{{"job":1,"url":"{}"}}"#, origin.url("/mirror"));
    assert_eq!(page.post("/api/jobs/resume", &session, &resume).await.status, 202);
    let told = live.until("done").await.pop().unwrap();
    assert_eq!(payload.first_difference(page.path("a.bin")).unwrap(), None);
    let fetched = told.split_once(r#""own link","bytes":"#).unwrap().1.split(',').next().unwrap();
    assert!(fetched.parse::<u64>().unwrap() <= 3 << 20, "all of it was fetched again: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_download_is_told_to_the_program_unless_somebody_stopped_it() {
    let (told, ends) = mpsc::channel();
    let page = Served::telling(move |event| told.send(event.what.clone()).unwrap()).await;
    let payload = Payload::new(6, 4 << 20);
    let slow = Shape::by_peer(Rate::mbit(8));
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).shape(slow);
    let origin = origin.start().unwrap();
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    assert_eq!(page.post("/api/jobs", &session, &job(&origin, "a.bin")).await.status, 202);
    live.until_stored(1 << 20).await;
    assert_eq!(page.post("/api/jobs/pause", &session, r#"{"job":1}"#).await.status, 202);
    live.until("failed").await;
    assert!(ends.try_recv().is_err(), "somebody paused it");
    origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    assert_eq!(page.post("/api/jobs/resume", &session, r#"{"job":1}"#).await.status, 202);
    live.until("done").await;
    assert!(matches!(ends.try_recv().unwrap(), Happening::Done(_)));
    let nothing = job(&origin, "b.bin").replace("/file.bin", "/nothing");
    assert_eq!(page.post("/api/jobs", &session, &nothing).await.status, 202);
    live.until("failed").await;
    assert!(matches!(ends.try_recv().unwrap(), Happening::Failed(failed) if failed.code == 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_wait_for_their_turn_and_one_that_is_cancelled_lets_the_next_begin() {
    let page = Served::new().await;
    let payload = Payload::new(6, 4 << 20);
    let resource = Resource::of(payload);
    let slow = Shape::by_peer(Rate::mbit(8));
    let origin = Origin::builder().serve("/file.bin", resource).shape(slow).start().unwrap();
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    for name in ["a.bin", "b.bin", "c.bin"] {
        assert_eq!(page.post("/api/jobs", &session, &job(&origin, name)).await.status, 202);
    }
    live.until("progress").await;
    assert_eq!(page.post("/api/jobs/cancel", &session, r#"{"job":2}"#).await.status, 202);
    assert_eq!(page.post("/api/jobs/cancel", &session, r#"{"job":1}"#).await.status, 202);
    origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    let told = live.until("done").await;
    assert!(told.iter().any(|event| event.contains(r#"{"job":3,"save_as":"c.bin"}"#)), "{told:?}");
    assert_eq!(payload.first_difference(page.path("c.bin")).unwrap(), None);
    assert!(!page.path("a.bin").exists() && !page.path("b.bin").exists());
    assert_eq!(page.post("/api/jobs/forget", &session, r#"{"job":3}"#).await.status, 202);
    let list = page.send("GET", "/api/jobs", &page.inside(&session), "").await.body;
    assert!(!list.contains("c.bin") && list.contains("a.bin"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_names_the_file_and_downloads_nothing() {
    let page = Served::new().await;
    let payload = Resource::of(Payload::new(6, 4 << 20));
    let slow = Shape::by_peer(Rate::mbit(8));
    let origin = Origin::builder().serve("/file.bin", payload).shape(slow).start().unwrap();
    let session = page.enter().await;
    let body = format!(r#"{{"url":"{}"}}"#, origin.url("/file.bin"));
    let answer = page.post("/api/probe", &session, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains(r#""name":"file.bin""#) && answer.body.contains("4194304"));
    assert!(origin.counts().bytes < 1 << 20);
    assert_eq!(std::fs::read_dir(page.folder.path()).unwrap().count(), 0);
    let gone = format!(r#"{{"url":"{}"}}"#, origin.url("/nothing"));
    let answer = page.post("/api/probe", &session, &gone).await;
    assert!(answer.status == 422 && answer.body.contains(r#""code":3"#), "{answer:?}");
}

#[tokio::test]
async fn a_fresh_link_opens_once_and_voids_the_one_before() {
    let page = Served::new().await;
    let fresh = page.links.fresh().unwrap();
    let token = |link: &str| format!(r#"{{"token":"{}"}}"#, link.split_once("#t=").unwrap().1);
    for (link, status) in [(&page.link, 403), (&fresh, 200), (&fresh, 403)] {
        let answer = page.send("POST", "/api/session", &page.own(), &token(link)).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_with_what_happened_why_and_what_to_try() {
    let page = Served::new().await;
    let origin = Origin::builder().start().unwrap();
    let session = page.enter().await;
    assert_eq!(page.post("/api/jobs", &session, &job(&origin, "a.bin")).await.status, 202);
    let told = Events::open(&page, &session, None).await.until("failed").await;
    for field in [r#""code":3"#, r#""error":""#, r#""because":""#, r#""try":""#] {
        assert!(told.last().unwrap().contains(field), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_ends_stops_its_download_and_keeps_what_there_is() {
    let page = Served::new().await;
    let slow = Shape::by_peer(Rate::mbit(8));
    let resource = Resource::of(Payload::new(7, 64 << 20));
    let origin = Origin::builder().serve("/file.bin", resource).shape(slow).start().unwrap();
    let session = page.enter().await;
    let mut live = Events::open(&page, &session, None).await;
    assert_eq!(page.post("/api/jobs", &session, &job(&origin, "a.bin")).await.status, 202);
    live.until("progress").await;
    let folder = page.end().await;
    assert!(folder.path().join("a.bin.part").exists());
    assert!(!folder.path().join("a.bin").exists());
}

fn job(origin: &Origin, save_as: &str) -> String {
    format!(r#"{{"url":"{}","save_as":"{save_as}"}}"#, origin.url("/file.bin"))
}

fn id(event: &str) -> u64 {
    event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().parse().unwrap()
}

/// An open stream of events, without the chunks that carry it.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(page: &Served, session: &Session, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let host = page.address;
        let Session { cookie, key } = session;
        let head = format!(
            "GET /api/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Haul-Key: {key}\r\n{last}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream));
        while !events.line().await.is_empty() {}
        events
    }

    /// Waits until so many bytes are stored.
    async fn until_stored(&mut self, bytes: u64) {
        loop {
            let told = self.until("progress").await.pop().unwrap();
            let stored = told.split_once(r#""stored":"#).unwrap().1;
            if stored.split(',').next().unwrap().parse::<u64>().unwrap() >= bytes {
                return;
            }
        }
    }

    /// Every event up to the first of this name.
    async fn until(&mut self, name: &str) -> Vec<String> {
        let mut told = Vec::new();
        let wanted = format!(r#""event":"{name}""#);
        loop {
            let event = self.event().await;
            let found = event.contains(&wanted);
            told.push(event);
            if found {
                return told;
            }
        }
    }

    async fn event(&mut self) -> String {
        let mut event = String::new();
        loop {
            let line = self.line().await;
            if ["id:", "event:", "data:"].iter().any(|field| line.starts_with(field)) {
                event = format!("{event}{line}\n");
            } else if line.is_empty() && event.contains("data:") {
                return event;
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "the stream ended");
        line.trim_end().to_owned()
    }
}
