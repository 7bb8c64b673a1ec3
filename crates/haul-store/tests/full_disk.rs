//! On a real disk that is full, the job ends with what it has, and the same call goes on once
//! there is room again. A small tmpfs is that disk; mounting it needs root.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a figure, or why a test was skipped, is told")]
#![cfg(target_os = "linux")]

mod common;

use common::{job, payload};
use haul_store::{Error, ErrorKind, JobFacts, Left, Store, Target};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

const DISK: usize = 8 << 20;
const LENGTH: usize = 5 << 20;
const POINTS: usize = 10;

#[test]
fn a_disk_that_is_full_at_any_point_keeps_what_is_durable() {
    let Some(disk) = small_disk() else { return };
    let file = payload(1, LENGTH);
    for point in 0..POINTS {
        for length in [Some(LENGTH as u64), None] {
            let facts = JobFacts { length, ..job(LENGTH) };
            let filler = disk.path().join("filler");
            fs::write(&filler, vec![1; DISK - 65_536 - point * LENGTH / POINTS]).unwrap();
            let error = run(disk.path(), &facts, &file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            assert!(!disk.path().join("file.bin").exists());
            fs::remove_file(filler).unwrap();
            run(disk.path(), &facts, &file).unwrap();
            assert!(fs::read(disk.path().join("file.bin")).unwrap() == file);
            fs::remove_file(disk.path().join("file.bin")).unwrap();
        }
    }
}

#[test]
fn a_disk_that_others_fill_meanwhile_can_not_take_the_space_that_was_set_aside() {
    let Some(disk) = small_disk() else { return };
    let file = payload(2, LENGTH);
    let target = Target::new(disk.path().join("file.bin")).unwrap();
    let mut store = Store::open(target, job(LENGTH)).unwrap();
    let filler = disk.path().join("filler");
    assert!(fs::write(&filler, vec![1; DISK]).is_err());
    store.write(0, &file, 0).unwrap();
    // The journal has no space set aside: without it nothing is durable, and nothing is lost.
    if let Err(failed) = store.sync(Duration::ZERO) {
        assert_eq!(failed.error.kind(), ErrorKind::Full);
        assert!(failed.lost.is_empty() && store.is_complete());
    }
    fs::remove_file(&filler).unwrap();
    assert!(fs::read(store.publish().unwrap()).unwrap() == file);
}

fn run(folder: &Path, facts: &JobFacts, file: &[u8]) -> Result<(), Error> {
    let target = Target::new(folder.join("file.bin"))?.left(Left::Continue);
    let mut store = Store::open(target, facts.clone())?;
    for (nth, chunk) in file.chunks(100_000).enumerate() {
        store.write((nth * 100_000) as u64, chunk, 0)?;
        if nth % 7 == 6 {
            store.sync(Duration::ZERO)?;
        }
    }
    store.set_length(file.len() as u64)?;
    store.publish()?;
    Ok(())
}

/// A tmpfs of [`DISK`] bytes; taken away when dropped.
///
/// There is one at a time: a `mount` that is being started elsewhere in this process has all open
/// files for a moment, and a removed file keeps its space for as long.
struct SmallDisk {
    folder: TempDir,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::new(());

impl SmallDisk {
    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn small_disk() -> Option<SmallDisk> {
    let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempdir().unwrap();
    let size = format!("size={DISK}");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
        .arg(folder.path())
        .output();
    if mounted.is_ok_and(|mounted| mounted.status.success()) {
        return Some(SmallDisk { folder, _only: only });
    }
    assert_ne!(std::env::var("HAUL_LAB").as_deref(), Ok("required"), "a tmpfs can't be mounted");
    println!("skipped: mounting a tmpfs needs root");
    None
}
