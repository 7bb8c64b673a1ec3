use super::STEP;
use super::leader::Leader;
use super::plan::Promises;
use super::pool::Pool;
use std::fmt;
use std::time::Duration;

/// What is counted as time goes on.
#[derive(Default)]
pub(crate) struct Tally {
    /// Bytes that all links could have moved while there was work.
    capacity: f64,
    /// Bytes that links could have moved of leaders who were present and helpers who had heard
    /// one of them.
    usable: f64,
    busy: Duration,
    /// Most leaders at the same time.
    most: usize,
}

/// What came of a hostel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Bytes moved over what the links of all leaders who were present could have moved, and those
    /// of all helpers from when their first request for one of them could be answered, whether
    /// they served anybody or not: 0 to 1.
    pub used: f64,
    /// The same, with all helpers' links counted whenever a leader was present.
    pub used_of_all: f64,
    /// Jain's index of what each leader had from helpers over its fair part of them: at every
    /// moment, every helper's link over the number of leaders whose first request there could be
    /// answered. 0 to 1.
    pub fair: f64,
    /// The least and the most of that.
    pub helped: (f64, f64),
    /// The most that a job took, as a multiple of what the leader's own link alone would have.
    pub alone: f64,
    /// How many jobs ended, of how many.
    pub ended: (usize, usize),
    /// How long there was work.
    pub busy: Duration,
    /// Most leaders at the same time.
    pub most: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, now: Duration, leaders: &mut [Leader], pool: &Pool) {
        let active = leaders.iter().filter(|leader| leader.is_active()).count();
        if active == 0 {
            return;
        }
        let step = STEP.as_secs_f64();
        let all = pool.capacity();
        let fair = pool.fair(now, leaders.len());
        let usable: f64 = fair.iter().sum();
        let own: f64 = leaders.iter().filter(|it| it.is_active()).map(|it| it.link).sum();
        self.capacity += (all + own) * step;
        self.usable += (usable + own) * step;
        self.busy += STEP;
        self.most = self.most.max(active);
        for (leader, part) in leaders.iter_mut().zip(fair) {
            leader.fair += part * step;
        }
    }

    pub(crate) fn outcome(&self, leaders: &[Leader]) -> Outcome {
        let bytes = leaders.iter().map(|leader| leader.bytes).sum::<u64>() as f64;
        let helped: Vec<f64> =
            leaders.iter().filter(|it| it.fair > 0.0).map(|it| it.helped / it.fair).collect();
        let ended = leaders.iter().filter_map(Leader::against_alone);
        Outcome {
            used: bytes / self.usable,
            used_of_all: bytes / self.capacity,
            fair: jain(&helped),
            helped: (
                helped.iter().copied().fold(f64::INFINITY, f64::min),
                helped.iter().copied().fold(0.0, f64::max),
            ),
            alone: ended.clone().fold(0.0, f64::max),
            ended: (ended.count(), leaders.len()),
            busy: self.busy,
            most: self.most,
        }
    }
}

impl Outcome {
    /// Whether all that was promised was kept.
    pub fn keeps(&self, promise: &Promises) -> bool {
        let all = self.ended.0 == self.ended.1;
        let enough = self.used >= promise.used && self.fair >= promise.fair;
        all && enough && self.alone <= promise.alone
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, used_of_all, fair, helped: (least, most), alone, ended, .. } = self;
        writeln!(f, "links used             {used:.3}  (of all {used_of_all:.3})")?;
        writeln!(f, "Jain's index of help   {fair:.3}  ({least:.2} to {most:.2} of a fair part)")?;
        writeln!(f, "slowest, against alone {alone:.3}")?;
        writeln!(f, "jobs that ended        {} of {}", ended.0, ended.1)?;
        let busy = self.busy.as_secs_f64();
        write!(f, "there was work for     {busy:.0} s, of up to {} leaders at once", self.most)
    }
}

/// The square of the sum over the number times the sum of squares (Jain, Chiu and Hawe, 1984).
fn jain(parts: &[f64]) -> f64 {
    let (sum, squares) = (parts.iter().sum::<f64>(), parts.iter().map(|it| it * it).sum::<f64>());
    if squares > 0.0 { sum * sum / (parts.len() as f64 * squares) } else { 1.0 }
}
