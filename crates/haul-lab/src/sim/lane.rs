use haul_plan::LeaseId;
use haul_span::Span;
use std::time::Duration;

/// The first window of a connection, in bytes: ten segments of 1460 (RFC 6928).
const FIRST_WINDOW: f64 = 14_600.0;

/// The most that is on the way when a connection is closed, in bytes.
const QUEUE: f64 = 100_000.0;

/// How often a worker hands on what a lane has read.
const HAND_ON: Duration = Duration::from_millis(20);

/// One HTTP connection, and the lease that it is at work on.
///
/// A connection is slow at first: its window starts with ten segments and doubles every round
/// trip. A response that is left before its end closes it, and what was on the way still comes
/// and is of no use.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    rtt: Duration,
    /// When the connection's first byte came or comes, while it is open.
    open_since: Option<Duration>,
    response: Option<Response>,
    work: Option<Work>,
    /// Bytes of a closed connection that are still on the way.
    unwanted: f64,
    /// The fraction of a byte that was read.
    crumb: f64,
    /// The rate of the last step, in bytes per second.
    rate: f64,
}

/// A response that has not been read to its end.
#[derive(Clone, Copy, Debug)]
struct Response {
    at: u64,
    end: u64,
    /// The probe's response waits for the lease that goes on where it stands.
    waits: bool,
}

#[derive(Clone, Copy, Debug)]
struct Work {
    lease: LeaseId,
    /// Up to where it was handed on, and when.
    handed_on: u64,
    handed_on_at: Duration,
    end: u64,
    /// When the first byte comes.
    starts: Duration,
    /// Whether the origin answers 429 instead.
    refused: bool,
}

/// What a lane has to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word {
    Bytes(LeaseId, Span),
    Done(LeaseId),
    Refused(LeaseId),
}

impl Lane {
    pub(crate) const fn new(rtt: Duration) -> Self {
        let (open_since, response, work) = (None, None, None);
        Self { rtt, open_since, response, work, unwanted: 0.0, crumb: 0.0, rate: 0.0 }
    }

    /// A lane on which the first byte of a response up to `end` is due at `now`.
    pub(crate) const fn probe(rtt: Duration, now: Duration, end: u64) -> Self {
        let mut lane = Self::new(rtt);
        lane.open_since = Some(now);
        lane.response = Some(Response { at: 0, end, waits: true });
        lane
    }

    pub(crate) const fn is_free(&self) -> bool {
        self.work.is_none()
    }

    /// Where a lease must start to go on in the response that this lane has open.
    pub(crate) fn goes_on_at(&self) -> Option<u64> {
        let response = self.response.filter(|response| response.waits)?;
        let at = self.work.map_or(response.at, |work| work.end);
        (at < response.end).then_some(at)
    }

    /// Starts on a lease; `trip` is how long a round trip takes this time.
    pub(crate) fn take(&mut self, now: Duration, lease: LeaseId, span: Span, trip: Duration) {
        let mut starts = now;
        if self.response.is_none_or(|response| response.at != span.start()) {
            self.leave_response();
            starts += if self.open_since.is_some() { trip } else { 2 * trip };
            self.open_since.get_or_insert(starts);
            self.response = Some(Response { at: span.start(), end: span.end(), waits: false });
        }
        self.work = Some(Work {
            lease,
            handed_on: span.start(),
            handed_on_at: starts,
            end: span.end(),
            starts,
            refused: false,
        });
    }

    /// The origin answers this lane's request with 429.
    pub(crate) fn refuse(&mut self) {
        self.response = None;
        if let Some(work) = &mut self.work {
            work.refused = true;
        }
    }

    /// Ends the lease at `end`, if it is this lane's.
    pub(crate) fn trim(&mut self, now: Duration, lease: LeaseId, end: u64, words: &mut Vec<Word>) {
        if let Some(work) = self.work.as_mut().filter(|work| work.lease == lease) {
            work.end = end.min(work.end);
            self.note_end(now, words);
        }
    }

    /// Drops the lease, if it is this lane's.
    pub(crate) fn revoke(&mut self, lease: LeaseId) {
        if self.work.is_some_and(|work| work.lease == lease) {
            self.work = None;
            self.leave_response();
        }
    }

    /// The most that this lane takes now, in bytes per second, if it takes anything.
    pub(crate) fn limit(&self, now: Duration) -> Option<f64> {
        let reads = self.work.is_some_and(|work| now >= work.starts && !work.refused);
        if self.unwanted > 0.0 {
            return Some(f64::INFINITY);
        }
        let age = now.saturating_sub(self.open_since.filter(|_| reads)?);
        let trips = age.as_secs_f64() / self.rtt.as_secs_f64().max(1e-3);
        Some(FIRST_WINDOW / self.rtt.as_secs_f64().max(1e-3) * trips.min(60.0).exp2())
    }

    /// Reads at `rate` for `time`; returns how many bytes came that nobody wants.
    pub(crate) fn read(
        &mut self,
        now: Duration,
        time: Duration,
        rate: f64,
        words: &mut Vec<Word>,
    ) -> f64 {
        self.rate = rate;
        let came = rate * time.as_secs_f64();
        let unwanted = came.min(self.unwanted);
        self.unwanted -= unwanted;
        self.advance(now, came - unwanted);
        self.note_end(now, words);
        unwanted
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    fn advance(&mut self, now: Duration, bytes: f64) {
        let Some(work) = self.work.filter(|work| now >= work.starts) else { return };
        let Some(response) = &mut self.response else { return };
        self.crumb += bytes;
        response.at = (response.at + self.crumb as u64).min(work.end.max(response.at));
        self.crumb = self.crumb.fract();
    }

    /// Hands on what is due, and ends the lease if all of it was read.
    fn note_end(&mut self, now: Duration, words: &mut Vec<Word>) {
        let Some(work) = self.work.as_mut().filter(|work| now >= work.starts) else { return };
        let lease = work.lease;
        let Some(response) = self.response else {
            words.push(Word::Refused(lease));
            self.work = None;
            return;
        };
        let over = response.at >= work.end;
        if over || now >= work.handed_on_at + HAND_ON {
            let part = Span::new(work.handed_on, response.at);
            words.extend(part.map(|part| Word::Bytes(lease, part)));
            (work.handed_on, work.handed_on_at) = (response.at, now);
        }
        if over {
            words.push(Word::Done(lease));
            self.work = None;
            self.end_response();
        }
    }

    /// Keeps what can be gone on with: a response that is over, or one that waits.
    fn end_response(&mut self) {
        let Some(response) = self.response else { return };
        if response.at >= response.end {
            self.response = None;
        } else if !response.waits {
            self.leave_response();
        }
    }

    fn leave_response(&mut self) {
        let Some(response) = self.response.take() else { return };
        let unread = (response.end - response.at) as f64;
        self.unwanted += (self.rate * self.rtt.as_secs_f64()).min(QUEUE).min(unread);
        self.open_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(40);
    const RATE: f64 = 1e6;

    fn span(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    /// Reads at [`RATE`] until the lease is done; returns when, and how much came for nothing.
    fn read_on(lane: &mut Lane, mut now: Duration) -> (Duration, f64) {
        let step = Duration::from_millis(1);
        let (mut words, mut unwanted) = (Vec::new(), 0.0);
        while !lane.is_free() {
            let rate = if lane.limit(now).is_some() { RATE } else { 0.0 };
            unwanted += lane.read(now, step, rate, &mut words);
            now += step;
        }
        (now, unwanted)
    }

    fn millis(from: Duration, to: Duration) -> u128 {
        to.saturating_sub(from).as_millis()
    }

    #[test]
    fn a_new_connection_costs_two_round_trips_and_the_next_request_one() {
        let mut lane = Lane::new(TRIP);
        lane.take(Duration::ZERO, LeaseId(0), span(0, 100_000), TRIP);
        let (first, _) = read_on(&mut lane, Duration::ZERO);
        assert_eq!(millis(Duration::ZERO, first), 180);
        lane.take(first, LeaseId(1), span(500_000, 600_000), TRIP);
        let (second, unwanted) = read_on(&mut lane, first);
        assert_eq!(millis(first, second), 140);
        assert!(unwanted <= 0.0);
    }

    #[test]
    fn the_probe_goes_on_for_free_and_leaving_it_costs_a_connection() {
        let mut lane = Lane::probe(TRIP, Duration::ZERO, 10_000_000);
        lane.take(Duration::ZERO, LeaseId(0), span(0, 100_000), TRIP);
        let (first, _) = read_on(&mut lane, Duration::ZERO);
        assert_eq!(lane.goes_on_at(), Some(100_000));
        lane.take(first, LeaseId(1), span(100_000, 200_000), TRIP);
        let (second, _) = read_on(&mut lane, first);
        assert_eq!(millis(first, second), 100);
        lane.take(second, LeaseId(2), span(500_000, 600_000), TRIP);
        let (third, unwanted) = read_on(&mut lane, second);
        assert_eq!(millis(second, third), 180);
        assert!((unwanted - 40_000.0).abs() < 1.0, "{unwanted}");
    }

    #[test]
    fn a_trimmed_response_closes_its_connection() {
        let mut lane = Lane::new(TRIP);
        let mut words = Vec::new();
        lane.take(Duration::ZERO, LeaseId(0), span(0, 1_000_000), TRIP);
        lane.trim(Duration::ZERO, LeaseId(0), 100_000, &mut words);
        let (first, _) = read_on(&mut lane, Duration::ZERO);
        lane.take(first, LeaseId(1), span(100_000, 200_000), TRIP);
        let (second, unwanted) = read_on(&mut lane, first);
        assert_eq!(millis(first, second), 180);
        assert!((unwanted - 40_000.0).abs() < 1.0, "{unwanted}");
    }
}
