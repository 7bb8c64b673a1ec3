//! HTTP/2 is spoken where the caller asks for it and the origin offers it, and nowhere else; the
//! lanes share a connection then, and what is read ahead is bounded.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul::{Helpers, Home, Leader, LeaderBuilder};
use haul_lab::origin::{Origin, OriginBuilder, Resource, Shape};
use haul_lab::{Certificate, Payload, Rate};
use tempfile::TempDir;

fn payload() -> Payload {
    Payload::new(33, 6 << 20)
}

fn origin(configure: impl FnOnce(OriginBuilder) -> OriginBuilder) -> Origin {
    let certificate = Certificate::for_names(["127.0.0.1"]).unwrap();
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload())).tls(certificate);
    let shape = Shape::default().per_connection(Rate::bytes_per_second(1 << 20));
    configure(origin.shape(shape)).start().unwrap()
}

async fn fetch(origin: &Origin, configure: impl FnOnce(LeaderBuilder) -> LeaderBuilder) {
    let folder = TempDir::new().unwrap();
    let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("home")))
        .extra_roots(origin.certificate().unwrap().authority_pem())
        .helpers(Helpers::None);
    let report = configure(leader).build().unwrap().run().await.unwrap();
    assert_eq!(payload().first_difference(&report.path).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_lanes_share_one_connection_where_http2_is_asked_for() {
    let origin = origin(OriginBuilder::http2);
    fetch(&origin, LeaderBuilder::http2).await;
    assert!(origin.counts().requests > 2, "{:?}", origin.counts());
    assert_eq!(origin.counts().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lane_has_its_own_connection_unless_told() {
    let origin = origin(OriginBuilder::http2);
    fetch(&origin, |leader| leader).await;
    let counts = origin.counts();
    assert!(counts.connections > 1 && counts.most_open > 1, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_without_http2_is_asked_in_http1() {
    let origin = origin(|origin| origin);
    fetch(&origin, LeaderBuilder::http2).await;
    assert!(origin.counts().connections > 1);
}
