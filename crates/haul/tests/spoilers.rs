//! A helper that delivers wrong bytes: the file is right all the same, and the helper is named.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::{Event, Happening, Helpers, Home, Leader, Report, Verified};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use scene::deliverer::{Deliverer, PIECE};
use scene::signed_on;
use std::net::Ipv4Addr;
use tempfile::TempDir;
use tokio::net::UdpSocket;

const SIZE: u64 = 6 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_of_rubbish_is_caught_by_samples_named_and_sent_away() {
    let stage = Stage::set();
    let (events, report) = stage.download_with(|bytes, _| bytes.fill(0), false).await;
    assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None);
    assert_eq!(blamed(&events), ["mallory"]);
    let left = |event: &Event| matches!(&event.what, Happening::Lost { because, .. } if because.contains("origin"));
    assert!(events.iter().any(left), "{events:?}");
    assert!(events.iter().any(|event| matches!(event.what, Happening::Repaired { .. })));
    let mallory = &report.workers[1];
    assert!(mallory.spoiled > 0 && mallory.bytes == 0, "{mallory:?}");
    assert_eq!(report.verified, Verified::Unverified, "nobody else helped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_spoils_every_third_piece_is_found_by_a_close_look_where_a_digest_is_stated()
{
    let stage = Stage::set();
    let spoil = |bytes: &mut [u8], at: u64| {
        if (at / PIECE).is_multiple_of(3) {
            bytes.fill(0);
        }
    };
    let (events, report) = stage.download_with(spoil, true).await;
    assert_eq!(report.verified, Verified::Sha256);
    assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None);
    assert_eq!(blamed(&events), ["mallory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_flips_a_single_bit_is_named_once_the_file_is_right() {
    let stage = Stage::set();
    // Of a byte in the second MiB that no sample is likely to meet.
    let flip = |bytes: &mut [u8], at: u64| {
        if at / PIECE % 16 == 9 {
            bytes[77] ^= 1;
        }
    };
    let (events, report) = stage.download_with(flip, true).await;
    assert_eq!(report.verified, Verified::Sha256);
    assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None);
    assert_eq!(blamed(&events), ["mallory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_digest_is_sampled_when_an_honest_helper_had_a_part_in_it() {
    let stage = Stage::set();
    let (_serving, address) = scene::helper(&stage.folder.path().join("helper")).await;
    let (events, report) = stage.download(&[address.to_string()], false).await;
    assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None);
    assert!(report.workers[1].bytes > 0, "{report:?}");
    assert_eq!((report.verified, blamed(&events).len()), (Verified::Sampled, 0));
}

/// An origin, and a folder for everything else.
struct Stage {
    folder: TempDir,
    payload: Payload,
    origin: Origin,
}

impl Stage {
    fn set() -> Self {
        let payload = Payload::new(7, SIZE);
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = origin.shape(Shape::by_peer(Rate::mbit(16))).start().unwrap();
        Self { folder: TempDir::new().unwrap(), payload, origin }
    }

    /// A download with a helper that does this to every piece before it sends it.
    async fn download_with(
        &self,
        spoil: impl Fn(&mut [u8], u64),
        stated: bool,
    ) -> (Vec<Event>, Report) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let asked = [socket.local_addr().unwrap().to_string()];
        let spoiler = async {
            self.spoiler(&socket, spoil).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = self.download(&asked, stated) => ended,
            () = spoiler => unreachable!("it waits for ever"),
        }
    }

    /// A leader's download with these machines asked.
    async fn download(&self, asked: &[String], stated: bool) -> (Vec<Event>, Report) {
        let leader = Leader::builder(self.origin.url("/file.bin").parse().unwrap())
            .folder(self.folder.path())
            .home(Home::at(self.folder.path().join("leader")))
            .helpers(Helpers::only(asked))
            .ports(0..=0);
        let digest = format!("sha-256={}", self.payload.sha256());
        let leader = if stated { leader.checksum(digest) } else { leader };
        let mut transfer = leader.build().unwrap().start();
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        (events, transfer.finish().await.unwrap())
    }

    /// Comes to whoever asks `socket` and delivers every lease at once, spoiled.
    async fn spoiler(&self, socket: &UdpSocket, spoil: impl Fn(&mut [u8], u64)) {
        let (reader, writer) = signed_on(socket).await;
        // Whoever was sent away has nothing more to say.
        let _ = Deliverer::new(self.payload, spoil).work(reader, writer).await;
    }
}

fn blamed(events: &[Event]) -> Vec<&str> {
    let blamed = events.iter().filter_map(|event| match &event.what {
        Happening::Blamed { name, .. } => Some(name.as_str()),
        _ => None,
    });
    blamed.collect()
}
