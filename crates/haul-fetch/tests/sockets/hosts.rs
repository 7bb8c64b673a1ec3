//! What is learned of a host holds for everything that a client asks there.

use crate::origin::{Origin, client, fetch, lane, part, payload, reply, serve, soon, span};
use haul_fetch::{Client, Error, Fault, Kind, Lane, Options, Probe, Retry};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const BUSY: &str = "503 Service Unavailable\nContent-Length: 0";

#[tokio::test]
async fn a_pause_that_an_origin_asks_for_holds_for_every_lane_to_it() {
    let file = payload(100);
    let origin = Origin::new(move |request| match request.number {
        0 => reply(&format!("{BUSY}\nRetry-After: 1"), b""),
        _ => serve(request, &file),
    });
    let (origin, client) = (origin.await, client());
    let (mut one, mut two) = (lane(&client, &origin, 100), lane(&client, &origin, 100));
    let began = Instant::now();
    let error = fetch(&mut one, span(0, 50)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Busy, Retry::After(Duration::from_secs(1))));
    soon(fetch(&mut two, span(50, 100))).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_connection_that_was_one_too_many_is_remembered() {
    let file = payload(1000);
    let origin = Origin::new(move |request| match request.connection {
        0..3 => serve(request, &file).stall(),
        _ => reply(&format!("{BUSY}\nRetry-After: 0"), b""),
    });
    let (origin, client) = (origin.await, client());
    let source = client.source(&origin.url("/f"), 1000, None).unwrap();
    let mut lanes = Vec::new();
    for _ in 0..3 {
        let mut lane = Lane::new(source.clone());
        lane.open(span(0, 500)).await.unwrap();
        lanes.push(lane);
    }
    assert_eq!(source.connections(8), 8);
    assert!(Lane::new(source.clone()).open(span(0, 10)).await.is_err());
    assert_eq!((source.connections(8), source.connections(2)), (3, 2));
    let next_file = client.source(&origin.url("/g"), 1000, None).unwrap();
    assert_eq!(next_file.connections(8), 3);
}

#[tokio::test]
async fn a_strong_tag_alone_stands_in_a_condition() {
    for (tag, condition) in [("\"v1\"", Some("\"v1\"")), ("W/\"v1\"", None)] {
        let file = payload(100);
        let origin = Origin::new(move |request| {
            let (first, last) = request.range().unwrap();
            let end = last.map_or(100, |last| last + 1);
            let bytes = &file[first as usize..end as usize];
            let head = format!(
                "206 P\nETag: {tag}\nContent-Length: {}\nContent-Range: bytes {first}-{}/100",
                bytes.len(),
                end - 1
            );
            reply(&head, bytes)
        })
        .await;
        let source = client().probe(&origin.url("/f")).await.unwrap().source;
        fetch(&mut Lane::new(source), span(50, 60)).await.unwrap();
        let asked = origin.requests();
        assert_eq!(asked[0].header("if-range"), None);
        assert_eq!(asked[1].header("if-range"), condition);
    }
}

#[tokio::test]
async fn a_condition_that_spoils_ranges_is_dropped_for_good() {
    for spoilt in [false, true] {
        let file = payload(100);
        let origin = Origin::new(move |request| match request.header("if-range") {
            Some(_) if spoilt => reply("412 Precondition Failed\nContent-Length: 0", b""),
            Some(_) => reply("200 OK\nETag: \"v1\"\nContent-Length: 100", &file),
            None => serve(request, &file),
        })
        .await;
        let source = client().probe(&origin.url("/f")).await.unwrap().source;
        let mut lane = Lane::new(source);
        for at in [20, 40, 60] {
            assert_eq!(fetch(&mut lane, span(at, at + 10)).await.unwrap().len(), 10);
        }
        let conditional = |request: &&crate::origin::Request| request.header("if-range").is_some();
        assert_eq!(origin.requests().iter().filter(conditional).count(), 1);
    }
}

#[tokio::test]
async fn eight_lanes_resolve_an_expired_url_once() {
    let (file, redirects) = (payload(80_000), AtomicUsize::new(0));
    let origin = Origin::new(move |request| match request.path() {
        "/f" => {
            let number = redirects.fetch_add(1, Ordering::Relaxed);
            reply(&format!("302 Found\nLocation: /signed-{number}\nContent-Length: 0"), b"")
        }
        // The first is good for the probe alone.
        "/signed-0" if request.number > 1 => reply("403 Forbidden\nContent-Length: 0", b""),
        _ => serve(request, &file),
    })
    .await;
    let source = client().probe(&origin.url("/f")).await.unwrap().source;
    let mut lanes = JoinSet::new();
    for at in 0..8 {
        let mut lane = Lane::new(source.clone());
        lanes.spawn(async move { fetch(&mut lane, span(at * 10_000, (at + 1) * 10_000)).await });
    }
    for read in soon(lanes.join_all()).await {
        assert_eq!(read.unwrap().len(), 10_000);
    }
    let resolved = origin.requests().iter().filter(|request| request.path() == "/f").count();
    assert_eq!(resolved, 2);
}

#[tokio::test]
async fn eight_lanes_of_a_url_that_is_gone_do_not_resolve_it_eight_times() {
    let file = payload(80_000);
    let origin = Origin::new(move |request| match (request.path(), request.number) {
        ("/f", 0) => reply("302 Found\nLocation: /signed\nContent-Length: 0", b""),
        ("/signed", 1) => serve(request, &file),
        _ => reply("403 Forbidden\nContent-Length: 0", b""),
    })
    .await;
    let source = client().probe(&origin.url("/f")).await.unwrap().source;
    let mut lanes = JoinSet::new();
    for at in 0..8 {
        let mut lane = Lane::new(source.clone());
        lanes.spawn(async move { fetch(&mut lane, span(at * 10, (at + 1) * 10)).await });
    }
    assert!(soon(lanes.join_all()).await.iter().all(Result::is_err));
    let resolved = origin.requests().iter().filter(|request| request.path() == "/f").count();
    // Two of them for the probe's own, and shorter parts are tried once.
    assert!(resolved <= 3, "{resolved} times");
}

#[tokio::test]
async fn an_origin_that_refuses_long_parts_is_asked_for_shorter_ones() {
    let file = payload(1 << 20);
    let whole = file.clone();
    let origin = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        match last {
            Some(last) if last - first >= 100_000 => reply("403 F\nContent-Length: 0", b""),
            _ => serve(request, &file),
        }
    })
    .await;
    let mut lane = lane(&client(), &origin, 1 << 20);
    assert_eq!(soon(fetch(&mut lane, span(0, 1 << 20))).await.unwrap(), whole);
    let refused = origin.requests().len() - 16;
    assert_eq!(refused, 2, "1 MiB and 256 KiB were refused");
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn content_digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut text = String::new();
    for group in digest.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*group.get(at).unwrap_or(&0)));
        for place in 0..4 {
            let known = char::from(ALPHABET[bits >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { known } else { '=' });
        }
    }
    format!("Content-Digest: md5=:AAAA:, sha-256=:{text}:")
}

#[tokio::test]
async fn no_byte_of_a_part_that_is_not_what_its_digest_says_is_handed_out() {
    let file = payload(1000);
    let whole = file.clone();
    let origin = Origin::new(move |request| {
        let digest = content_digest(&file[100..900]);
        let fields = format!("Content-Range: bytes 100-899/1000\n{digest}");
        let mut sent = file.clone();
        sent[899] ^= u8::from(request.number == 0);
        part(&sent, 100..900, &fields)
    })
    .await;
    let mut lane = lane(&client(), &origin, 1000);
    lane.open(span(100, 900)).await.unwrap();
    let error = lane.next().await.unwrap_err();
    assert!(matches!(error, Error::Broken { fault: Fault::Digest, .. }), "{error}");
    assert_eq!((lane.position(), error.retry()), (100, Retry::After(Duration::ZERO)));
    assert_eq!(fetch(&mut lane, span(100, 900)).await.unwrap(), whole[100..900]);
}

#[tokio::test]
async fn a_digest_of_the_whole_body_is_one_of_the_file() {
    let file = payload(1000);
    let origin = Origin::new(move |_| {
        let fields = format!("Content-Range: bytes 0-999/1000\n{}", content_digest(&file));
        part(&file, 0..1000, &fields)
    })
    .await;
    let Probe { source, .. } = client().probe(&origin.url("/f")).await.unwrap();
    assert_eq!(source.digests().len(), 1);
}

#[tokio::test]
async fn a_source_that_takes_its_ranges_back_is_read_through_the_open_response() {
    let file = payload(100_000);
    let whole = file.clone();
    let origin = Origin::new(move |request| match request.number {
        0 => serve(request, &file),
        _ => reply("206 Partial Content\nContent-Length: 10", b"0123456789"),
    })
    .await;
    let client = Client::new(Options::default()).unwrap();
    let probe = client.probe(&origin.url("/f")).await.unwrap();
    let source = probe.source.clone();
    let mut open = probe.into_lane();
    assert_eq!(fetch(&mut open, span(0, 1000)).await.unwrap(), whole[..1000]);
    assert!(source.ranges());
    fetch(&mut Lane::new(source.clone()), span(50_000, 60_000)).await.unwrap_err();
    assert!(!source.ranges());
    assert_eq!(fetch(&mut open, span(70_000, 80_000)).await.unwrap(), whole[70_000..80_000]);
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_whole_now_and_then_does_not_take_the_ranges_back() {
    let file = payload(1000);
    let origin = Origin::new(move |request| match request.number % 3 {
        2 => serve(request, &file),
        _ => reply("200 OK\nETag: \"v1\"\nContent-Length: 1000", &file),
    })
    .await;
    let source = client().source(&origin.url("/f"), 1000, None).unwrap();
    let mut lane = Lane::new(source.clone());
    for _ in 0..4 {
        assert!(fetch(&mut lane, span(100, 200)).await.is_err());
        assert!(fetch(&mut lane, span(100, 200)).await.is_err());
        assert!(source.ranges());
        fetch(&mut lane, span(100, 200)).await.unwrap();
    }
    for _ in 0..2 {
        fetch(&mut lane, span(100, 200)).await.unwrap_err();
    }
    assert!(source.ranges());
}
