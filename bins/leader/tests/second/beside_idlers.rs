//! A leader that makes use of a helper, beside others that only take its places.

use crate::common::PATIENCE;
use crate::stage::{Stage, say};
use haul_lab::lan::Process;
use haul_lab::peers;
use std::time::Instant;

const SIZE: u64 = 16 << 20;

/// Those who make no use of what they have, and the address of each.
const IDLE: [(&str, &str); 3] =
    [("pings", "127.0.0.61"), ("no-credit", "127.0.0.62"), ("crumbs", "127.0.0.63")];

#[test]
fn helper_of_leaders_that_ping_give_no_credit_or_grant_crumbs_is_no_slower_for_another() {
    let Some(stage) = Stage::set(SIZE) else { return };
    let (mut helper, at) = stage.helper("helper");
    let alone = took(&stage, &at, "127.0.0.51");
    let url = stage.url();
    let _idle = IDLE.map(|(scenario, from)| {
        let who = ["leader", "--helper", &at, "--from", from, "--seconds", "100"];
        let all = [&who[..], &["--url", &url, "--scenario", scenario]].concat();
        Process::spawn(&mut peers::command(&all)).unwrap()
    });
    helper.wait_for(PATIENCE, |out, _| out.matches("\"helping\"").count() > IDLE.len()).unwrap();
    // What slows the machine down for a while is not the helper's fault.
    for (from, last) in [("127.0.0.52", false), ("127.0.0.53", false), ("127.0.0.54", true)] {
        let beside = took(&stage, &at, from);
        say(&format!("beside three idle leaders: {alone:.2} s alone, {beside:.2} s beside them"));
        if beside <= 1.1 * alone {
            return;
        }
        assert!(!last, "{beside:.2} s is more than 1.1 × {alone:.2} s");
    }
}

/// How long a leader at this address takes for the file, in seconds.
fn took(stage: &Stage, helper: &str, from: &str) -> f64 {
    let began = Instant::now();
    let led = stage.peer_leads(helper, from, &[]);
    let took = began.elapsed().as_secs_f64();
    assert_eq!(led.the("done")["bytes"], SIZE);
    took
}
