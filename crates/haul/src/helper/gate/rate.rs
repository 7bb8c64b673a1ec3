//! How fast this helper may be.

use super::{Gate, locked};
use crate::helper::policy::Rate;
use std::time::Instant;

/// A part of a rate is not taken below this, in bytes a second.
const SLOWEST: u64 = 64 << 10;

/// No slower than the slowest rate that a policy takes, in bytes a second.
const LEAST_LIMIT: u64 = 1024;

impl Gate {
    /// Divides what this helper has among those that it helps at this moment.
    pub(crate) fn share_out(&self) {
        let (whole, connections) = (self.whole_rate(), self.connections());
        locked(&self.jobs).share_out(self.steady(), connections, whole);
    }

    /// How many connections to origins there may be, of all jobs together, though each job has at
    /// least one.
    pub(crate) fn connections(&self) -> u8 {
        u8::try_from(self.in_force().policy.connections).unwrap_or(1)
    }

    /// How fast all jobs together may be.
    pub(crate) fn whole_rate(&self) -> Option<u64> {
        let in_force = self.in_force();
        let policy = &in_force.policy;
        let mut traffic = locked(&self.traffic);
        let fastest = traffic.fastest();
        let busy = traffic.is_busy(Instant::now(), policy.busy_above.bytes_per_second().get());
        let bytes = |rate| match rate {
            Rate::Unlimited => None,
            Rate::Fixed(rate) => Some(rate.bytes_per_second().get()),
            Rate::Part(part) => fastest.map(|fastest| part.of(fastest).max(SLOWEST)),
        };
        let calm = bytes(policy.rate);
        let rate = if busy { slower(calm, bytes(policy.rate_while_busy)) } else { calm };
        slower(rate, self.limit())
    }

    /// The fastest that this machine was seen to receive, in bytes a second.
    pub(crate) fn fastest(&self) -> Option<u64> {
        locked(&self.traffic).fastest()
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        *locked(&self.limit)
    }

    /// Is no faster than this until nobody is helped any more.
    pub(crate) fn set_limit(&self, rate: Option<u64>) {
        let jobs = locked(&self.jobs);
        let limit = rate.filter(|_| !jobs.running.is_empty()).map(|rate| rate.max(LEAST_LIMIT));
        *locked(&self.limit) = limit;
    }
}

fn slower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
