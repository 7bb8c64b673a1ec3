//! When leaders that share a link are held to even parts: connections share it by chance, and over
//! a few seconds one leader can have a fifth more than another.

use super::{COMES, Flow, RESTS, float, rounded};
use std::collections::BTreeMap;
use std::time::Duration;

/// Leaders are even while none is further from its part than this.
const EVEN: f64 = 0.04;

/// How long a leader that is behind has to catch up by [`GAIN`].
const TRIAL: Duration = Duration::from_secs(2);
const GAIN: f64 = 1.1;

/// All may have so much more than they had, so that a link that became faster is seen.
const ROOM: f64 = 1.02;

/// Where a leader did not catch up nobody is held back for a while, which doubles each time.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// Whether leaders are held to their parts at present.
#[derive(Debug)]
pub(super) struct Pacing {
    trial: Option<Trial>,
    not_before: Duration,
    patience: Duration,
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
        Self { trial: None, not_before: Duration::ZERO, patience: PATIENCE }
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
            Some(_) => {
                self.patience = PATIENCE;
                self.trial = spread.trial(now);
            }
            None if now >= self.not_before => self.trial = spread.trial(now),
            None => {}
        }
        self.trial.map(|trial| rounded(trial.whole))
    }
}

/// How far leaders that all want something are from even parts.
struct Spread<'a> {
    flows: &'a BTreeMap<u64, Flow>,
    /// What all have, in bytes a second, for each unit of weight.
    part: f64,
    total: f64,
}

impl<'a> Spread<'a> {
    /// `None` where it cannot be told: with less than two, and while one has just come.
    fn of(now: Duration, flows: &'a BTreeMap<u64, Flow>) -> Option<Self> {
        let awake = || flows.values().filter(|flow| now.saturating_sub(flow.wanted) <= RESTS);
        let settled = awake().all(|flow| now.saturating_sub(flow.came) >= COMES);
        let (total, weights) = awake()
            .fold((0.0, 0.0), |(total, all), flow| (total + flow.rate, all + flow.weight));
        let tells = awake().count() > 1 && settled && total > float(1 << 10);
        tells.then_some(Self { flows, part: total / weights, total })
    }

    /// What a leader has, in its parts.
    fn level(&self, flow: &Flow) -> f64 {
        flow.rate / (self.part * flow.weight)
    }

    /// Holds all to their parts, unless they are even.
    fn trial(&self, now: Duration) -> Option<Trial> {
        let awake = || self.flows.iter().filter(|(_, flow)| now.saturating_sub(flow.wanted) <= RESTS);
        let uneven = awake().any(|(_, flow)| (self.level(flow) - 1.0).abs() > EVEN);
        let level = |flow: &&(&u64, &Flow)| self.level(flow.1);
        let (&last, flow) = awake().min_by(|a, b| level(&a).total_cmp(&level(&b)))?;
        let trial = Trial { until: now + TRIAL, whole: ROOM * self.total, last, rate: flow.rate };
        uneven.then_some(trial)
    }

    fn caught_up(&self, trial: &Trial) -> bool {
        self.flows.get(&trial.last).is_some_and(|flow| {
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
        for rates in &seen[10..] {
            assert!(rates.iter().all(|rate| (4.0 * rate / LINK - 1.0).abs() < 0.1), "{rates:?}");
            assert!(rates.iter().sum::<f64>() > 0.98 * LINK, "{rates:?}");
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
