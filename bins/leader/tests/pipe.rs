//! `-o -` writes the file to standard output in order, keeps nothing, and ends with its reader.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::LEADER;
use haul_lab::Payload;
use haul_lab::Rate;
use haul_lab::origin::{Origin, Resource, Shape};
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SIZE: u64 = 24 << 20;

#[test]
fn the_file_comes_out_in_order_and_exactly_and_nothing_else_does() {
    let (home, origin) = (TempDir::new().unwrap(), origin());
    let checksum = format!("sha-256={}", payload().sha256());
    for path in ["/file.bin", "/chunked.bin"] {
        let ran = output(get(&home, &origin.url(path), &["--checksum", &checksum]));
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
        is_exact(&ran.stdout, SIZE);
        assert!(String::from_utf8_lossy(&ran.stderr).contains("verified by SHA-256"));
        nothing_is_left(&home);
    }
}

#[test]
fn a_slow_reader_costs_time_and_no_memory() {
    let (home, origin) = (TempDir::new().unwrap(), origin());
    let mut leader = get(&home, &origin.url("/file.bin"), &["-q"]);
    // Long enough for all of it to be downloaded.
    thread::sleep(Duration::from_secs(2));
    let status = fs::read_to_string(format!("/proc/{}/status", leader.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    let mut read = Vec::new();
    leader.stdout.take().unwrap().read_to_end(&mut read).unwrap();
    assert!(leader.wait().unwrap().success());
    is_exact(&read, SIZE);
    assert!(peak < 64 << 10, "it held {peak} KiB");
}

#[test]
fn a_reader_that_has_enough_ends_the_download_at_once_and_quietly() {
    let (home, origin) = (TempDir::new().unwrap(), slow_origin());
    let mut leader = get(&home, &origin.url("/file.bin"), &["-q"]);
    let mut first = vec![0; 100_000];
    leader.stdout.take().unwrap().read_exact(&mut first).unwrap();
    is_exact(&first, first.len() as u64);
    let closed = Instant::now();
    let ran = leader.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), &ran.stderr[..]), (Some(141), &b""[..]));
    assert!(closed.elapsed() < Duration::from_secs(5), "it went on for {:?}", closed.elapsed());
    nothing_is_left(&home);
}

#[test]
fn a_wrong_file_is_told_by_the_exit_code_and_not_as_the_end_of_a_good_one() {
    let (home, origin) = (TempDir::new().unwrap(), origin());
    let wrong = format!("sha-256={}", "ab".repeat(32));
    let ran = output(get(&home, &origin.url("/file.bin"), &["--checksum", &wrong]));
    assert_eq!(ran.status.code(), Some(32));
    nothing_is_left(&home);
}

#[test]
fn what_does_not_go_with_a_pipe_is_refused() {
    let (home, origin) = (TempDir::new().unwrap(), origin());
    for option in [&["--json"][..], &["-c"], &["--dir", "/tmp"], &["--report", "x.html"]] {
        let ran = output(get(&home, &origin.url("/file.bin"), option));
        assert_eq!(ran.status.code(), Some(2), "{option:?}");
        let said = [ran.stdout, ran.stderr].concat();
        assert!(String::from_utf8(said).unwrap().contains("-o -"), "{option:?}");
    }
    assert_eq!(origin.counts().requests, 0);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let (home, slow) = (TempDir::new().unwrap(), slow_origin());
    let mut leader = get(&home, &slow.url("/file.bin"), &["-q"]);
    thread::sleep(Duration::from_secs(2));
    leader.kill().unwrap();
    leader.wait().unwrap();
    assert!(fs::read_dir(home.path().join("spool")).unwrap().count() > 0);
    let quick = origin();
    assert!(output(get(&home, &quick.url("/file.bin"), &["-q"])).status.success());
    nothing_is_left(&home);
}

fn payload() -> Payload {
    Payload::new(31, SIZE)
}

fn serving(shape: Shape) -> Origin {
    let builder = Origin::builder().serve("/file.bin", Resource::of(payload())).shape(shape);
    builder.serve("/chunked.bin", Resource::of(payload()).chunked()).start().unwrap()
}

fn origin() -> Origin {
    serving(Shape::default())
}

/// An origin that takes about twelve seconds.
fn slow_origin() -> Origin {
    serving(Shape::by_peer(Rate::bytes_per_second(2 << 20)))
}

fn get(home: &TempDir, url: &str, more: &[&str]) -> Child {
    let mut command = Command::new(LEADER);
    command.args(["get", url, "--helpers", "none", "-o", "-"]).args(more);
    command.env("HAUL_HOME", home.path()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn output(leader: Child) -> Output {
    leader.wait_with_output().unwrap()
}

fn is_exact(read: &[u8], len: u64) {
    assert_eq!(read.len() as u64, len);
    let mut expected = vec![0; read.len()];
    payload().fill(0, &mut expected);
    assert!(read == expected, "other bytes came out");
}

fn nothing_is_left(home: &TempDir) {
    let left: Vec<_> = fs::read_dir(home.path().join("spool")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!home.path().join("jobs").exists());
}
