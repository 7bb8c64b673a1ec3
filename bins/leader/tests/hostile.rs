//! What a trap's promise does not say: how often an origin was asked, what the user was told, and
//! what becomes of a download that was broken off.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, stored};
use haul_lab::lan::Process;
use haul_lab::origin::{Hostile, Origin, Resource, Shape, Trap};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// A folder with a home of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("file.bin")
    }

    fn get(&self, url: &str, more: &[&str]) -> Command {
        let mut command = Command::new(LEADER);
        command.current_dir(self.0.path()).env("HAUL_HOME", self.0.path().join("home"));
        command.args(["get", url, "--helpers", "none", "--json", "-o", "file.bin"]).args(more);
        command
    }

    /// Downloads as far as a quarter, and then interrupts.
    fn get_a_quarter(&self, url: &str, size: u64) -> Ran {
        let mut process = Process::spawn(&mut self.get(url, &[])).unwrap();
        let began = Instant::now();
        process.wait_for(PATIENCE, |out, _| stored(out) > size / 4).unwrap();
        process.interrupt().unwrap();
        Ran::when_ended(&mut process, began)
    }
}

fn spring(name: &str) -> Hostile {
    Trap::named(name).unwrap().spring().unwrap()
}

fn notes(ran: &Ran) -> String {
    let texts =
        ran.events().into_iter().filter_map(|event| Some(event["text"].as_str()?.to_owned()));
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_response_is_kept_and_the_origin_is_probed_once() {
    let (place, hostile) = (Place::new(), spring("well-behaved"));
    Ran::of(&mut place.get(&hostile.url(), &[])).done();
    let seen = hostile.seen();
    let from_the_start =
        |range: Option<&str>| range.is_none_or(|range| range.starts_with("bytes=0-"));
    assert_eq!(seen.iter().filter(|seen| from_the_start(seen.header("range"))).count(), 1);
    assert!(seen.len() > 2, "several lanes take part: {seen:?}");
    let sent = hostile.counts().bytes;
    assert!(sent < hostile.payload().len() / 10 * 11, "{sent} bytes were sent");
}

#[test]
fn a_reset_costs_no_byte_that_was_stored() {
    let (place, hostile) = (Place::new(), spring("reset-mid-body"));
    Ran::of(&mut place.get(&hostile.url(), &[])).done();
    // What was on its way when a connection was reset is lost with it.
    let (sent, size) = (hostile.counts().bytes, hostile.payload().len());
    assert!(sent < size + (2 << 20), "{sent} bytes were sent for {size}");
}

#[test]
fn a_duplicate_counts_once() {
    let (place, hostile) = (Place::new(), spring("stalled-tail"));
    let done = Ran::of(&mut place.get(&hostile.url(), &[])).done();
    assert_eq!(done["workers"][0]["bytes"].as_u64(), Some(hostile.payload().len()));
}

#[test]
fn an_expired_url_is_resolved_once_for_all_lanes() {
    let (place, hostile) = (Place::new(), spring("signed-url-expires"));
    Ran::of(&mut place.get(&hostile.url(), &[])).done();
    let asked = hostile.seen().iter().filter(|seen| seen.target == "/file.bin").count();
    assert_eq!(asked, 2);
}

#[test]
fn separate_connections_speak_http_1_where_h2_is_offered() {
    let hostile = spring("h2-offered");
    let place = Place::new();
    let authority = place.0.path().join("authority.pem");
    fs::write(&authority, hostile.certificate().unwrap().authority_pem()).unwrap();
    let trust = ["--ca-cert", authority.to_str().unwrap()];
    Ran::of(&mut place.get(&hostile.url(), &trust)).done();
    assert!(hostile.counts().most_open > 1);
}

#[test]
fn a_bad_certificate_is_shown_once() {
    for name in ["unknown-authority", "expired-certificate", "wrong-host-certificate"] {
        let (place, hostile) = (Place::new(), spring(name));
        assert_eq!(Ran::of(&mut place.get(&hostile.url(), &[])).status.code(), Some(6));
        assert_eq!(hostile.counts().connections, 1, "{name}");
    }
}

#[test]
fn fewer_connections_are_used_where_more_are_refused() {
    let (place, hostile) = (Place::new(), spring("three-connections"));
    Ran::of(&mut place.get(&hostile.url(), &[])).done();
    let refused = hostile.seen().iter().filter(|seen| seen.status == 503).count();
    assert!(refused < 8, "it was refused {refused} times");
}

#[test]
fn a_pause_that_is_cut_short_is_told() {
    let (place, hostile) = (Place::new(), spring("retry-after-forever"));
    let mut process = Process::spawn(&mut place.get(&hostile.url(), &[])).unwrap();
    let began = Instant::now();
    let told = |out: &str| out.contains("1000000000 s") && out.contains("haul waits 120 s");
    process.wait_for(PATIENCE, |out, _| told(out)).unwrap();
    process.interrupt().unwrap();
    assert_eq!(Ran::when_ended(&mut process, began).status.code(), Some(7));
    assert!(!place.file().exists());
}

#[test]
fn what_the_origin_codes_or_does_not_name_is_told() {
    for (name, told) in [("encoded-whole", "gzip"), ("no-validator", "which version")] {
        let (place, hostile) = (Place::new(), spring(name));
        let ran = Ran::of(&mut place.get(&hostile.url(), &[]));
        ran.done();
        assert!(notes(&ran).contains(told), "{name}: {}", notes(&ran));
    }
}

#[test]
fn a_length_that_nobody_could_check_is_labelled() {
    let (place, hostile) = (Place::new(), spring("close-delimited"));
    let done = Ran::of(&mut place.get(&hostile.url(), &[])).done();
    assert_eq!(done["verified"], Value::from("length-unverified"));
}

#[test]
fn without_a_validator_a_download_goes_on_only_with_the_same_bytes() {
    let size = 8 << 20;
    for (seed, code) in [(1, Some(0)), (2, Some(41))] {
        let (place, shape) = (Place::new(), || Shape::by_peer(Rate::bytes_per_second(4 << 20)));
        let nameless = |seed| Resource::of(Payload::new(seed, size)).etag(None).modified(None);
        let serve = |seed, at| {
            let origin = Origin::builder().serve("/file.bin", nameless(seed)).shape(shape());
            origin.listen(at).start().unwrap()
        };
        let first = serve(1, ([127, 0, 0, 1], 0).into());
        let (address, url) = (first.address(), first.url("/file.bin"));
        assert_eq!(place.get_a_quarter(&url, size).status.code(), Some(7));
        drop(first);
        let second = serve(seed, address);
        let ran = Ran::of(&mut place.get(&url, &["--continue"]));
        assert_eq!(ran.status.code(), code, "{}{}", ran.stdout, ran.stderr);
        drop(second);
        assert_eq!(place.file().exists(), seed == 1);
        if seed == 1 {
            let differs = Payload::new(1, size).first_difference(place.file()).unwrap();
            assert_eq!(differs, None);
        }
    }
}
