//! What the machine says of itself: whether its connection is paid for by the byte, whether a VPN
//! is up, what it runs on, and how much it receives.

mod bus;
mod linux;

pub(crate) use linux::Linux;

use super::policy::{Battery, Fact};
use std::time::{Duration, Instant};

/// Where the facts about a machine come from. Whatever it cannot tell is unknown.
pub(crate) trait Machine: Send + Sync {
    /// Whether the connection is paid for by the byte.
    fn metered(&self) -> Fact;

    /// Whether a VPN is up.
    fn vpn(&self) -> Fact;

    /// What the machine runs on.
    fn battery(&self) -> Battery;

    /// Bytes received since the machine started, on all interfaces but loopback.
    fn received(&self) -> Option<u64>;
}

/// How fast others on this machine receive, and the fastest that all of it ever did.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    last: Option<Reading>,
    busy_since: Option<Instant>,
    others: u64,
    fastest: u64,
    /// How many readings found the link in use.
    in_use: u32,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    machine: Option<u64>,
    own: u64,
}

impl Traffic {
    /// Takes a reading about once a second: what the machine has received, and what of it was for
    /// others' downloads.
    pub(crate) fn read(&mut self, at: Instant, machine: Option<u64>, own: u64) {
        let reading = Reading { at, machine, own };
        let Some(last) = self.last.replace(reading) else { return };
        let seconds = at.saturating_duration_since(last.at).as_secs_f64();
        if seconds < 0.1 {
            self.last = Some(last);
            return;
        }
        let own = per_second(own.saturating_sub(last.own), seconds);
        let all = match (machine, last.machine) {
            (Some(now), Some(before)) => per_second(now.saturating_sub(before), seconds),
            _ => 0,
        };
        // Interfaces count headers too, and what leaders say in return.
        self.others = all.saturating_sub(own + own / 8);
        let faster = all.max(own);
        self.fastest = self.fastest.max(faster);
        self.in_use = self.in_use.saturating_add(u32::from(faster >= IN_USE));
    }

    /// Whether others receive more than `above` bytes a second, or did within the last 5 s.
    pub(crate) fn is_busy(&mut self, now: Instant, above: u64) -> bool {
        if self.others > above {
            self.busy_since = Some(now);
        }
        self.busy_since.is_some_and(|since| now.saturating_duration_since(since) < LINGER)
    }

    /// The fastest that this machine was seen to receive, in bytes a second; `None` until its link
    /// was seen in use for some seconds.
    pub(crate) fn fastest(&self) -> Option<u64> {
        (self.in_use >= ENOUGH).then_some(self.fastest)
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate needs no more digits, and is not negative"
)]
fn per_second(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds) as u64
}

/// From here on a link counts as in use, in bytes a second.
const IN_USE: u64 = 64 << 10;

/// So many readings of a link in use tell how fast it is.
const ENOUGH: u32 = 5;

/// How long somebody who paused still counts as busy.
const LINGER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_for_others_downloads_is_not_taken_for_the_user() {
        let (mut traffic, began) = (Traffic::default(), Instant::now());
        let at = |second| began + Duration::from_secs(second);
        traffic.read(at(0), Some(1_000_000), 0);
        traffic.read(at(1), Some(11_500_000), 10_000_000);
        assert!(!traffic.is_busy(at(1), 0), "headers: {}", traffic.others);
        traffic.read(at(2), Some(13_500_000), 10_000_000);
        assert!(traffic.is_busy(at(2), 1_000_000));
        traffic.read(at(3), Some(13_500_000), 10_000_000);
        assert!(traffic.is_busy(at(6), 1_000_000) && !traffic.is_busy(at(7), 1_000_000));
        assert_eq!(traffic.fastest(), None, "three seconds do not tell");
        for second in 4..9 {
            traffic.read(at(second), Some(13_500_000 + second * 100_000), 10_000_000);
        }
        assert_eq!(traffic.fastest(), Some(10_500_000));
    }

    #[test]
    fn a_machine_that_does_not_tell_or_counts_anew_is_not_busy() {
        let (mut traffic, began) = (Traffic::default(), Instant::now());
        let at = |second| began + Duration::from_secs(second);
        for (second, machine) in
            [(0, None), (1, Some(5_000_000)), (2, None), (3, Some(9)), (4, Some(3))]
        {
            traffic.read(at(second), machine, 0);
            assert!(!traffic.is_busy(at(second), 0), "{second}");
        }
    }
}
