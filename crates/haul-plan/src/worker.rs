use crate::lease::LeaseId;
use crate::rate::{Meter, Rate};
use haul_span::{Span, SpanSet};
use std::collections::VecDeque;
use std::time::Duration;

/// The number of a worker, unique within its planner and given by whoever drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// How a worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerFacts {
    /// The present rate; zero while it is not known or nothing is leased.
    pub rate: Rate,
    /// How many lanes are at work.
    pub lanes: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    /// Leases in the order in which they were granted: lanes take them from the front.
    pub(crate) leases: Vec<LeaseId>,
    pub(crate) lanes: Lanes,
    pub(crate) meter: Meter,
    /// Whether it is the leader's own link.
    pub(crate) own: bool,
    /// When bytes last came.
    pub(crate) last_byte: Option<Duration>,
    /// Since when bytes are expected of it.
    pub(crate) busy_since: Duration,
    /// Before this no byte is expected of it, whatever it holds.
    pub(crate) expected_from: Duration,
    /// Whether it was ever given a lease.
    pub(crate) tried: bool,
    /// Nothing is granted before this.
    pub(crate) paused_until: Duration,
    pub(crate) standing: Standing,
    /// Failures since the last byte.
    pub(crate) failures: u32,
    pub(crate) strikes: u32,
    /// What it is given only if nobody else could take it: the origin refused it to this worker,
    /// or it just failed there.
    pub(crate) refused: SpanSet,
    /// What of that is forgotten, and when.
    pardons: VecDeque<(Duration, Span)>,
    /// Where the probe's open response stands, while it is open.
    pub(crate) open_at: Option<u64>,
    /// Since when the worker's share of the total rate is too small.
    pub(crate) idle_since: Option<Duration>,
}

/// Whether a worker is trusted to deliver in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// It stalled; after its pause one small lease will tell. The next probation is this long.
    Probation {
        next: Duration,
    },
}

/// How many lanes a worker uses, and the search for the number that is worth using.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    pub(crate) now: u8,
    /// The most that the worker offers.
    pub(crate) offered: u8,
    /// The most that the origin bears.
    pub(crate) borne: u8,
    pub(crate) trial: LaneTrial,
}

impl Lanes {
    /// The most that may be used.
    pub(crate) fn most(&self) -> u8 {
        self.offered.min(self.borne)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LaneTrial {
    /// Waits until the rate at the present number of lanes is known.
    Settling { until: Duration },
    /// More lanes than before are at work: did the rate rise?
    Watching { since: Duration, before: u8, rate: Rate },
    /// More lanes gained nothing, as far as could be seen: this was the rate before them.
    Settled { since: Duration, rate: Rate },
}

impl Worker {
    pub(crate) fn new(now: Duration, lanes: u8, most: u8, settle: Duration) -> Self {
        Self {
            leases: Vec::new(),
            lanes: Lanes {
                now: lanes,
                offered: most,
                borne: u8::MAX,
                trial: LaneTrial::Settling { until: now + settle },
            },
            meter: Meter::default(),
            own: false,
            last_byte: None,
            busy_since: now,
            expected_from: now,
            tried: false,
            paused_until: now,
            standing: Standing::Good,
            failures: 0,
            strikes: 0,
            refused: SpanSet::new(),
            pardons: VecDeque::new(),
            open_at: None,
            idle_since: None,
        }
    }

    /// How many leases the worker should hold (rule 2; one while it proves itself). A newcomer's
    /// lanes have no second lease to go on with before it has brought a byte: what strangers hold
    /// that bring nothing is missing until it is taken back.
    pub(crate) fn wanted(&self) -> usize {
        let lanes = usize::from(self.lanes.now);
        match self.standing {
            Standing::Good if self.own || self.last_byte.is_some() => 2 * lanes,
            Standing::Good => lanes,
            Standing::Probation { .. } => 1,
        }
    }

    /// Notes a lease. Who lost all its leases without a byte is still expected to bring one: else
    /// two silent workers could pass a lease to and fro for ever.
    pub(crate) fn take(&mut self, now: Duration, lease: LeaseId) {
        if self.leases.is_empty() {
            self.meter.resume(now);
            let has_brought = self.last_byte.is_some_and(|at| at >= self.busy_since);
            if has_brought || !self.tried {
                self.busy_since = now;
            }
        }
        self.leases.push(lease);
        self.tried = true;
    }

    /// Grants nothing before `until`, from when on bytes are expected again.
    pub(crate) fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
        self.busy_since = self.busy_since.max(until);
    }

    /// Leaves a span that it just failed to others for a while.
    pub(crate) fn avoid(&mut self, until: Duration, span: Span) {
        self.refused.insert(span);
        self.pardons.push_back((until, span));
    }

    /// Forgets failures that are long enough ago.
    pub(crate) fn pardon(&mut self, now: Duration) {
        while let Some(&(_, span)) = self.pardons.front().filter(|(until, _)| *until <= now) {
            self.refused.remove(span);
            self.pardons.pop_front();
        }
    }

    pub(crate) fn is_paused(&self, now: Duration) -> bool {
        now < self.paused_until
    }

    /// Whether a lane of it has nothing to do.
    pub(crate) fn has_idle_lane(&self) -> bool {
        self.leases.len() < self.wanted().min(usize::from(self.lanes.now))
    }

    /// How long nothing came from it, if something should have.
    pub(crate) fn silence(&self, now: Duration) -> Duration {
        let heard = self.last_byte.unwrap_or_default().max(self.busy_since).max(self.expected_from);
        if self.leases.is_empty() { Duration::ZERO } else { now.saturating_sub(heard) }
    }

    /// Whether bytes came within the last second.
    pub(crate) fn delivers(&self, now: Duration) -> bool {
        self.last_byte.is_some_and(|at| now < at + Duration::from_secs(1))
    }

    /// Whether it may take leases from others: one that has shown what it can, or is quite new.
    pub(crate) fn may_steal(&self) -> bool {
        self.standing == Standing::Good && (self.rate().is_some() || !self.tried)
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        self.meter.rate()
    }

    pub(crate) fn facts(&self) -> WorkerFacts {
        let rate = if self.leases.is_empty() { None } else { self.rate() };
        let lanes = u8::try_from(self.leases.len()).unwrap_or(u8::MAX).min(self.lanes.now);
        WorkerFacts { rate: rate.unwrap_or_default(), lanes }
    }
}
