//! Whatever an origin does, the leader saves the right file or says loudly why it does not; nothing
//! wrong ever stands under the final name, nothing panics, and memory is bounded.
//!
//! Each test lets the program into one trap of the lab's hostile origin over real sockets, without
//! helpers; `cargo run -p haul-lab -- origin --trap NAME` starts the same trap by hand. Once all of
//! them were held, how many that are is written to stderr.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod common;
mod details;

use common::LEADER;
use haul_lab::origin::{Promise, Trap};
use haul_lab::trial::{Tool, Trial};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A test for each of these traps, under its own name.
macro_rules! traps {
    ($($test:ident: $name:literal;)*) => {
        $(#[test]
        fn $test() {
            hold($name);
        })*

        const TESTED: &[&str] = &[$($name),*];
    };
}

traps! {
    well_behaved: "well-behaved";
    range_ignored: "range-ignored";
    range_unadvertised: "range-unadvertised";
    range_none: "range-none";
    wrong_start: "wrong-start";
    part_ends_early: "part-ends-early";
    part_ends_late: "part-ends-late";
    wrong_total: "wrong-total";
    unknown_total: "unknown-total";
    unknown_total_later: "unknown-total-later";
    no_content_range: "no-content-range";
    garbled_content_range: "garbled-content-range";
    content_range_twice: "content-range-twice";
    multipart: "multipart";
    over_long_body: "over-long-body";
    whole_at_times: "whole-at-times";
    whole_near_the_end: "whole-near-the-end";
    not_satisfiable: "not-satisfiable";
    shrunk: "shrunk";
    status_without_data: "status-without-data";
    one_shot_token: "one-shot-token";
    users_own_range: "users-own-range";
    etag_changes: "etag-changes";
    date_changes: "date-changes";
    total_changes: "total-changes";
    weak_etag: "weak-etag";
    if_range_means_whole: "if-range-means-whole";
    no_validator: "no-validator";
    growing: "growing";
    encoded_part: "encoded-part";
    encoded_whole: "encoded-whole";
    chunked: "chunked";
    chunked_cut: "chunked-cut";
    chunk_garbled: "chunk-garbled";
    close_delimited: "close-delimited";
    length_too_long: "length-too-long";
    length_too_short: "length-too-short";
    two_lengths: "two-lengths";
    empty: "empty";
    one_byte: "one-byte";
    piece_less_one: "piece-less-one";
    piece: "piece";
    piece_and_one: "piece-and-one";
    reset_mid_body: "reset-mid-body";
    close_mid_body: "close-mid-body";
    slowloris: "slowloris";
    head_never_ends: "head-never-ends";
    first_head_never_ends: "first-head-never-ends";
    slow_tail: "slow-tail";
    stalled_tail: "stalled-tail";
    three_connections: "three-connections";
    one_connection: "one-connection";
    retry_after_seconds: "retry-after-seconds";
    retry_after_date: "retry-after-date";
    retry_after_past: "retry-after-past";
    busy_at_first: "busy-at-first";
    busy_at_times: "busy-at-times";
    busy_for_good: "busy-for-good";
    h2_offered: "h2-offered";
    unknown_authority: "unknown-authority";
    expired_certificate: "expired-certificate";
    wrong_host_certificate: "wrong-host-certificate";
    network_drop: "network-drop";
    redirect_loop: "redirect-loop";
    redirect_chain: "redirect-chain";
    downgrade: "downgrade";
    secrets_elsewhere: "secrets-elsewhere";
    redirect_to_file: "redirect-to-file";
    redirect_to_nowhere: "redirect-to-nowhere";
    signed_url_expires: "signed-url-expires";
    name_climbs: "name-climbs";
    name_absolute: "name-absolute";
    name_of_windows: "name-of-windows";
    name_of_nothing: "name-of-nothing";
    name_extended: "name-extended";
    wrong_checksum: "wrong-checksum";
    wrong_repr_digest: "wrong-repr-digest";
    right_repr_digest: "right-repr-digest";
    wrong_content_digest: "wrong-content-digest";
    interim_responses: "interim-responses";
    many_fields: "many-fields";
    old_version: "old-version";
    huge_head: "huge-head";
    long_part_refused: "long-part-refused";
}

#[test]
fn every_trap_of_the_lab_has_its_test() {
    let there: BTreeSet<&str> = Trap::quick().map(|trap| trap.name).collect();
    assert_eq!(there, TESTED.iter().copied().collect());
}

/// More than a leader ever needs for its buffers, and far less than a file.
const MOST_MEMORY: u64 = 96 << 20;

fn hold(name: &str) {
    let trap = Trap::named(name).unwrap();
    let trial = Trial::run(&Tool::Haul(LEADER.into()), trap).unwrap();
    assert!(trial.kept(), "{name}: {:?} {:?}\n{}", trial.outcome, trial.breach, trial.said);
    assert!(!trial.said.contains("panicked"), "{}", trial.said);
    if let Promise::Refused(code) = trap.promise {
        let ended = trial.status.unwrap().code();
        assert_eq!(ended, Some(code.into()), "{name}: {}", trial.said);
        let fields = ["error:", "because", "try"];
        assert!(fields.iter().all(|field| trial.said.contains(field)), "{}", trial.said);
    }
    assert!(trial.peak_memory <= MOST_MEMORY, "{name} took {} bytes", trial.peak_memory);
    count();
}

#[expect(clippy::explicit_write, reason = "tests capture what macros print; every run shows this")]
fn count() {
    static HELD: AtomicUsize = AtomicUsize::new(0);
    let (held, all) = (HELD.fetch_add(1, Ordering::Relaxed) + 1, TESTED.len());
    if held == all {
        writeln!(io::stderr(), "{held} of {all} traps held").unwrap();
    }
}
