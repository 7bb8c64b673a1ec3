//! Mirrors: lanes spread over those that have the very same file, and no failure of one counts.

use crate::origin::{
    Origin, Request, client, drain, fetch, part, payload, reply, serve, soon, span,
};
use haul_fetch::ways::Mirror;
use haul_fetch::{Client, Error, Lane, Options, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use url::Url;

const LEN: u64 = 400_000;

fn file() -> Vec<u8> {
    payload(LEN as usize)
}

/// The file with a byte changed in every place that a comparison could look at.
fn other_file() -> Vec<u8> {
    file().iter().map(|byte| byte ^ 1).collect()
}

fn with_mirrors(client: &Client, origin: &Origin, mirrors: &[Url]) -> Source {
    let source = client.source(&origin.url("/f"), LEN, None).unwrap();
    let mirrors: Vec<_> = mirrors.iter().cloned().map(Mirror::named).collect();
    source.with_mirrors(&mirrors)
}

/// Reads the file by several lanes at once, each of which holds its connection to the end.
async fn read(source: &Source) -> Result<Vec<u8>, Error> {
    let mut lanes: Vec<_> = (0..4).map(|_| Lane::new(source.clone())).collect();
    let mut bytes = Vec::new();
    for (at, lane) in (0..).zip(&mut lanes) {
        lane.open(span(at * LEN / 4, (at + 1) * LEN / 4)).await?;
    }
    for lane in &mut lanes {
        while let Some(piece) = soon(lane.next()).await? {
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes)
}

/// How many requests for parts of the file came that were no sample.
fn parts(origin: &Origin) -> usize {
    let is_part = |request: &&Request| request.range().is_some_and(|(at, _)| at % (LEN / 4) == 0);
    origin.requests().iter().filter(is_part).count()
}

#[tokio::test]
async fn lanes_spread_over_all_that_have_the_file() {
    let (one, two) = (Origin::of(file()).await, Origin::of(file()).await);
    let source = with_mirrors(&client(), &one, &[two.url("/elsewhere")]);
    assert!(read(&source).await.unwrap() == file());
    assert_eq!((parts(&one), parts(&two)), (2, 2));
}

#[tokio::test]
async fn a_mirror_with_another_file_of_the_same_length_gives_no_byte() {
    let (one, two) = (Origin::of(file()).await, Origin::of(other_file()).await);
    let source = with_mirrors(&client(), &one, &[two.url("/f")]);
    assert!(read(&source).await.unwrap() == file());
    assert_eq!((parts(&one), parts(&two)), (4, 0));
    assert_eq!(two.requests().len(), 1);
}

#[tokio::test]
async fn a_mirror_with_a_file_of_another_length_gives_no_byte() {
    let (one, two) = (Origin::of(file()).await, Origin::of(payload(LEN as usize + 1)).await);
    let source = with_mirrors(&client(), &one, &[two.url("/f")]);
    assert!(read(&source).await.unwrap() == file());
    assert_eq!(parts(&two), 0);
}

#[tokio::test]
async fn dead_broken_and_lying_mirrors_do_no_harm() {
    let one = Origin::of(file()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let missing = Origin::new(|_| reply("404 No\nContent-Length: 0", b"")).await;
    let lying =
        Origin::new(|_| part(&file(), 0..5, &format!("Content-Range: bytes 0-4/{LEN}"))).await;
    let silent = Origin::new(|_| reply("200 OK\nContent-Length: 9", b"").stall()).await;
    let dead = format!("http://{closed}/f").parse().unwrap();
    let mirrors = [dead, missing.url("/f"), lying.url("/f"), silent.url("/f")];
    let source = with_mirrors(&client(), &one, &mirrors);
    assert!(soon(read(&source)).await.unwrap() == file());
}

#[tokio::test]
async fn a_mirror_whose_version_changes_is_left_and_the_file_goes_on() {
    let one = Origin::of(file()).await;
    let two = Origin::new(|request| match request.number {
        0 | 1 => serve(request, &file()),
        _ => {
            let (first, last) = request.range().unwrap();
            let range = first..last.unwrap() + 1;
            let range_text = format!("Content-Range: bytes {first}-{}/{LEN}", range.end - 1);
            let body = &other_file()[first as usize..range.end as usize];
            let head = format!("206 Partial\nETag: \"v2\"\nContent-Length: {}", body.len());
            reply(&format!("{head}\n{range_text}"), body)
        }
    })
    .await;
    let source = with_mirrors(&client(), &one, &[two.url("/f")]);
    assert!(read(&source).await.unwrap() == file());
    assert!(parts(&one) >= 3);
}

#[tokio::test]
async fn when_the_first_origin_dies_the_mirrors_carry_the_file() {
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&dead);
    let one = Origin::new(move |request| {
        if is_dead.load(Ordering::SeqCst) {
            reply("404 Gone\nContent-Length: 0", b"")
        } else {
            serve(request, &file())
        }
    })
    .await;
    let two = Origin::of(file()).await;
    let source = with_mirrors(&client(), &one, &[two.url("/f")]);
    let mut lanes = [Lane::new(source.clone()), Lane::new(source.clone())];
    for lane in &mut lanes {
        lane.open(span(0, 10)).await.unwrap();
    }
    drop(lanes);
    dead.store(true, Ordering::SeqCst);
    assert!(read(&source).await.unwrap() == file());
}

#[tokio::test]
async fn a_body_that_breaks_goes_on_at_another_mirror_without_a_word() {
    let one = Origin::new(|request| {
        let (first, last) = request.range().unwrap();
        let end = last.map_or(LEN, |last| last + 1);
        if end - first == 64 << 10 {
            return serve(request, &file());
        }
        let body = &file()[first as usize..first as usize + 1000];
        let head = format!("206 Partial\nETag: \"v1\"\nContent-Length: {}", end - first);
        reply(&format!("{head}\nContent-Range: bytes {first}-{}/{LEN}", end - 1), body).close()
    })
    .await;
    let two = Origin::of(file()).await;
    let source = with_mirrors(&client(), &one, &[two.url("/f")]);
    assert!(read(&source).await.unwrap() == file());
}

#[tokio::test]
async fn the_first_that_has_the_file_is_the_source() {
    let gone = Origin::new(|_| reply("404 No\nContent-Length: 0", b"")).await;
    let short = Origin::of(payload(5)).await;
    let fine = Origin::of(file()).await;
    let mirrors = [Mirror::named(short.url("/f")), Mirror::announced(fine.url("/f"), 2)];
    let mut probe = client().probe_any(&gone.url("/f"), &mirrors, Some(LEN)).await.unwrap();
    assert_eq!(probe.source.url(), &fine.url("/f"));
    assert!(drain(&mut probe.body).await.0 == file());
    let failed = client().probe_any(&gone.url("/f"), &mirrors[..1], Some(LEN)).await;
    assert!(matches!(failed.err(), Some(Error::Status { status: 404, .. })));
}

#[tokio::test]
async fn an_announced_mirror_is_used_and_told_no_secret() {
    let two = Origin::of(file()).await;
    let announced = two.url("/g");
    let one = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        let end = last.map_or(LEN, |last| last + 1);
        let range = format!("Content-Range: bytes {first}-{}/{LEN}", end - 1);
        let link = format!("Link: <{announced}>; rel=duplicate; pri=1");
        part(&file(), first..end, &format!("{range}\n{link}"))
    })
    .await;
    let headers = vec![("X-Token".to_owned(), "secret".to_owned())];
    let client = Client::new(Options { headers, ..Options::default() }).unwrap();
    let mut url = one.url("/f");
    url.set_username("me").unwrap();
    let probe = client.probe_any(&url, &[], None).await.unwrap();
    assert!(read(&probe.source).await.unwrap() == file());
    assert!(parts(&two) > 0);
    let told =
        |request: &Request| request.header("x-token").or(request.header("authorization")).is_some();
    assert!(one.requests().iter().all(told) && !two.requests().iter().any(told));
}

#[tokio::test]
async fn a_kept_connection_serves_the_next_file() {
    let origin = Origin::of(payload(1000)).await;
    let client = client();
    for _ in 0..20 {
        let mut probe = client.probe(&origin.url("/f")).await.unwrap();
        assert_eq!(drain(&mut probe.body).await.0.len(), 1000);
        let mut lane = Lane::new(probe.source.clone());
        assert_eq!(fetch(&mut lane, span(10, 20)).await.unwrap(), payload(1000)[10..20]);
    }
    let last = origin.requests().iter().map(|request| request.connection).max();
    assert!(last <= Some(1), "{last:?}");
}

#[tokio::test]
async fn an_origin_that_dies_before_any_mirror_was_asked_is_followed_by_one() {
    for (follower, exact) in [(file(), true), (other_file(), false)] {
        let (one, two) = (short_lived().await, Origin::of(follower).await);
        let mirrors = [Mirror::named(two.url("/f"))];
        let probe = client().probe_any(&one.url("/f"), &mirrors, None).await.unwrap();
        let read = soon(fetch(&mut probe.into_lane(), span(0, LEN))).await;
        assert_eq!(read.is_ok_and(|bytes| bytes == file()), exact);
    }
}

/// An origin that gives a fourth of the file and then nothing any more.
async fn short_lived() -> Origin {
    Origin::new(|request| {
        if request.number > 0 {
            return reply("403 No\nContent-Length: 0", b"");
        }
        let head = format!("206 Partial\nETag: \"v1\"\nContent-Length: {LEN}");
        let range = format!("Content-Range: bytes 0-{}/{LEN}", LEN - 1);
        reply(&format!("{head}\n{range}"), &file()[..100_000]).close()
    })
    .await
}
