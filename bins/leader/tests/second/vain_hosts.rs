//! Hosts that cannot be had, named under one fresh key after the other.

use crate::stage::Stage;
use haul_lab::peers;

/// How many such hosts a machine may name before it is not heard any more.
const VAIN: usize = 3;

const KEYS: usize = 5;

#[test]
fn helper_counts_vain_hosts_by_address_as_keys_cost_nothing() {
    let Some(stage) = Stage::set(1 << 20) else { return };
    let (helper, at) = stage.helper("helper");
    let keys = KEYS.to_string();
    let led = stage.peer_leads(&at, "127.0.0.23", &["--scenario", "vain", "--keys", &keys]);
    let answers = peers::events(&led.told, "answered");
    let yes = answers.iter().filter(|answer| answer["verdict"] == "yes").count();
    let told = helper.stdout();
    assert_eq!(yes, VAIN, "{yes} of {KEYS} fresh keys had a host tried: {}{told}", led.told);
    let honest = stage.peer_leads(&at, "127.0.0.24", &[]);
    assert_eq!(honest.the("done")["bytes"], 1 << 20, "another address is heard: {told}");
}
