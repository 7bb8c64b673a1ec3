//! Whoever wants the program to end is heard, at whatever moment they say so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

use haul::Stops;
use rustix::process::{Signal, getpid, kill_process};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The only test of its process: signals come to all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_while_nobody_waits_for_it_is_not_lost() {
    let mut stops = Stops::listen();
    for signal in [Signal::INT, Signal::TERM, Signal::INT] {
        kill_process(getpid(), signal).unwrap();
        // Long enough for it to be delivered before anybody waits.
        sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_secs(20), stops.next()).await.unwrap();
    }
    timeout(Duration::from_millis(50), stops.next()).await.unwrap_err();
}
