//! A leader and helpers in one process, over real sockets on loopback: whatever the helpers do,
//! the file is byte-exact.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul::{
    Answer, Decision, Error, ErrorKind, Event, Happening, Helper, HelperEvent, Helpers, Home,
    Leader, LeaderBuilder, Report, Serving, Verified,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 6 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn helpers_deliver_and_the_file_is_byte_exact() {
    let (folder, (origin, payload)) = (TempDir::new().unwrap(), origin());
    let (_one, at_one) = helper(&folder, "asha", 11, Decision::Yes).await;
    let (_two, at_two) = helper(&folder, "ben", 12, Decision::Yes).await;
    let (_three, at_three) = helper(&folder, "chi", 13, Decision::No).await;
    let digest = format!("sha-256={}", payload.sha256());
    let asked = Helpers::only([at_one, at_two, at_three]);
    let (events, report) =
        run(leader(&origin, "/file.bin", &folder).helpers(asked).checksum(digest)).await;
    let report = report.unwrap();
    is_exact(payload, &report.path);
    assert_eq!((report.bytes, report.verified), (SIZE, Verified::Sha256));
    let delivered: Vec<u64> = report.workers.iter().map(|worker| worker.bytes).collect();
    assert_eq!(delivered.iter().sum::<u64>(), SIZE);
    let shares = delivered.iter().all(|&bytes| bytes > SIZE / 10);
    assert!(delivered.len() == 3 && shares, "{delivered:?}");
    let refused = |event: &Event| matches!(&event.what, Happening::Answered { answer: Answer::No, name, .. } if name == "chi");
    assert!(events.iter().any(refused));
    assert!(matches!(events.last().unwrap().what, Happening::Done(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_helper_leaves_undone_is_done_by_others() {
    let (folder, (origin, payload)) = (TempDir::new().unwrap(), origin());
    let (dies, at) = helper(&folder, "asha", 11, Decision::Yes).await;
    let wanted = leader(&origin, "/file.bin", &folder).helpers(Helpers::only([at]));
    let mut transfer = wanted.build().unwrap().start();
    let mut dies = Some(dies);
    let mut lost = false;
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Progress { stored, .. } if stored > SIZE / 3 => drop(dies.take()),
            Happening::Lost { .. } => lost = true,
            _ => {}
        }
    }
    is_exact(payload, &transfer.finish().await.unwrap().path);
    assert!(lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_may_not_reach_the_origin_is_turned_down_and_the_job_goes_on() {
    let (folder, (origin, payload)) = (TempDir::new().unwrap(), origin());
    let (_closed, at) = listening(closed_helper(&folder, "closed", 11)).await;
    let wanted = leader(&origin, "/file.bin", &folder).helpers(Helpers::only([at]));
    let report = run(wanted).await.1.unwrap();
    is_exact(payload, &report.path);
    assert_eq!(report.workers.len(), 1);
    assert!(!origin.counts().bytes_by_peer.contains_key(&[127, 0, 0, 11].into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_without_parts_or_length_are_read_in_one_stream() {
    let (folder, (origin, payload)) = (TempDir::new().unwrap(), origin());
    for (path, payload, verified) in [
        ("/single.bin", payload, Verified::Unverified),
        ("/chunked.bin", payload, Verified::Unverified),
        ("/close.bin", payload, Verified::LengthUnverified),
        ("/empty.bin", Payload::new(1, 0), Verified::Unverified),
        ("/byte.bin", Payload::new(1, 1), Verified::Unverified),
    ] {
        let (_, report) = run(leader(&origin, path, &folder)).await;
        let report = report.unwrap_or_else(|error| panic!("{path}: {error}"));
        is_exact(payload, &report.path);
        assert_eq!(report.verified, verified, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_ends_loudly_and_without_the_file() {
    let (folder, (origin, _)) = (TempDir::new().unwrap(), origin());
    for path in ["/file.bin", "/chunked.bin"] {
        let wrong = format!("sha-256={}", "ab".repeat(32));
        let (events, report) = run(leader(&origin, path, &folder).checksum(wrong)).await;
        assert_eq!(report.unwrap_err().kind(), ErrorKind::Checksum);
        assert!(!folder.path().join(&path[1..]).exists());
        let last = &events.last().unwrap().what;
        assert!(matches!(last, Happening::Failed(failed) if failed.code == 32));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_goes_on_where_it_was() {
    let (folder, (origin, payload)) = (TempDir::new().unwrap(), origin());
    let mut transfer = leader(&origin, "/file.bin", &folder).build().unwrap().start();
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored > SIZE / 2) {
            transfer.cancel();
        }
    }
    assert_eq!(transfer.finish().await.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(!folder.path().join("file.bin").exists());
    let (_, refused) = run(leader(&origin, "/file.bin", &folder)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Exists);
    let before = origin.counts().bytes;
    let (_, report) = run(leader(&origin, "/file.bin", &folder).resume()).await;
    is_exact(payload, &report.unwrap().path);
    assert!(origin.counts().bytes - before < SIZE * 6 / 10, "most of it was fetched again");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_helpers_end_the_job_before_it_begins() {
    let (folder, (origin, _)) = (TempDir::new().unwrap(), origin());
    let (_no, at) = helper(&folder, "asha", 11, Decision::No).await;
    let asked = Helpers::only([at]);
    let (_, report) =
        run(leader(&origin, "/file.bin", &folder).helpers(asked).min_helpers(1)).await;
    assert_eq!(report.unwrap_err().kind(), ErrorKind::TooFewHelpers);
    assert!(!folder.path().join("file.bin").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_says_so_with_a_remedy_and_leaves_nothing() {
    let (folder, (origin, _)) = (TempDir::new().unwrap(), origin());
    std::fs::write(folder.path().join("there.bin"), "mine").unwrap();
    let to = |path: &str| leader(&origin, path, &folder);
    let gone = Leader::builder("http://127.0.0.1:1/x".parse().unwrap());
    for (job, kind) in [
        (to("/nothing"), ErrorKind::NotFound),
        (to("/file.bin").save_as("there.bin"), ErrorKind::Exists),
        (to("/file.bin").folder(folder.path().join("no/such")), ErrorKind::Disk),
        (gone.folder(folder.path()).helpers(Helpers::none()), ErrorKind::Network),
    ] {
        let error = run(job).await.1.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.remedy().is_some(), "{error}");
    }
    assert_eq!(std::fs::read(folder.path().join("there.bin")).unwrap(), b"mine");
    let ftp = Leader::builder("ftp://example.org/x".parse().unwrap()).build();
    assert_eq!(ftp.err().map(|error| error.kind()), Some(ErrorKind::Usage));
}

fn origin() -> (Origin, Payload) {
    let payload = Payload::new(7, SIZE);
    let origin = Origin::builder()
        .serve("/file.bin", Resource::of(payload))
        .serve("/single.bin", Resource::of(payload).without_ranges())
        .serve("/chunked.bin", Resource::of(payload).chunked())
        .serve("/close.bin", Resource::of(payload).close_delimited())
        .serve("/empty.bin", Resource::of(Payload::new(1, 0)))
        .serve("/byte.bin", Resource::of(Payload::new(1, 1)))
        .shape(Shape::by_peer(Rate::mbit(16)))
        .start()
        .unwrap();
    (origin, payload)
}

fn leader(origin: &Origin, path: &str, folder: &TempDir) -> LeaderBuilder {
    Leader::builder(origin.url(path).parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("home")))
        .helpers(Helpers::none())
        .ports(0..=0)
        .no_scan()
}

/// A helper on a link of its own; returns where it hears asks.
async fn helper(folder: &TempDir, name: &str, link: u8, decision: Decision) -> (Serving, String) {
    let loopback = "127.0.0.0/8".parse().unwrap();
    listening(closed_helper(folder, name, link).consent(decision).allow_net(loopback)).await
}

fn closed_helper(folder: &TempDir, name: &str, link: u8) -> haul::HelperBuilder {
    Helper::builder()
        .consent(Decision::Yes)
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .home(Home::at(folder.path().join(name)))
        .source_address([127, 0, 0, link].into())
        .ports(1..=u16::MAX)
        .name(name)
}

async fn listening(helper: haul::HelperBuilder) -> (Serving, String) {
    let mut serving = helper.build().unwrap().start();
    let Some(HelperEvent::Listening { address }) = serving.next_event().await else {
        panic!("the helper does not listen")
    };
    (serving, address.to_string())
}

async fn run(leader: LeaderBuilder) -> (Vec<Event>, Result<Report, Error>) {
    let mut transfer = leader.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        events.push(event);
    }
    (events, transfer.finish().await)
}

fn is_exact(payload: Payload, path: &Path) {
    assert_eq!(payload.first_difference(path).unwrap(), None, "{}", path.display());
}
