//! Leaders that are not haul, and haul's helper.

use crate::stage::{Stage, first, peer_helper};

const SIZE: u64 = 8 << 20;

#[test]
fn helper_brings_a_leader_of_another_hand_the_file_whoever_dials() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (helper, at) = stage.helper("helper");
    for (from, more) in [("127.0.0.12", &[][..]), ("127.0.0.13", &["--dial"][..])] {
        let led = stage.peer_leads(&at, from, more);
        assert_eq!(led.the("done")["bytes"], SIZE);
        stage.is_exact(&led.saved);
        let code = led.the("greeted")["code"].clone();
        let asked = haul_lab::peers::events(&helper.stdout(), "asked");
        assert_eq!(asked.last().unwrap()["code"], code, "{}", helper.stdout());
    }
}

#[test]
fn helper_and_leader_of_another_hand_understand_each_other_too() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (peer, at) = peer_helper(&[]);
    let led = stage.peer_leads(&at, "127.0.0.14", &[]);
    stage.is_exact(&led.saved);
    assert_eq!(first(&peer.stdout(), "greeted")["code"], led.the("greeted")["code"]);
}

#[test]
fn helper_leaves_a_leader_that_cannot_read_the_file() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (_helper, at) = stage.helper("helper");
    let led = stage.peer_leads(&at, "127.0.0.15", &["--scenario", "unread"]);
    assert_eq!(led.the("ended")["bye"], 9, "unproven");
    assert_eq!(led.the("ended")["missing"], SIZE);
}
