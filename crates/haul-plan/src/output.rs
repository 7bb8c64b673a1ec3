use crate::{LeaseId, WorkerId};
use haul_span::Span;
use std::time::Duration;

/// What the planner wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Lease this span to this worker.
    Grant {
        /// Who fetches.
        worker: WorkerId,
        /// The lease; ids are never used twice.
        lease: LeaseId,
        /// What to fetch.
        span: Span,
    },
    /// Tell this worker that a lease ends earlier.
    Trim {
        /// Whose lease.
        worker: WorkerId,
        /// Which one.
        lease: LeaseId,
        /// Its new end.
        end: u64,
    },
    /// Take a lease back whole.
    Revoke {
        /// Whose lease.
        worker: WorkerId,
        /// Which one.
        lease: LeaseId,
    },
    /// Tell this worker how many leases to fetch at a time.
    Lanes {
        /// Who.
        worker: WorkerId,
        /// How many lanes.
        lanes: u8,
    },
    /// This worker's part is over; it holds no lease any more.
    Release {
        /// Who.
        worker: WorkerId,
        /// Why.
        cause: Cause,
    },
    /// Nobody is left who could fetch what is missing.
    Stuck,
    /// Every byte of the file was received.
    Complete,
}

/// Why the planner ends a worker's part in the job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// It added less than it is worth: its share of the total rate, 0 to 1.
    Idle {
        /// The share.
        share: f64,
    },
    /// It was not missed when it rested: it shares a link with others.
    Shares {
        /// Its share of the total rate, 0 to 1.
        share: f64,
        /// How much faster all were with it than without, 0 or more.
        gain: f64,
    },
    /// It failed too often in a row.
    Failed,
    /// It delivered bad data.
    Spoiled,
}

/// What kind of failure ended a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// A passing fault of the link: the worker tries again after a pause.
    Passing,
    /// The origin asked for less: fewer lanes, and none before the pause is over.
    Throttled {
        /// How long the origin wants to be left alone.
        pause: Duration,
    },
    /// The origin does not give this span to this worker; another may get it.
    Elsewhere,
    /// The worker can fetch nothing more.
    Fatal,
}

/// What became of bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The part that is to be stored: inside the lease, and not received before.
    pub fresh: Option<Span>,
    /// How many bytes are of no use: outside the lease, or received before.
    pub wasted: u64,
}
