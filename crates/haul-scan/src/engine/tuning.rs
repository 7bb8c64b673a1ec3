use super::pacer::Speed;
use crate::{Linger, Medium, Pace, Policy};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The quiet after which nobody is expected to answer any more is never longer than this.
const LONGEST_QUIET: Duration = Duration::from_millis(400);

/// One echo every millisecond takes 0.5 Mbit/s of a tunnel.
const ECHO: Duration = Duration::from_millis(1);

/// For how long machines that sleep are waited for, and those that do not seem to be there.
const LINGER: Duration = Duration::from_millis(600);
const BRIEF_LINGER: Duration = Duration::from_millis(25);

/// One try every 75 ms is at most 14 in any second, with 50 ms to spare for probes that the kernel
/// sends late.
const GENTLE: Duration = Duration::from_millis(75);

/// For a datagram to a silent address the kernel sends three ARP requests, one second apart
/// (`mcast_solicit` and `retrans_time_ms` of `arp(7)`): four datagrams a second make twelve.
const GENTLE_SWEEP: Duration = Duration::from_millis(300);

/// Each datagram to a silent address holds an entry of the kernel's neighbour table, which has 1024
/// for all programs and containers together (`gc_thresh3` of `arp(7)`), until the kernel has given
/// the address up after three seconds.
const SWEEP_REST: Rest = Rest { every: 512, pause: Duration::from_millis(3200) };

/// What an engine goes by.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    pub(crate) speed: Speed,
    /// How often a silent target is asked: at least and at most.
    pub(crate) tries: RangeInclusive<u32>,
    /// The quiet that settles a scan: at least and at most.
    pub(crate) quiet: RangeInclusive<Duration>,
    pub(crate) linger: Lingering,
    /// The pause that the kernel needs after so many probes.
    pub(crate) rest: Option<Rest>,
    /// The share of probes expected to be lost as long as nothing is known.
    pub(crate) usual_loss: f64,
}

/// For how long late answers are heard: where some were slow or got lost, and where none did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    pub(crate) troubled: Duration,
    pub(crate) smooth: Duration,
}

/// A pause after every so many probes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) every: u32,
    pub(crate) pause: Duration,
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
            linger: Lingering::of(policy.linger, medium, LINGER),
            rest: None,
            usual_loss,
        }
    }

    /// For probes that are datagrams, for which the kernel sends and repeats ARP requests itself,
    /// so that answers come for as long as `patience`: if nothing gets lost, and if something does.
    pub(crate) fn sweep(
        policy: &Policy,
        medium: Medium,
        patience: &RangeInclusive<Duration>,
    ) -> Self {
        Self {
            speed: speed(policy.pace, GENTLE_SWEEP),
            tries: 1..=1,
            quiet: Duration::from_millis(50)..=LONGEST_QUIET,
            linger: Lingering::of(policy.linger, medium, LINGER).at_least(patience),
            rest: Some(SWEEP_REST),
            usual_loss: 0.01,
        }
    }
}

impl Tuning {
    /// For probes that are echoes over a link without ARP, such as a tunnel, which they share with
    /// what it is there for.
    pub(crate) fn echo(policy: &Policy) -> Self {
        Self {
            speed: Speed::Fixed {
                gap: if matches!(policy.pace, Pace::Gentle) { GENTLE } else { ECHO },
            },
            tries: 2..=4,
            quiet: LONGEST_QUIET..=LONGEST_QUIET,
            linger: Lingering::of(policy.linger, Medium::Wireless, LINGER),
            rest: None,
            usual_loss: 0.01,
        }
    }
}

impl Lingering {
    const fn of(linger: Linger, medium: Medium, long: Duration) -> Self {
        match (linger, medium) {
            (Linger::AsNeeded, Medium::Wired) => Self { troubled: long, smooth: BRIEF_LINGER },
            (Linger::AsNeeded, Medium::Wireless) => Self { troubled: long, smooth: long },
            (Linger::For(time), _) => Self { troubled: time, smooth: time },
        }
    }

    /// The same, unless that is too short for the kernel; who wants no time at all gets none.
    fn at_least(self, patience: &RangeInclusive<Duration>) -> Self {
        let longer = |time: Duration, least| if time.is_zero() { time } else { time.max(least) };
        Self {
            smooth: longer(self.smooth, *patience.start()),
            troubled: longer(self.troubled, *patience.end()),
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
