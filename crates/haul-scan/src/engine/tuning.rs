use super::pacer::Speed;
use crate::{Medium, Pace, Policy};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The quiet after which nobody is expected to answer any more is never longer than this.
const LONGEST_QUIET: Duration = Duration::from_millis(400);

/// One try every 75 ms is at most 14 in any second, with 50 ms to spare for probes that the kernel
/// sends late.
const GENTLE: Duration = Duration::from_millis(75);

/// For a datagram to a silent address the kernel sends three ARP requests, one second apart
/// (`mcast_solicit` and `retrans_time_ms` of `arp(7)`): four datagrams a second make twelve.
const GENTLE_SWEEP: Duration = Duration::from_millis(300);

/// What an engine goes by.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    pub(crate) speed: Speed,
    /// How often a silent target is asked: at least and at most.
    pub(crate) tries: RangeInclusive<u32>,
    /// The quiet that settles a scan: at least and at most.
    pub(crate) quiet: RangeInclusive<Duration>,
    pub(crate) linger: Duration,
    /// The share of probes expected to be lost as long as nothing is known.
    pub(crate) usual_loss: f64,
}

impl Tuning {
    /// For probes that are ARP requests.
    pub(crate) fn arp(policy: &Policy, medium: Medium) -> Self {
        let (least_quiet, usual_loss) = match medium {
            Medium::Wired => (Duration::from_millis(5), 0.01),
            Medium::Wireless => (Duration::from_millis(20), 0.1),
        };
        Self {
            speed: speed(policy.pace, GENTLE),
            tries: 2..=8,
            quiet: least_quiet..=LONGEST_QUIET,
            linger: policy.linger,
            usual_loss,
        }
    }

    /// For probes that are datagrams, for which the kernel sends and repeats ARP requests itself,
    /// so that answers come for as long as `patience`.
    pub(crate) fn sweep(policy: &Policy, patience: Duration) -> Self {
        let linger = policy.linger;
        Self {
            speed: speed(policy.pace, GENTLE_SWEEP),
            tries: 1..=1,
            quiet: Duration::from_millis(50)..=LONGEST_QUIET,
            linger: if linger.is_zero() { linger } else { linger.max(patience) },
            usual_loss: 0.01,
        }
    }
}

const fn speed(pace: Pace, gentle: Duration) -> Speed {
    match pace {
        Pace::Gentle => Speed::Fixed { gap: gentle },
        Pace::Normal => Speed::Adaptive { most: 20_000.0 },
        Pace::Fast => Speed::Adaptive { most: 50_000.0 },
    }
}
