//! A helper connects to no address that is not public, however it is spelled, named or redirected
//! to: what it dials is counted on the wire of its own machine, in a LAN of network namespaces.
//!
//! `HAUL_LAB=required` turns a skip for want of root into a failure.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod corpus;
mod scene;
mod web;

use corpus::{Bait, ON_LINK, PUBLIC, targets};
use scene::Scene;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

/// The fewest spellings that are to be tried.
const LEAST: usize = 300;

/// How many are tried before the helpers are started anew: to a helper that was asked in vain more
/// often the whole network is a stranger that it does not hear.
const ROUND: usize = 120;

#[test]
fn no_spelling_name_or_redirect_makes_a_helper_dial_a_forbidden_address() {
    let baits = corpus::all();
    let direct = baits.iter().filter(|bait| bait.is_direct());
    let spellings: BTreeSet<&str> = direct.map(|bait| bait.target.as_str()).collect();
    assert!(spellings.len() >= LEAST, "{} spellings", spellings.len());
    let Some(scene) = Scene::build(&baits) else { return };
    let began = Instant::now();
    let entice = |round: &[Bait]| {
        let _helpers = scene.run_helpers(&["--allow-net", "203.0.113.10/32"]);
        scene.entice(round)
    };
    let outcomes: Vec<_> = baits.chunks(ROUND).flat_map(entice).collect();
    let dialled = scene.dialled();
    let strange: BTreeSet<&SocketAddr> = dialled.iter().filter(|to| !scene::is_meant(to)).collect();
    assert!(strange.is_empty(), "dialled {strange:?}");
    for (bait, outcome) in baits.iter().zip(&outcomes) {
        assert!(outcome.was_accepted(), "{}: {outcome:?}", bait.url);
        assert!(outcome.bytes < corpus::LENGTH, "{}: {outcome:?}", bait.url);
    }
    // The helpers were led on by every redirect, and the watch was awake.
    let redirects = baits.iter().filter(|bait| !bait.is_direct()).count();
    let asked = dialled.iter().filter(|to| to.ip() == scene.origin()).count();
    assert!(asked >= redirects, "{asked} connections for {redirects} redirects");
    scene::say(&format!(
        "{} spellings, {} URLs, 0 connections to them in {:.0} s",
        spellings.len(),
        baits.len(),
        began.elapsed().as_secs_f64()
    ));
}

#[test]
fn the_same_addresses_are_dialled_and_counted_where_their_networks_are_allowed() {
    let open: Vec<Bait> = targets().into_iter().map(|to| Bait::direct(&to)).collect();
    let Some(scene) = Scene::build(&open) else { return };
    let _helpers = scene.run_helpers(&["--allow-net", "0.0.0.0/0", "--allow-net", "::/0"]);
    scene.entice(&open);
    let dialled = scene.dialled();
    for address in targets() {
        let to: SocketAddr = format!("{address}:80").parse().unwrap();
        assert!(dialled.contains(&to), "{to} was not seen: {dialled:?}");
    }
}

#[test]
fn a_public_address_is_dialled_and_one_on_the_own_network_is_not() {
    let baits = [Bait::direct(PUBLIC), Bait::direct(ON_LINK)];
    let Some(scene) = Scene::build(&baits) else { return };
    let _helpers = scene.run_helpers(&[]);
    scene.entice(&baits);
    let dialled = scene.dialled();
    let seen = |address: &str| dialled.contains(&format!("{address}:80").parse().unwrap());
    assert!(seen(PUBLIC) && !seen(ON_LINK), "{dialled:?}");
}
