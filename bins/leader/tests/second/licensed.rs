//! A file that only the helper may read.

use crate::stage::Stage;
use haul_lab::peers;

/// How much the origin has under each of its addresses.
const SIZE: u64 = 8 << 20;

#[test]
fn helper_sends_no_byte_of_a_licensed_file_that_a_public_one_leads_to() {
    let Some(stage) = Stage::set(1 << 20) else { return };
    let (helper, at) = stage.helper("helper");
    let licensee = ["--licensee", "127.0.0.1"];
    let origin =
        [&["origin", "--listen", "127.0.0.2:0", "--seconds", "60"], &licensee[..]].concat();
    let (origin, site) = peers::listening(&mut peers::command(&origin)).unwrap();
    let url = format!("http://{site}/public");
    let more = ["--scenario", "licensed", "--url", &url, "--seconds", "20"];
    let led = stage.peer_leads(&at, "127.0.0.25", &more);
    let requests = origin.stdout();
    assert!(requests.contains("/here"), "{requests}{}", led.told);
    assert!(requests.contains("/licensed"), "{requests}{}{}", led.told, helper.stdout());
    let leaked = led.the("leaked")["bytes"].as_u64().unwrap();
    assert_eq!(leaked, 0, "of {SIZE}: {}", led.told);
}
