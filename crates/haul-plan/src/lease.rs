use crate::WorkerId;
use crate::rate::Rate;
use haul_span::Span;
use std::time::Duration;

/// The number of a lease, unique within its planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u32);

/// A span given to a worker until it is done, trimmed or revoked; bytes arrive in order.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) worker: WorkerId,
    /// What the worker was told to fetch, as trimmed.
    span: Span,
    /// The next byte that is due: in `span`, or at its end.
    next: u64,
    /// When a lane was free for it, and which byte was due then.
    began: Option<(Duration, u64)>,
    last_byte: Duration,
    /// The other requester of the same bytes.
    pub(crate) twin: Option<LeaseId>,
    /// Whether it is part of the probe's open response.
    pub(crate) open: bool,
}

impl Lease {
    /// How little time a lease must have run before its own pace says anything.
    const WARM: Duration = Duration::from_millis(500);

    pub(crate) fn new(worker: WorkerId, span: Span) -> Self {
        let next = span.start();
        Self { worker, span, next, began: None, last_byte: Duration::ZERO, twin: None, open: false }
    }

    /// What has not arrived yet.
    pub(crate) fn missing(&self) -> Option<Span> {
        self.span.from(self.next)
    }

    /// Notes that `span` arrived, which must be the very next bytes; returns the part of it that
    /// belongs to this lease.
    pub(crate) fn take(&mut self, now: Duration, span: Span) -> Option<Span> {
        let due = self.missing().filter(|missing| missing.start() == span.start())?;
        let inside = due.intersection(span)?;
        self.next = inside.end();
        self.last_byte = now;
        Some(inside)
    }

    /// Ends the lease at `at` and returns what that cuts off.
    pub(crate) fn cut(&mut self, at: u64) -> Option<Span> {
        let kept = self.span.before(at).filter(|_| at > self.next)?;
        let tail = self.span.from(at);
        self.span = kept;
        tail
    }

    /// Marks that a lane is free for this lease.
    pub(crate) fn begin(&mut self, now: Duration) {
        if self.began.is_none() {
            self.began = Some((now, self.next));
            self.last_byte = now;
        }
    }

    /// Marks that no lane is free for this lease after all.
    pub(crate) fn wait(&mut self) {
        self.began = None;
    }

    /// How long nothing arrived, if it should have: nothing should before `expected_from`.
    pub(crate) fn silence(&self, now: Duration, expected_from: Duration) -> Duration {
        let heard = self.last_byte.max(expected_from);
        self.began.map_or(Duration::ZERO, |_| now.saturating_sub(heard))
    }

    /// The lease's own pace, once it ran long enough to have one.
    pub(crate) fn pace(&self, now: Duration) -> Option<Rate> {
        let (began, from) = self.began?;
        let ran = now.saturating_sub(began);
        let arrived = self.next.saturating_sub(from);
        (ran >= Self::WARM && arrived > 0).then(|| Rate::new(arrived as f64 / ran.as_secs_f64()))
    }
}
