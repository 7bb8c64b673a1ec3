//! One file from several places: all of them bring it, none of them can spoil it, and it is enough
//! that one of them works.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul::{
    Error, ErrorKind, Event, Happening, Helpers, Home, Leader, LeaderBuilder, Report, Verified,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use haul_span::Span;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 24 << 20;

fn payload() -> Payload {
    Payload::new(31, SIZE)
}

fn origin_of(resource: Resource) -> Origin {
    let shape = Shape::by_peer(Rate::mbit(16));
    Origin::builder().serve("/file.bin", resource).shape(shape).start().unwrap()
}

fn origin() -> Origin {
    origin_of(Resource::of(payload()))
}

/// An origin of the file with one byte changed in its middle.
fn spoiled(folder: &TempDir) -> Origin {
    let path = folder.path().join("spoiled");
    payload().write_to(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for at in (0..SIZE as usize).step_by(1 << 20) {
        bytes[at + 12345] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    origin_of(Resource::file(&path).unwrap())
}

fn nowhere() -> String {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{closed}/file.bin")
}

fn at_home(leader: LeaderBuilder, folder: &TempDir) -> LeaderBuilder {
    let home = Home::at(folder.path().join("home"));
    leader.folder(folder.path()).home(home).helpers(Helpers::None)
}

fn leader(url: &str, mirrors: &[String], folder: &TempDir) -> LeaderBuilder {
    let leader = at_home(Leader::builder(url.parse().unwrap()), folder);
    mirrors.iter().fold(leader, |leader, mirror| leader.mirror(mirror.parse().unwrap()))
}

async fn run(leader: LeaderBuilder) -> (Vec<Event>, Result<Report, Error>) {
    let mut transfer = leader.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        events.push(event);
    }
    (events, transfer.finish().await)
}

fn is_exact(path: &Path) {
    assert_eq!(payload().first_difference(path).unwrap(), None);
}

fn repaired(events: &[Event]) -> u64 {
    let bytes = |event: &Event| match event.what {
        Happening::Repaired { bytes } => bytes,
        _ => 0,
    };
    events.iter().map(bytes).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mirror_brings_a_part_and_a_dead_one_does_no_harm() {
    let (folder, one, two) = (TempDir::new().unwrap(), origin(), origin());
    let mirrors = [two.url("/file.bin"), nowhere()];
    let (_, report) = run(leader(&one.url("/file.bin"), &mirrors, &folder)).await;
    is_exact(&report.unwrap().path);
    assert!(two.counts().requests > 1, "the mirror only proved itself: {:?}", two.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_first_address_is_no_obstacle() {
    let (folder, one) = (TempDir::new().unwrap(), origin());
    let (_, report) = run(leader(&nowhere(), &[one.url("/file.bin")], &folder)).await;
    is_exact(&report.unwrap().path);
    let (_, report) = run(leader(&nowhere(), &[nowhere()], &folder).overwrite()).await;
    assert_eq!(report.unwrap_err().kind(), ErrorKind::Network);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lying_mirror_brought_is_fetched_again_from_the_origin() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (origin(), spoiled(&folder));
    let digest = format!("sha-256={}", payload().sha256());
    let wanted = leader(&one.url("/file.bin"), &[two.url("/file.bin")], &folder);
    let (events, report) = run(wanted.checksum(digest)).await;
    let report = report.unwrap();
    is_exact(&report.path);
    assert_eq!(report.verified, Verified::Sha256);
    assert!(two.counts().requests < 2 || repaired(&events) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metalink_names_the_file_its_places_and_the_pieces_to_repair() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (origin(), spoiled(&folder));
    let document = metalink(&[one.url("/file.bin"), two.url("/file.bin")]);
    let mut files = Leader::of_metalink(document.as_bytes()).unwrap();
    let (events, report) = run(at_home(files.remove(0), &folder)).await;
    let report = report.unwrap();
    assert_eq!(report.path.file_name().unwrap(), "named.bin");
    is_exact(&report.path);
    assert_eq!(report.verified, Verified::Sha256);
    let again = repaired(&events);
    assert!(again < SIZE && again.is_multiple_of(PIECE), "{again} bytes were fetched again");
}

/// An origin that serves a file in one piece only, under its own name for the version.
fn in_one_piece(payload: Payload, tag: &str) -> Origin {
    origin_of(Resource::of(payload).without_ranges().etag(Some(tag)))
}

/// Fetches from the first of two addresses until much is there, and lets that one die then.
async fn orphaned(first: Origin, second: &Origin, folder: &TempDir) -> Result<Report, Error> {
    let wanted = leader(&first.url("/file.bin"), &[second.url("/file.bin")], folder);
    let mut transfer = wanted.build().unwrap().start();
    let mut first = Some(first);
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored > 1 << 20) {
            first = None;
        }
    }
    assert!(first.is_none(), "it ended too early");
    transfer.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_takes_over_a_file_in_one_piece_whatever_it_calls_the_version() {
    let (folder, small) = (TempDir::new().unwrap(), Payload::new(32, 5 << 20));
    let (one, two) = (in_one_piece(small, "\"one\""), in_one_piece(small, "\"two\""));
    let report = orphaned(one, &two, &folder).await.unwrap();
    assert_eq!(small.first_difference(&report.path).unwrap(), None);
    assert!(report.workers[0].wasted > 1 << 20, "bytes of two addresses were joined");
}

const PIECE: u64 = 1 << 20;

struct Hex<'a>(&'a [u8]);

impl fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn metalink(urls: &[String]) -> String {
    let bytes = payload().bytes(Span::new(0, SIZE).unwrap());
    let mut pieces = String::new();
    for piece in bytes.chunks(PIECE as usize) {
        write!(pieces, "<hash>{:x}</hash>", Hex(&Sha256::digest(piece))).unwrap();
    }
    let urls = format!("<url>{}</url>", urls.join("</url><url>"));
    format!(
        "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\"named.bin\">\
         <size>{SIZE}</size><hash type=\"sha-256\">{}</hash>\
         <pieces length=\"{PIECE}\" type=\"sha-256\">{pieces}</pieces>{urls}</file></metalink>",
        payload().sha256()
    )
}
