//! Offers whose host looks like another one.

use crate::stage::Stage;
use haul_lab::peers;

#[test]
fn helper_refuses_an_offer_whose_host_is_not_equal_to_what_would_be_shown() {
    let Some(stage) = Stage::set(1 << 20) else { return };
    let (helper, at) = stage.helper("helper");
    let led = stage.peer_leads(&at, "127.0.0.21", &["--scenario", "odd-host"]);
    let answers = peers::events(&led.told, "answered");
    assert!(answers.iter().all(|answer| answer["verdict"] != "yes"), "{}", led.told);
    let told = helper.stdout();
    assert!(!told.contains("\"host\":\"example.org\""), "{told}");
}
