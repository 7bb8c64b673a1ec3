//! A helper is no cannon: whatever a leader grants, an origin is asked no more often than an honest
//! leader makes a helper ask, and an honest one never waits for that.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a figure is told")]

mod scene;

use haul::{Helpers, Home, Leader, Url};
use haul_lab::origin::{Origin, Resource, Seen, Shape};
use haul_lab::{Payload, Rate};
use haul_span::Span;
use haul_wire::Frame;
use scene::{helper, hired};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::{sleep, timeout_at};

const SIZE: u64 = 64 << 20;

/// The burst and the pace of requests that a leader's helper makes, and what a scrap counts as.
const BURST: f64 = 256.0;
const PACE: f64 = 200.0;
const SCRAP: f64 = 8.0;

const HELPER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// How long a hostile leader shoots.
const FIRE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_asks_an_origin_no_oftener_for_single_bytes_than_a_second_of_scraps_allows() {
    let (payload, origin) = origin(Shape::default());
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = hired(at, &url(&origin), payload).await;
    writer.send(&Frame::Credit { bytes: 8 << 20 }).await.unwrap();
    writer.send(&Frame::Lanes { lanes: 8 }).await.unwrap();
    let (began, before) = (Instant::now(), requests(&origin).len());
    let mut lease = 0;
    let mut grant = async || {
        lease += 1;
        let span = Span::of_len(u64::from(lease) * 100_000 % (SIZE / 2), 1).unwrap();
        writer.send(&Frame::Grant { lease, span }).await.unwrap();
    };
    for _ in 0..32 {
        grant().await;
    }
    let until = tokio::time::Instant::now() + FIRE;
    while let Ok(frame) = timeout_at(until, reader.next()).await {
        match frame {
            Ok(Frame::Done { .. } | Frame::Failed { .. }) => grant().await,
            Ok(_) => {}
            // The helper is so quick that it floods this side.
            Err(_) => break,
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let shot = requests(&origin).len() - before;
    println!("single bytes: {shot} requests in {seconds:.1} s");
    let most = (BURST + PACE * seconds) / SCRAP;
    assert!((shot as f64) <= most + 1.0, "{shot} requests in {seconds:.1} s, of {most:.0}");
    assert!(shot > 16, "they are slowed down, and not refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_of_an_honest_leader_on_a_fast_link_never_waits_for_its_turn() {
    for (how, rate) in [("1 Gbit/s", Some(Rate::mbit(1000))), ("the fastest", None)] {
        let (payload, origin) = origin(rate.map(Shape::by_peer).unwrap_or_default());
        let folder = TempDir::new().unwrap();
        let (_serving, at) = helper(&folder.path().join("helper")).await;
        let leader = Leader::builder(url(&origin))
            .folder(folder.path())
            .home(Home::at(folder.path().join("leader")))
            .helpers(Helpers::only([at.to_string()]))
            .ports(0..=0)
            .min_helpers(1);
        let report = leader.build().unwrap().start().finish().await.unwrap();
        assert_eq!(payload.first_difference(&report.path).unwrap(), None);
        let asked = requests(&origin);
        let scraps = asked.iter().filter(|seen| is_scrap(seen)).count();
        let cost = (asked.len() - scraps) as f64 + scraps as f64 * SCRAP;
        println!("{how}: {} requests in {:.2} s, {scraps} for scraps", asked.len(), report.seconds);
        assert!(!asked.is_empty() && cost <= BURST / 2.0, "{how}: {cost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_makes_no_more_connections_than_their_bucket_holds() {
    let (payload, origin) = origin(Shape::default());
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = hired(at, &url(&origin), payload).await;
    writer.send(&Frame::Lanes { lanes: 8 }).await.unwrap();
    let (began, before) = (Instant::now(), origin.counts().connections);
    let reading = tokio::spawn(async move { while reader.next().await.is_ok() {} });
    // A response that is left half read takes its connection along.
    for lease in 1.. {
        let span = Span::of_len(u64::from(lease) % 8 * (4 << 20), 4 << 20).unwrap();
        writer.send(&Frame::Credit { bytes: 64 << 10 }).await.unwrap();
        writer.send(&Frame::Grant { lease, span }).await.unwrap();
        sleep(Duration::from_millis(3)).await;
        writer.send(&Frame::Revoke { lease }).await.unwrap();
        if began.elapsed() > FIRE {
            break;
        }
    }
    let (made, seconds) = (origin.counts().connections - before, began.elapsed().as_secs_f64());
    println!("leases that are revoked: {made} connections in {seconds:.1} s");
    reading.abort();
    assert!(made as f64 <= 64.0 + 32.0 * seconds + 1.0, "{made} in {seconds:.1} s");
}

fn origin(shape: Shape) -> (Payload, Origin) {
    let payload = Payload::new(61, SIZE);
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).shape(shape);
    (payload, origin.start().unwrap())
}

fn url(origin: &Origin) -> Url {
    origin.url("/file.bin").parse().unwrap()
}

/// What the helper asked for.
fn requests(origin: &Origin) -> Vec<Seen> {
    origin.seen().into_iter().filter(|seen| seen.peer.ip() == HELPER).collect()
}

/// Whether it was for less than an honest leader's least lease, within the file.
fn is_scrap(seen: &Seen) -> bool {
    let range = seen.headers.iter().find(|(name, _)| name == "range").unwrap();
    let (start, last) = range.1.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let [start, last]: [u64; 2] = [start, last].map(|at| at.parse().unwrap());
    last + 1 - start < 64 << 10 && last + 1 < SIZE
}
