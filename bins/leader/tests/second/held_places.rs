//! Leaders that are helped, and make no use of it: others get the place.

use crate::stage::Stage;
use haul_lab::peers;
use std::thread;
use std::time::{Duration, Instant};

/// How long others may have to wait for the place.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a leader waits that was told that the helper is busy.
const AGAIN: Duration = Duration::from_millis(2200);

#[test]
fn helper_gives_the_place_of_a_leader_that_only_pings_to_another() {
    is_given_up_to_another("pings", "127.0.0.31", "127.0.0.41");
}

#[test]
fn helper_gives_the_place_of_a_leader_without_credit_to_another() {
    is_given_up_to_another("no-credit", "127.0.0.32", "127.0.0.42");
}

#[test]
fn helper_gives_the_place_of_a_leader_with_a_byte_of_credit_a_second_to_another() {
    is_given_up_to_another("tiny-credit", "127.0.0.33", "127.0.0.43");
}

fn is_given_up_to_another(scenario: &str, from: &str, another: &str) {
    let Some(stage) = Stage::set(1 << 20) else { return };
    let (mut helper, at) = stage.helper_of_one("helper");
    let url = stage.url();
    let idle = ["leader", "--helper", &at, "--from", from, "--url", &url, "--seconds", "100"];
    let all = [&idle[..], &["--scenario", scenario]].concat();
    let _idle = haul_lab::lan::Process::spawn(&mut peers::command(&all)).unwrap();
    helper.wait_for(PATIENCE, |out, _| out.contains("\"helping\"")).unwrap();
    let began = Instant::now();
    let mut told = Vec::new();
    while began.elapsed() < PATIENCE {
        let led = stage.peer_leads(&at, another, &["--seconds", "20"]);
        if !peers::events(&led.told, "done").is_empty() {
            let after = began.elapsed().as_secs_f64();
            return crate::stage::say(&format!(
                "{scenario}: another was helped after {after:.1} s"
            ));
        }
        told.push(led.told);
        thread::sleep(AGAIN);
    }
    panic!("{scenario}: nobody else was helped for {PATIENCE:?}: {told:?}");
}
