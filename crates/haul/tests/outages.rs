//! A network that is gone for a while ends no download: the user is told, and it goes on unattended.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul::{Happening, Helpers, Home, Leader};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::TempDir;

fn payload() -> Payload {
    Payload::new(34, 6 << 20)
}

fn origin(address: SocketAddr) -> Origin {
    let shape = Shape::by_peer(Rate::mbit(16));
    let origin = Origin::builder().listen(address).serve("/file.bin", Resource::of(payload()));
    origin.shape(shape).start().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_and_the_download_goes_on_when_it_is_over() {
    let folder = TempDir::new().unwrap();
    let first = origin((Ipv4Addr::LOCALHOST, 0).into());
    let (address, url) = (first.address(), first.url("/file.bin"));
    let leader = Leader::builder(url.parse().unwrap()).helpers(Helpers::None);
    let leader = leader.folder(folder.path()).home(Home::at(folder.path().join("home")));
    let mut transfer = leader.build().unwrap().start();
    let mut serving = Some(first);
    let mut second = None;
    let mut told = Vec::new();
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Progress { stored, .. } if stored > 1 << 20 => drop(serving.take()),
            Happening::Note { text } => {
                if text.starts_with("nothing comes at present: ") {
                    second = Some(origin(address));
                }
                told.push(text);
            }
            _ => {}
        }
    }
    let report = transfer.finish().await.unwrap();
    assert_eq!(payload().first_difference(&report.path).unwrap(), None);
    assert!(second.is_some() && told.iter().any(|text| text.starts_with("bytes come again")));
}
