//! Through the page alone, a file arrives byte-exact, and whoever watches hears all of it.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "a test may panic, and its helpers are shared"
)]

mod browser;

use browser::Served;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_submitted_on_the_page_arrives_and_its_events_are_told() {
    let page = Served::new().await;
    let payload = Payload::new(5, 3 << 20);
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).start().unwrap();
    let cookie = page.enter().await;
    let mut live = Events::open(&page, &cookie, None).await;
    let answer = page.post("/jobs", &cookie, &job(&origin, "saved.bin")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = live.until("done").await;
    assert!(told[0].contains("event: begin") && told[0].contains("saved.bin"), "{told:?}");
    assert!(told.iter().any(|event| event.contains(r#""event":"probed""#)), "{told:?}");
    assert_eq!(payload.first_difference(page.path("saved.bin")).unwrap(), None);

    // Whoever comes later, or back, hears what was told.
    let replayed = Events::open(&page, &cookie, None).await.until("done").await;
    assert_eq!(replayed.first(), told.first());
    assert_eq!(replayed.last(), told.last());
    let rest = Events::open(&page, &cookie, Some(1)).await.until("done").await;
    assert_eq!(rest[..], replayed[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_download_runs_at_a_time_and_a_cancelled_one_goes_on_where_it_was() {
    let page = Served::new().await;
    let payload = Payload::new(6, 4 << 20);
    let slow = Shape::by_peer(Rate::mbit(8));
    let origin =
        Origin::builder().serve("/file.bin", Resource::of(payload)).shape(slow).start().unwrap();
    let cookie = page.enter().await;
    assert_eq!(page.post("/jobs/cancel", &cookie, "{}").await.status, 409);
    let mut live = Events::open(&page, &cookie, None).await;
    assert_eq!(page.post("/jobs", &cookie, &job(&origin, "a.bin")).await.status, 202);
    assert_eq!(page.post("/jobs", &cookie, &job(&origin, "b.bin")).await.status, 409);
    live.until("progress").await;
    assert_eq!(page.post("/jobs/cancel", &cookie, "{}").await.status, 202);
    let told = live.until("failed").await;
    assert!(told.last().unwrap().contains(r#""code":7"#), "{told:?}");
    assert!(!page.path("a.bin").exists());

    origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(800));
    assert_eq!(page.post("/jobs", &cookie, &job(&origin, "a.bin")).await.status, 202);
    live.until("done").await;
    assert_eq!(payload.first_difference(page.path("a.bin")).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_with_what_happened_why_and_what_to_try() {
    let page = Served::new().await;
    let origin = Origin::builder().start().unwrap();
    let cookie = page.enter().await;
    assert_eq!(page.post("/jobs", &cookie, &job(&origin, "a.bin")).await.status, 202);
    let told = Events::open(&page, &cookie, None).await.until("failed").await;
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
    let cookie = page.enter().await;
    let mut live = Events::open(&page, &cookie, None).await;
    assert_eq!(page.post("/jobs", &cookie, &job(&origin, "a.bin")).await.status, 202);
    live.until("progress").await;
    let folder = page.end().await;
    assert!(folder.path().join("a.bin.part").exists());
    assert!(!folder.path().join("a.bin").exists());
}

fn job(origin: &Origin, save_as: &str) -> String {
    format!(r#"{{"url":"{}","save_as":"{save_as}"}}"#, origin.url("/file.bin"))
}

/// An open stream of events, without the chunks that carry it.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(page: &Served, cookie: &str, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let host = page.address;
        let head =
            format!("GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream));
        while !events.line().await.is_empty() {}
        events
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
