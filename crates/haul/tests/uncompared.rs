//! The way to the origin is cut while a helper goes on: what it brings cannot be compared, so the
//! file gets no name, and a later run goes on with what is right of it.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::{ErrorKind, Event, Happening, Helpers, Home, Leader, LeaderBuilder, Verified};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use scene::deliverer::Deliverer;
use scene::signed_on;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::net::UdpSocket;

const SIZE: u64 = 6 << 20;

/// The file is cut off when so much of it is stored.
const CUT: u64 = SIZE * 2 / 5;

fn payload() -> Payload {
    Payload::new(77, SIZE)
}

fn origin(address: SocketAddr) -> Origin {
    let origin = Origin::builder().listen(address).serve("/file.bin", Resource::of(payload()));
    origin.shape(Shape::by_peer(Rate::mbit(8))).start().unwrap()
}

/// A download of which the own link is cut, with a helper that does this to its pieces from then
/// on; then another one, alone, that goes on with it.
async fn cut_and_gone_on(spoil: fn(&mut [u8])) -> (Vec<Event>, Verified) {
    let folder = TempDir::new().unwrap();
    let first = origin((Ipv4Addr::LOCALHOST, 0).into());
    let (address, url) = (first.address(), first.url("/file.bin"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let leader = || {
        Leader::builder(url.parse().unwrap())
            .folder(folder.path())
            .home(Home::at(folder.path().join("home")))
            .ports(0..=0)
    };
    let asked = leader().helpers(Helpers::only([socket.local_addr().unwrap().to_string()]));
    let is_cut = AtomicBool::new(false);
    let helping = async {
        let (reader, writer) = signed_on(&socket).await;
        let spoil = |bytes: &mut [u8], _| {
            if is_cut.load(Ordering::Relaxed) {
                spoil(bytes);
            }
        };
        let _ = Deliverer::new(payload(), spoil).work(reader, writer).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = fail_when_cut(asked, first, &is_cut) => {}
        () = helping => unreachable!("it waits for ever"),
    }
    assert!(!folder.path().join("file.bin").exists());
    let _second = origin(address);
    let again = leader().helpers(Helpers::None).resume();
    let mut transfer = again.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        events.push(event);
    }
    let report = transfer.finish().await.unwrap();
    assert_eq!(payload().first_difference(&report.path).unwrap(), None);
    (events, report.verified)
}

/// Downloads until the origin is taken away, which must end the job without the file.
async fn fail_when_cut(leader: LeaderBuilder, origin: Origin, is_cut: &AtomicBool) {
    let mut serving = Some(origin);
    let mut transfer = leader.build().unwrap().start();
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored >= CUT) {
            drop(serving.take());
            is_cut.store(true, Ordering::Relaxed);
        }
    }
    let error = transfer.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    assert!(error.remedy().unwrap_or_default().contains("-c"), "{error:?}");
}

fn repaired(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event.what, Happening::Repaired { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_honest_helper_brought_is_compared_by_the_run_that_goes_on() {
    let (events, verified) = cut_and_gone_on(|_| {}).await;
    assert_eq!((verified, repaired(&events)), (Verified::Sampled, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_liar_brought_once_it_could_not_be_compared_is_fetched_again() {
    let (events, verified) = cut_and_gone_on(|bytes| bytes.fill(0)).await;
    assert_eq!((verified, repaired(&events)), (Verified::Unverified, true));
}
