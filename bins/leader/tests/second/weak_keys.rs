//! Keys that everybody has: points of small order, under which anybody can sign.

use crate::stage::{Stage, first, peer_helper};
use haul_lab::peers;

/// How many encodings such points have.
const POINTS: usize = 14;

const SIZE: u64 = 4 << 20;

#[test]
fn helper_refuses_every_leader_with_a_key_of_small_order() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (helper, at) = stage.helper("helper");
    // A helper takes in one address once in two seconds.
    let addresses: Vec<String> = (0..POINTS).map(|n| format!("127.0.1.{}", n + 1)).collect();
    let keys = POINTS.to_string();
    let mut more = vec!["--dial", "--scenario", "small-order", "--keys", &keys];
    more.extend(addresses.iter().skip(1).flat_map(|address| ["--from", address]));
    let led = stage.peer_leads(&at, &addresses[0], &more);
    let greeted = peers::events(&led.told, "greeted");
    assert_eq!(greeted.len(), 0, "{} of {POINTS} were greeted: {}", greeted.len(), led.told);
    assert_eq!(peers::events(&led.told, "refused").len(), POINTS, "{}", led.told);
    let honest = stage.peer_leads(&at, "127.0.1.100", &["--dial"]);
    assert_eq!(honest.the("done")["bytes"], SIZE, "{}", helper.stdout());
}

#[test]
fn leader_refuses_every_helper_with_a_key_of_small_order() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let keys = POINTS.to_string();
    let more = ["--scenario", "small-order", "--keys", &keys];
    let (peer, at) = peer_helper(&more);
    let ran = stage.get(&at, &[]);
    first(&peer.stdout(), "refused");
    let greeted = peers::events(&peer.stdout(), "greeted").len();
    let told = peers::events(&ran.stdout, "offered").len();
    assert_eq!((greeted, told), (0, 0), "{}", peer.stdout());
}
