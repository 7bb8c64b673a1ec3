//! A disk that is full or read-only ends a download with exit code 9 and keeps what is stored; the
//! same command goes on once the cause is gone. A small tmpfs is that disk; mounting it needs root.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "why a test was skipped is told")]
#![cfg(target_os = "linux")]

mod common;

use common::{LEADER, PATIENCE, Ran};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

const DISK: u64 = 12 << 20;
const SIZE: u64 = 8 << 20;
const POINTS: u64 = 10;

#[test]
fn a_disk_that_gets_full_at_any_point_ends_it_with_code_9_and_it_goes_on_with_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let origin = origin(Shape::default());
    for point in 0..POINTS {
        disk.leave((64 << 10) + point * SIZE / POINTS);
        let full = Ran::of(&mut disk.get(&origin.url("/chunked.bin")));
        is_about_the_disk(&full);
        assert!(!disk.file().exists());
        disk.leave_all();
        Ran::of(&mut disk.get(&origin.url("/chunked.bin"))).done();
        disk.is_exact();
    }
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_a_byte_of_it_is_stored() {
    let Some(disk) = SmallDisk::mount() else { return };
    let origin = origin(Shape::default());
    for point in 0..POINTS {
        disk.leave(point * SIZE / POINTS);
        let full = Ran::of(&mut disk.get(&origin.url("/file.bin")));
        is_about_the_disk(&full);
        assert_eq!(fs::read_dir(disk.folder.path()).unwrap().count(), 1, "only the filler");
        disk.leave_all();
        Ran::of(&mut disk.get(&origin.url("/file.bin"))).done();
        disk.is_exact();
    }
}

#[test]
fn a_journal_without_room_ends_it_and_what_was_durable_is_gone_on_with() {
    let Some(disk) = SmallDisk::mount() else { return };
    let origin = origin(Shape::by_peer(Rate::bytes_per_second(2 << 20)));
    let url = origin.url("/file.bin");
    let mut process = Process::spawn(&mut disk.get(&url)).unwrap();
    process.wait_for(PATIENCE, |out, _| common::stored(out) > SIZE / 2).unwrap();
    disk.leave(0);
    let full = Ran::when_ended(&mut process, Instant::now());
    // Its last page may have room for all that there was still to say.
    if !full.status.success() {
        is_about_the_disk(&full);
        disk.leave_all();
        let sent = origin.counts().bytes;
        Ran::of(&mut disk.get(&url)).done();
        assert!(origin.counts().bytes - sent < SIZE * 9 / 10, "it began anew");
    }
    disk.is_exact();
}

#[test]
fn a_disk_that_became_read_only_is_named_and_the_download_goes_on_when_it_is_not() {
    let Some(disk) = SmallDisk::mount() else { return };
    let origin = origin(Shape::by_peer(Rate::bytes_per_second(4 << 20)));
    let url = origin.url("/file.bin");
    let mut process = Process::spawn(&mut disk.get(&url)).unwrap();
    process.wait_for(PATIENCE, |out, _| common::stored(out) > SIZE / 2).unwrap();
    process.interrupt().unwrap();
    assert_eq!(Ran::when_ended(&mut process, Instant::now()).status.code(), Some(7));
    disk.remount("ro");
    is_about_the_disk(&Ran::of(&mut disk.get(&url)));
    disk.remount("rw");
    let sent = origin.counts().bytes;
    Ran::of(&mut disk.get(&url)).done();
    assert!(origin.counts().bytes - sent < SIZE * 9 / 10, "it began anew");
    disk.is_exact();
}

fn is_about_the_disk(ran: &Ran) {
    let failed = ran.events().pop().unwrap();
    assert_eq!((ran.status.code(), &failed["code"]), (Some(9), &9.into()), "{failed}");
    assert!(!failed["try"].as_str().unwrap().is_empty());
}

fn payload() -> Payload {
    Payload::new(41, SIZE)
}

fn origin(shape: Shape) -> Origin {
    let builder = Origin::builder().serve("/file.bin", Resource::of(payload())).shape(shape);
    builder.serve("/chunked.bin", Resource::of(payload()).chunked()).start().unwrap()
}

/// A tmpfs of [`DISK`] bytes; taken away when dropped.
struct SmallDisk {
    folder: TempDir,
    home: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let disk = Self { folder: TempDir::new().unwrap(), home: TempDir::new().unwrap() };
        let size = format!("size={DISK}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.folder.path());
        if mount.output().is_ok_and(|mounted| mounted.status.success()) {
            return Some(disk);
        }
        assert_ne!(std::env::var("HAUL_LAB").as_deref(), Ok("required"), "no tmpfs can be mounted");
        println!("skipped: mounting a tmpfs needs root");
        None
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-o", &format!("remount,{how}")]).arg(self.folder.path());
        assert!(mount.status().unwrap().success());
    }

    /// Fills the disk but for so many bytes, as far as it can be filled.
    fn leave(&self, bytes: u64) {
        let file = fs::File::create(self.folder.path().join("filler")).unwrap();
        let mut filled = 0;
        let block = vec![1; 64 << 10];
        while filled + bytes < DISK {
            let len = block.len().min((DISK - bytes - filled) as usize);
            match std::os::unix::fs::FileExt::write_at(&file, &block[..len], filled) {
                Ok(written) => filled += written as u64,
                Err(_) => return,
            }
        }
    }

    fn leave_all(&self) {
        fs::remove_file(self.folder.path().join("filler")).unwrap();
    }

    fn get(&self, url: &str) -> Command {
        let mut get = Command::new(LEADER);
        get.args(["get", url, "--helpers", "none", "--json", "-c", "-o"]).arg(self.file());
        get.env("HAUL_HOME", self.home.path());
        get
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file.bin")
    }

    /// Checks the file, and takes it away.
    fn is_exact(&self) {
        assert_eq!(payload().first_difference(self.file()).unwrap(), None);
        fs::remove_file(self.file()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}
