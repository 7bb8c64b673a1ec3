//! Lanes: one connection, one span at a time.

use crate::origin::{
    Origin, Reply, Request, client, fetch, lane, payload, reply, rest, serve, soon, span,
};
use haul_fetch::{Client, Error, Options, RateLimit};
use std::num::NonZeroU64;
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn spans_follow_each_other_over_one_connection() {
    let file = payload(200_000);
    let origin = Origin::of(file.clone()).await;
    let mut lane = lane(&client(), &origin, file.len());
    for (start, end) in [(100, 70_000), (199_999, 200_000), (0, 1), (50_000, 50_010)] {
        let bytes = fetch(&mut lane, span(start, end)).await.unwrap();
        assert_eq!(bytes, file[start as usize..end as usize]);
        assert_eq!(lane.peer(), Some(origin.address));
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.connection == 0));
    assert_eq!(requests[0].range(), Some((100, Some(69_999))));
}

#[tokio::test]
async fn a_connection_that_was_closed_between_spans_is_replaced() {
    let file = payload(1000);
    let sent = file.clone();
    let origin = Origin::new(move |request| serve(request, &sent).close()).await;
    let mut lane = lane(&client(), &origin, file.len());
    for start in [0, 500] {
        let bytes = fetch(&mut lane, span(start, start + 500)).await.unwrap();
        assert_eq!(bytes, file[start as usize..][..500]);
    }
    assert_eq!(origin.requests().last().unwrap().connection, 1);
}

#[tokio::test]
async fn a_trimmed_span_ends_early_and_its_connection_is_not_kept() {
    let file = payload(4 << 20);
    let origin = Origin::of(file.clone()).await;
    let mut lane = lane(&client(), &origin, file.len());
    lane.open(span(0, 4 << 20)).await.unwrap();
    let first = lane.next().await.unwrap().unwrap();
    lane.trim(100_000);
    let bytes = [&first[..], &rest(&mut lane).await.unwrap()].concat();
    assert_eq!(bytes, file[..100_000]);
    assert_eq!((lane.position(), lane.left(), lane.peer()), (100_000, None, None));
    assert_eq!(fetch(&mut lane, span(7, 9)).await.unwrap(), file[7..9]);
    assert_eq!(origin.requests()[1].connection, 1);
}

#[tokio::test]
async fn a_span_is_never_trimmed_below_what_was_handed_out_and_never_grows() {
    let file = payload(100_000);
    let origin = Origin::of(file.clone()).await;
    let mut lane = lane(&client(), &origin, file.len());
    lane.open(span(10, 90_000)).await.unwrap();
    lane.trim(95_000);
    assert_eq!(lane.left(), Some(span(10, 90_000)));
    let piece = lane.next().await.unwrap().unwrap();
    lane.trim(0);
    assert_eq!((lane.position(), lane.left()), (10 + piece.len() as u64, None));
    assert_eq!(lane.next().await.unwrap(), None);
}

#[tokio::test]
async fn dropping_the_futures_of_a_lane_loses_neither_bytes_nor_requests() {
    let file = payload(3000);
    let sent = file.clone();
    let origin = Origin::new(move |_| {
        let head = b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-2/3000\r\nContent-Length: 3\r\n\r\n";
        Reply::raw("").trickle(&[&head[..], &sent[..3]].concat())
    })
    .await;
    let mut lane = lane(&client(), &origin, 3000);
    let tick = Duration::from_millis(5);
    let opened = timeout(tick, lane.open(span(0, 3))).await;
    assert!(opened.is_err());
    let mut bytes = Vec::new();
    while lane.left().is_some() {
        if let Ok(piece) = timeout(tick, lane.next()).await {
            bytes.extend(piece.unwrap().unwrap());
        }
    }
    assert_eq!(bytes, file[..3]);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_broken_body_is_resumed_at_its_last_byte() {
    for reset in [false, true] {
        let file = payload(100_000);
        let sent = file.clone();
        let origin = Origin::new(move |request| {
            let (first, _) = request.range().unwrap();
            let fields = format!("HTTP/1.1 206 P\r\nContent-Length: {}\r\n", 100_000 - first);
            let range = format!("Content-Range: bytes {first}-99999/100000\r\n\r\n");
            let body = &sent[first as usize..][..20_000];
            let cut = Reply::raw([fields.as_bytes(), range.as_bytes(), body].concat());
            if reset { cut.reset() } else { cut.close() }
        })
        .await;
        let mut lane = lane(&client(), &origin, file.len());
        let (mut bytes, mut losses) = (Vec::new(), 0);
        while bytes.len() < file.len() {
            lane.open(span(bytes.len() as u64, 100_000)).await.unwrap();
            loop {
                match soon(lane.next()).await {
                    Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                    Ok(None) => break,
                    Err(Error::Lost { at, .. }) => {
                        assert_eq!(at, bytes.len() as u64);
                        losses += 1;
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(bytes == file && losses >= 4, "{losses} losses");
    }
}

#[tokio::test]
async fn an_expired_location_is_found_anew_from_the_url_that_was_asked_for() {
    let file = payload(1000);
    let sent = file.clone();
    let origin = Origin::new(move |request| match (request.path(), request.number) {
        ("/f.bin", 0) => reply("302 F\nLocation: /signed?1\nContent-Length: 0", b""),
        ("/f.bin", _) => reply("302 F\nLocation: /signed?2\nContent-Length: 0", b""),
        ("/signed?1", 3..) => reply("403 F\nContent-Length: 0", b""),
        _ => serve(request, &sent),
    })
    .await;
    let mut lane = lane(&client(), &origin, file.len());
    for start in [0, 100, 200, 300] {
        let bytes = fetch(&mut lane, span(start, start + 100)).await.unwrap();
        assert_eq!(bytes, file[start as usize..][..100]);
    }
    let requests = origin.requests();
    let paths: Vec<_> = requests.iter().map(Request::path).collect();
    assert_eq!(
        paths,
        ["/f.bin", "/signed?1", "/signed?1", "/signed?1", "/f.bin", "/signed?2", "/signed?2"]
    );
}

#[tokio::test]
async fn lanes_share_the_clients_rate() {
    let file = payload(60_000);
    let origin = Origin::of(file.clone()).await;
    let limit = RateLimit::new(NonZeroU64::new(200_000).unwrap());
    let client = Client::new(Options { limit: Some(limit), ..Options::default() }).unwrap();
    let (mut one, mut two) = (lane(&client, &origin, 60_000), lane(&client, &origin, 60_000));
    let started = Instant::now();
    let (a, b) =
        tokio::join!(fetch(&mut one, span(0, 30_000)), fetch(&mut two, span(30_000, 60_000)));
    assert_eq!([a.unwrap(), b.unwrap()].concat(), file);
    // What was saved up while the lanes connected is 100 ms of the rate at most.
    assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
}
