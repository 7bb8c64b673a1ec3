//! When leaders that share a link are held to even parts: connections share it by chance, and over
//! a few seconds one leader can have a fifth more than another.

use super::{COMES, Flow, RESTS, float, rounded};
use std::collections::BTreeMap;
use std::time::Duration;

/// Leaders are even while none is further from its part than this.
const EVEN: f64 = 0.07;

/// How long a leader that is behind has to become even, or to catch up by [`GAIN`].
const TRIAL: Duration = Duration::from_secs(2);
const GAIN: f64 = 1.1;

/// Held leaders may have so much more than all had, so that the link stays full where one pauses
/// for a moment and a faster link is seen.
const ROOM: f64 = 0.08;

/// Where so much of that is used the link has become faster, and nobody is held for the moment.
const FILLED: f64 = 0.98;

/// What a leader is ahead by counts for so many seconds, and is taken off it in one.
const REMEMBERED: f64 = 4.0;
const PAID_IN: f64 = 1.0;

/// A leader that is ahead keeps this part of what it may have.
const KEEPS: f64 = 0.8;

/// Where a leader did not catch up nobody is held back for a while, which doubles each time.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// Whether leaders are held to their parts at present.
#[derive(Debug)]
pub(super) struct Pacing {
    trial: Option<Trial>,
    not_before: Duration,
    patience: Duration,
    /// By how many bytes each leader that is held is ahead of its part, of late.
    ahead: BTreeMap<u64, f64>,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    until: Duration,
    /// What all may have, in bytes a second.
    whole: f64,
    /// Who was furthest behind, and its rate then.
    last: u64,
    rate: f64,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { trial: None, not_before: Duration::ZERO, patience: PATIENCE, ahead: BTreeMap::new() }
    }
}

impl Pacing {
    /// What is to be divided among the leaders, in bytes a second, while they are held to that.
    pub(super) fn whole(&mut self, now: Duration, flows: &BTreeMap<u64, Flow>) -> Option<u64> {
        let Some(spread) = Spread::of(now, flows) else {
            *self = Self { not_before: now, ..Self::default() };
            return None;
        };
        match self.trial {
            Some(trial) if now < trial.until => {}
            Some(trial) if !spread.caught_up(&trial) => {
                self.trial = None;
                self.not_before = now + self.patience;
                self.patience = LONGEST.min(2 * self.patience);
            }
            Some(trial) => {
                self.patience = PATIENCE;
                self.trial = spread.trial(now).filter(|_| spread.total < FILLED * trial.whole);
            }
            None if now >= self.not_before && spread.is_uneven() => self.trial = spread.trial(now),
            None => {}
        }
        if self.trial.is_none() {
            self.ahead.clear();
        }
        self.trial.map(|trial| rounded(trial.whole))
    }

    /// Counts what the leaders received in the time that `passed`, of whom each had a right to a
    /// part of what all received.
    pub(super) fn count(
        &mut self,
        passed: Duration,
        flows: &BTreeMap<u64, Flow>,
        parts: &BTreeMap<u64, u64>,
    ) {
        let all: f64 = flows.values().map(|flow| flow.fresh).sum();
        let rights: f64 = parts.values().map(|&part| float(part)).sum();
        let fade = (-passed.as_secs_f64() / REMEMBERED).exp();
        for (id, &part) in parts {
            let fresh = flows.get(id).map_or(0.0, |flow| flow.fresh);
            let ahead = self.ahead.entry(*id).or_default();
            *ahead = *ahead * fade + fresh - all * float(part) / rights;
        }
    }

    /// What a leader may have now of its part, in bytes a second.
    pub(super) fn held(&self, id: u64, part: u64) -> u64 {
        let ahead = self.ahead.get(&id).map_or(0.0, |ahead| ahead.max(0.0) / PAID_IN);
        rounded((float(part) - ahead).max(KEEPS * float(part))).max(1)
    }
}

/// How far leaders that all want something are from even parts.
struct Spread<'a> {
    awake: Vec<(u64, &'a Flow)>,
    /// What all have, in bytes a second; and of that, each unit of weight.
    total: f64,
    part: f64,
}

impl<'a> Spread<'a> {
    /// `None` where it cannot be told: with less than two, and while one has just come.
    fn of(now: Duration, flows: &'a BTreeMap<u64, Flow>) -> Option<Self> {
        let wants = |flow: &Flow| now.saturating_sub(flow.wanted) <= RESTS;
        let awake = flows.iter().filter(|(_, flow)| wants(flow));
        let awake: Vec<(u64, &Flow)> = awake.map(|(&id, flow)| (id, flow)).collect();
        let settled = awake.iter().all(|(_, flow)| now.saturating_sub(flow.came) >= COMES);
        let total: f64 = awake.iter().map(|(_, flow)| flow.rate).sum();
        let part = total / awake.iter().map(|(_, flow)| flow.weight).sum::<f64>();
        (awake.len() > 1 && settled && total > 0.0).then_some(Self { awake, total, part })
    }

    /// What a leader has, in its parts.
    fn level(&self, flow: &Flow) -> f64 {
        flow.rate / (self.part * flow.weight)
    }

    fn is_uneven(&self) -> bool {
        self.awake.iter().any(|(_, flow)| (self.level(flow) - 1.0).abs() > EVEN)
    }

    /// Holds all to their parts.
    fn trial(&self, now: Duration) -> Option<Trial> {
        let level = |(_, flow): &&(u64, &Flow)| self.level(flow);
        let (last, flow) = self.awake.iter().min_by(|a, b| level(a).total_cmp(&level(b)))?;
        let whole = (1.0 + ROOM) * self.total;
        Some(Trial { until: now + TRIAL, whole, last: *last, rate: flow.rate })
    }

    fn caught_up(&self, trial: &Trial) -> bool {
        let last = self.awake.iter().find(|(id, _)| *id == trial.last);
        last.is_none_or(|(_, flow)| {
            flow.rate >= GAIN * trial.rate || self.level(flow) >= 1.0 - EVEN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Demand, FairShares};
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// What leaders receive each second on a link, as their connections grab parts of it that go
    /// as `grabs`, where each can use no more than `most`, in bytes a second.
    fn received(link: f64, grabs: &[f64], most: &[f64], seconds: u32) -> Vec<Vec<f64>> {
        let (mut shares, mut had) = (FairShares::default(), vec![0.0; grabs.len()]);
        let mut seen = Vec::new();
        for tick in 0..4 * seconds {
            let demand = |had: &f64| Demand { weight: 1, received: rounded(*had), wants: true };
            let demands = (0..).zip(had.iter().map(demand)).collect();
            let portions = shares.divide(tick * TICK, &demands, 8, None);
            let allowed = |at: usize| {
                let rate = portions[&(at as u64)].rate;
                most[at].min(rate.map_or(f64::INFINITY, float))
            };
            let caps: Vec<f64> = (0..grabs.len()).map(allowed).collect();
            let rates = grabbed(link, grabs, &caps);
            had.iter_mut().zip(&rates).for_each(|(had, rate)| *had += rate / 4.0);
            if tick % 4 == 3 {
                seen.push(rates);
            }
        }
        seen
    }

    /// The link divided in parts that go as `grabs`; what one may not have, the others grab.
    fn grabbed(link: f64, grabs: &[f64], caps: &[f64]) -> Vec<f64> {
        let mut rates = vec![0.0; grabs.len()];
        for _ in 0..grabs.len() {
            let left = link - rates.iter().sum::<f64>();
            let open = |at: &usize| rates[*at] < caps[*at];
            let takers: Vec<usize> = (0..grabs.len()).filter(open).collect();
            let all: f64 = takers.iter().map(|&at| grabs[at]).sum();
            for at in takers {
                rates[at] = caps[at].min(rates[at] + left * grabs[at] / all);
            }
        }
        rates
    }

    const LINK: f64 = 5e6;

    #[test]
    fn pacing_evens_out_what_connections_grab() {
        let seen = received(LINK, &[1.0, 1.3, 0.7, 1.0], &[f64::INFINITY; 4], 40);
        for five in seen[5..].windows(5) {
            let had = |at: usize| five.iter().map(|rates| rates[at]).sum::<f64>() / 5.0;
            assert!((0..4).all(|at| (4.0 * had(at) / LINK - 1.0).abs() < 0.1), "{five:?}");
            assert!((0..4).map(had).sum::<f64>() > 0.98 * LINK, "{five:?}");
        }
    }

    #[test]
    fn pacing_for_one_that_cannot_use_its_part_costs_the_others_next_to_nothing() {
        for most in [0.0, 1e3, 0.3 * LINK / 4.0, 0.9 * LINK / 4.0] {
            let most = [most, f64::INFINITY, f64::INFINITY, f64::INFINITY];
            let seen = received(LINK, &[1.0; 4], &most, 120);
            let all: f64 = seen.iter().flatten().sum();
            assert!(all > 0.99 * 120.0 * LINK, "{most:?}: {}", all / 120.0 / LINK);
        }
    }

    #[test]
    fn pacing_lets_leaders_follow_a_link_that_becomes_faster() {
        let mut shares = FairShares::default();
        let mut had = [0.0; 2];
        let mut rates = vec![0.0; 2];
        for tick in 0..120 {
            let link = if tick < 60 { LINK } else { 2.0 * LINK };
            let demand = |had: &f64| Demand { weight: 1, received: rounded(*had), wants: true };
            let demands = (0..).zip(had.iter().map(demand)).collect();
            let portions = shares.divide(tick * TICK, &demands, 8, None);
            let caps = [0, 1].map(|at| portions[&at].rate.map_or(f64::INFINITY, float));
            rates = grabbed(link, &[1.0, 1.5], &caps);
            had.iter_mut().zip(&rates).for_each(|(had, rate)| *had += rate / 4.0);
        }
        assert!(rates.iter().sum::<f64>() > 1.9 * LINK, "{rates:?}");
    }
}
