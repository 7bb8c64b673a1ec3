//! A file can be read in order while it grows, and its check ends with its download.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a figure is told")]

use haul::{ErrorKind, Happening, Helpers, Home, Leader, LeaderBuilder, Verified};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_every_byte_in_order_and_the_first_before_the_last_is_there() {
    let (folder, payload) = (TempDir::new().unwrap(), Payload::new(51, 6 << 20));
    let origin = origin(payload, Shape::by_peer(Rate::bytes_per_second(3 << 20)));
    for spool in [false, true] {
        let leader = leader(&origin, &folder);
        let leader = if spool { leader.spool() } else { leader };
        let transfer = leader.build().unwrap().start();
        let mut reader = transfer.reader();
        let mut read = vec![0; 100];
        reader.read_exact(&mut read).await.unwrap();
        assert!(transfer.snapshot().stored < payload.len(), "nothing was read before the end");
        reader.read_to_end(&mut read).await.unwrap();
        let mut expected = vec![0; usize::try_from(payload.len()).unwrap()];
        payload.fill(0, &mut expected);
        assert!(read == expected);
        transfer.finish().await.unwrap();
        assert_eq!(folder.path().join("file.bin").exists(), !spool);
        let _ = std::fs::remove_file(folder.path().join("file.bin"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_job_that_ends_early_fails_instead_of_ending() {
    let (folder, payload) = (TempDir::new().unwrap(), Payload::new(52, 6 << 20));
    let origin = origin(payload, Shape::by_peer(Rate::bytes_per_second(3 << 20)));
    for spool in [false, true] {
        let leader = leader(&origin, &folder).resume();
        let leader = if spool { leader.spool() } else { leader };
        let transfer = leader.build().unwrap().start();
        let mut reader = transfer.reader();
        reader.read_exact(&mut [0; 100]).await.unwrap();
        transfer.cancel();
        assert!(reader.read_to_end(&mut Vec::new()).await.is_err());
        assert_eq!(transfer.finish().await.unwrap_err().kind(), ErrorKind::Interrupted);
    }
}

/// How long the link takes for a file: a gibibyte comes with 128 MiB/s.
const SECONDS: u64 = 8;

/// `HAUL_MIB` says how large the file is: 1024 is what was promised, less is quicker.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_download_is_the_end_of_the_check() {
    let mib: u64 = std::env::var("HAUL_MIB").map_or(64, |mib| mib.parse().unwrap());
    let payload = Payload::new(53, mib << 20);
    let digest = format!("sha-256={}", payload.sha256());
    let rate = Rate::bytes_per_second(payload.len() / SECONDS);
    // Where each connection has a link of its own, the lanes bring the file in no order.
    let share = Rate::bytes_per_second(payload.len() / SECONDS / 8);
    for (how, shape) in [
        ("over one link", Shape::by_peer(rate)),
        ("in no order", Shape::default().per_connection(share)),
    ] {
        let folder = in_memory();
        let origin = Arc::new(origin(payload, shape));
        let whole = leader(&origin, &folder).checksum(&digest);
        let late = seconds_after_the_last_byte(&origin, whole, payload.len()).await;
        println!("{mib} MiB {how}: checked {late:.3} s after the origin sent the last byte");
        assert!(late < 0.5, "{how}: {late} s");
        std::fs::remove_file(folder.path().join("file.bin")).unwrap();
        stop_midway(leader(&origin, &folder), payload.len()).await;
        let rest = leader(&origin, &folder).resume().checksum(&digest);
        let late = seconds_after_the_last_byte(&origin, rest, payload.len() / 4).await;
        println!("{mib} MiB {how}, resumed: {late:.3} s");
        assert!(late < 0.5, "{how}, resumed: {late} s");
    }
}

/// How long after the origin sent at least `bytes` and then nothing more the job was done.
async fn seconds_after_the_last_byte(origin: &Arc<Origin>, job: LeaderBuilder, bytes: u64) -> f64 {
    let (sent, watched) = (origin.counts().bytes, Arc::clone(origin));
    let transfer = job.build().unwrap().start();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let over = Arc::clone(&done);
    let watch = thread::spawn(move || {
        let (mut last, mut seen) = (Instant::now(), 0);
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let now = watched.counts().bytes - sent;
            if now > seen || now < bytes {
                (last, seen) = (Instant::now(), now);
            }
            thread::sleep(Duration::from_millis(2));
        }
        last
    });
    let report = transfer.finish().await.unwrap();
    let ended = Instant::now();
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(report.verified, Verified::Sha256);
    ended.saturating_duration_since(watch.join().unwrap()).as_secs_f64()
}

async fn stop_midway(job: LeaderBuilder, size: u64) {
    let mut transfer = job.build().unwrap().start();
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored > size / 2) {
            transfer.cancel();
        }
    }
    assert_eq!(transfer.finish().await.unwrap_err().kind(), ErrorKind::Interrupted);
}

/// A folder where syncs take no time: they are no part of the check.
fn in_memory() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn origin(payload: Payload, shape: Shape) -> Origin {
    Origin::builder().serve("/file.bin", Resource::of(payload)).shape(shape).start().unwrap()
}

fn leader(origin: &Origin, folder: &TempDir) -> LeaderBuilder {
    Leader::builder(origin.url("/file.bin").parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("home")))
        .helpers(Helpers::none())
}
