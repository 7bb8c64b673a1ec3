//! Helpers that are not haul, and haul's leader.

use crate::common::Ran;
use crate::stage::{Stage, first, peer_helper};
use haul_lab::peers;
use serde_json::Value;

const SIZE: u64 = 24 << 20;

/// What part of a file a helper brings at least whose link is as fast as the leader's.
const SHARE: f64 = 0.3;

#[test]
fn leader_is_helped_by_a_helper_of_another_hand_and_both_show_the_same_code() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (peer, at) = peer_helper(&[]);
    let ran = stage.get(&at, &[]);
    let share = share_of(&ran, "pia0");
    assert!(share >= SHARE, "it brought {share:.3}: {}{}", ran.stdout, peer.stdout());
    assert_eq!(ran.done()["verified"], "sampled");
    let (joined, greeted) = (first(&ran.stdout, "joined"), first(&peer.stdout(), "greeted"));
    assert_eq!(joined["code"], greeted["code"]);
    assert_eq!(joined["name"], "pia0");
}

#[test]
fn leader_takes_a_helper_of_another_hand_for_one_of_its_group() {
    let Some(stage) = Stage::set(8 << 20) else { return };
    let key = "17".repeat(32);
    for (theirs, is_member) in [(key.clone(), true), ("18".repeat(32), false)] {
        give_key(&stage, &key);
        let (peer, at) = peer_helper(&["--group", &theirs]);
        let ran = stage.get(&at, &[]);
        let standing = &first(&ran.stdout, "offered")["standing"];
        assert_eq!(standing == "group", is_member, "{standing}");
        assert_eq!(first(&peer.stdout(), "greeted")["group"], is_member);
    }
}

#[test]
fn leader_names_a_helper_that_is_honest_at_first_or_spoils_one_block() {
    let Some(stage) = Stage::set(8 << 20) else { return };
    for scenario in ["spoil", "late", "one-block"] {
        let (peer, at) = peer_helper(&["--scenario", scenario]);
        let ran = stage.get(&at, &[&stage.checksum()]);
        assert_eq!(ran.done()["verified"], "sha-256", "{scenario}");
        let named = first(&ran.stdout, "blamed");
        assert_eq!(named["name"], "pia0", "{scenario}: {}", peer.stdout());
    }
}

#[test]
fn leader_downloads_beside_helpers_that_say_yes_and_bring_nothing_or_little() {
    let Some(stage) = Stage::set(4 << 20) else { return };
    for scenario in ["silent", "mute", "pings", "challenges", "drip"] {
        let sessions = ["--sessions", "4"];
        let of = [&["--scenario", scenario][..], &sessions].concat();
        let (peer, at) = peer_helper(&of);
        let ran = stage.get(&at, &[]);
        assert!(peer.stdout().contains("greeted"), "{scenario}: {}", peer.stdout());
        let told = peers::events(&ran.stdout, "answered");
        assert!(told.iter().any(|event| event["answer"] == "yes"), "{scenario}: {}", ran.stdout);
    }
}

fn share_of(ran: &Ran, name: &str) -> f64 {
    let done = ran.done();
    let workers = done["workers"].as_array().unwrap();
    let worker = workers.iter().find(|worker| worker["name"] == name);
    let bytes = worker.map_or(0.0, |worker: &Value| worker["bytes"].as_f64().unwrap());
    bytes / done["bytes"].as_f64().unwrap()
}

/// Gives the leader of this stage the key of a group, as only its owner may read it.
fn give_key(stage: &Stage, key: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let home = stage.path("leader");
    std::fs::create_dir_all(&home).unwrap();
    let mut options = std::fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    file.open(home.join("group.key")).unwrap().write_all(key.as_bytes()).unwrap();
}
