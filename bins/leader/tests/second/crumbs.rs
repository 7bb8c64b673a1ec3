//! Leases so small that the helper would be a cannon of requests.

use crate::stage::Stage;
use haul_lab::peers;

/// For how long the leader has its way, and the most requests that an origin may see in a second.
const SECONDS: u64 = 5;
const REQUESTS: u64 = 50;

#[test]
fn helper_asks_an_origin_seldom_however_small_the_leases_are() {
    let Some(stage) = Stage::set(8 << 20) else { return };
    let (_helper, at) = stage.helper("helper");
    let seconds = SECONDS.to_string();
    let more = ["--scenario", "crumbs", "--seconds", &seconds];
    let led = stage.peer_leads(&at, "127.0.0.22", &more);
    let at_work = peers::events(&led.told, "challenged").len();
    assert_eq!(at_work, 1, "{}{}", led.told, led.stderr);
    let requests = stage.origin.seen().len() as u64;
    let line = format!("one-byte leases: {} requests a second", requests / SECONDS);
    crate::stage::say(&line);
    assert!(requests <= REQUESTS * SECONDS, "{line}");
}
