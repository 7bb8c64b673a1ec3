//! How what one helper has is divided among the leaders that it helps at the same time.

mod pacing;

use pacing::Pacing;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who has not wanted anything for so long leaves its part to the others.
const RESTS: Duration = Duration::from_secs(2);

/// Whoever uses less than its part leaves the rest to the others, but for so much more than it
/// uses, in parts and in bytes a second: to show that it could use more.
const SPARE: f64 = 1.25;
const SPARE_LEAST: f64 = 32_768.0;

/// What whoever wants nothing is left, in bytes a second: its signs of life.
const RESTING: f64 = 1024.0;

/// Of who has come within this time it is not known that it could not use its part.
const COMES: Duration = Duration::from_secs(3);

/// In how many seconds what was received comes to weigh 1/e in a rate.
const FADE: f64 = 1.0;

/// What is known of a leader that is helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Twice the weight, twice as much.
    pub(crate) weight: u32,
    /// Bytes that were received for it so far.
    pub(crate) received: u64,
    /// Whether it has leases that are not fetched yet, and takes what is fetched.
    pub(crate) wants: bool,
}

/// What a leader may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    /// Connections to the origin, 1 or more.
    pub(crate) lanes: u8,
    /// Bytes a second, where all together have a limit.
    pub(crate) rate: Option<u64>,
}

/// The leaders that share a link. Time is an argument: since the helper started.
///
/// Connections are divided evenly, by weight, among those who want something, at least one each,
/// and what is left over goes to those who came first; and as connections share a link about
/// evenly, so is that. Whoever has more of it than its part is held back for as long as another
/// catches up. Where one cannot use its part, the others have the rest of the link by themselves.
#[derive(Debug, Default)]
pub(crate) struct FairShares {
    flows: BTreeMap<u64, Flow>,
    pacing: Pacing,
    last: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    weight: f64,
    received: u64,
    /// Bytes that were received since the last time.
    fresh: f64,
    /// Bytes a second, of late.
    rate: f64,
    /// When it came, or began to want something again.
    came: Duration,
    wanted: Duration,
}

impl FairShares {
    /// What each leader may have from now on, of so many `connections` and of so many bytes a
    /// second, if that has a limit.
    pub(crate) fn divide(
        &mut self,
        now: Duration,
        demands: &BTreeMap<u64, Demand>,
        connections: u8,
        whole: Option<u64>,
    ) -> BTreeMap<u64, Portion> {
        let passed = self.count(now, demands);
        let rests = |flow: &Flow| now.saturating_sub(flow.wanted) > RESTS;
        let awake: f64 = self.flows.values().filter(|flow| !rests(flow)).map(|it| it.weight).sum();
        let even = |flow: &Flow| {
            let beside = if rests(flow) { flow.weight } else { 0.0 };
            whole_lanes(f64::from(connections) * flow.weight / (awake + beside))
        };
        let given: u32 =
            self.flows.values().filter(|flow| !rests(flow)).map(|it| u32::from(even(it))).sum();
        // What does not divide evenly goes to those who came first: ids are given out in that order.
        let mut left = u32::from(connections).saturating_sub(given);
        let mut lanes = |flow: &Flow| {
            let more = u8::from(left > 0 && !rests(flow));
            left -= u32::from(more);
            even(flow) + more
        };
        let rates = match whole {
            Some(whole) => self.rates(now, whole),
            None => self.paced(now, passed),
        };
        let rate = |id| rates.get(id).copied();
        let flows = self.flows.iter();
        flows.map(|(id, flow)| (*id, Portion { lanes: lanes(flow), rate: rate(id) })).collect()
    }

    /// Takes in what was received since the last time, who came, and who left; says how long ago
    /// that was.
    fn count(&mut self, now: Duration, demands: &BTreeMap<u64, Demand>) -> Duration {
        let passed = now.saturating_sub(std::mem::replace(&mut self.last, now));
        self.flows.retain(|id, _| demands.contains_key(id));
        for (&id, demand) in demands {
            let flow = self.flows.entry(id).or_insert_with(|| Flow::new(now, demand));
            flow.count(now, passed.as_secs_f64(), demand);
        }
        passed
    }

    /// The rates of leaders that are held to their parts of a link without a limit: of nobody, or
    /// of all.
    fn paced(&mut self, now: Duration, passed: Duration) -> BTreeMap<u64, u64> {
        let Some(whole) = self.pacing.whole(now, &self.flows) else { return BTreeMap::new() };
        let mut rates = self.rates(now, whole);
        self.pacing.count(passed, &self.flows, &rates);
        for (&id, rate) in &mut rates {
            *rate = self.pacing.held(id, *rate);
        }
        rates
    }

    /// A limit divided so that nobody gets more than it could use while another could use more
    /// (max-min fairness), in bytes a second.
    fn rates(&self, now: Duration, whole: u64) -> BTreeMap<u64, u64> {
        let (mut unmet, mut rates) = (self.flows.clone(), BTreeMap::new());
        let mut left = float(whole);
        loop {
            let weights: f64 = unmet.values().map(|flow| flow.weight).sum();
            let part = |flow: &Flow| left * flow.weight / weights;
            let met = unmet.iter().find(|(_, flow)| flow.could_use(now) < part(flow));
            let Some((&id, &flow)) = met.filter(|_| unmet.len() > 1) else {
                rates.extend(unmet.iter().map(|(&id, flow)| (id, rounded(part(flow)).max(1))));
                return rates;
            };
            unmet.remove(&id);
            left -= flow.could_use(now);
            rates.insert(id, rounded(flow.could_use(now)).max(1));
        }
    }
}

impl Flow {
    fn new(now: Duration, demand: &Demand) -> Self {
        let weight = f64::from(demand.weight.max(1));
        Self { weight, received: demand.received, fresh: 0.0, rate: 0.0, came: now, wanted: now }
    }

    fn count(&mut self, now: Duration, passed: f64, demand: &Demand) {
        self.fresh = float(demand.received.saturating_sub(self.received));
        let age = now.saturating_sub(self.came).as_secs_f64();
        if passed > 0.0 && age > 0.0 {
            let fading = |seconds: f64| 1.0 - (-seconds / FADE).exp();
            let weight = (fading(passed) / fading(age)).min(1.0);
            self.rate += weight * (self.fresh / passed - self.rate);
        }
        self.received = demand.received;
        if demand.wants {
            if now.saturating_sub(self.wanted) > RESTS {
                self.came = now;
            }
            self.wanted = now;
        }
    }

    /// How fast it could be for all that is known, in bytes a second.
    fn could_use(&self, now: Duration) -> f64 {
        match () {
            () if now.saturating_sub(self.came) < COMES => f64::INFINITY,
            () if now.saturating_sub(self.wanted) > RESTS => RESTING,
            () => SPARE * self.rate + SPARE_LEAST,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate above 2^53 bytes a second is no limit")]
const fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
const fn rounded(number: f64) -> u64 {
    number as u64
}

fn whole_lanes(lanes: f64) -> u8 {
    u8::try_from(rounded(lanes)).unwrap_or(u8::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Leaders that have received so much a second, as far as they were let, for ten seconds.
    fn after_ten_seconds(rates: &[(u32, u64)], whole: Option<u64>) -> Vec<Portion> {
        let (mut shares, mut received) = (FairShares::default(), vec![0; rates.len()]);
        let mut portions = BTreeMap::new();
        for second in 0..=10 {
            let demand = |(id, &(weight, _)): (usize, &(u32, u64))| {
                (id as u64, Demand { weight, received: received[id], wants: rates[id].1 > 0 })
            };
            let demands = rates.iter().enumerate().map(demand).collect();
            portions = shares.divide(second * SECOND, &demands, 8, whole);
            for (id, bytes) in received.iter_mut().enumerate() {
                let let_out = portions[&(id as u64)].rate.unwrap_or(u64::MAX);
                *bytes += rates[id].1.min(let_out);
            }
        }
        portions.into_values().collect()
    }

    fn lanes(rates: &[(u32, u64)]) -> Vec<u8> {
        after_ten_seconds(rates, None).iter().map(|portion| portion.lanes).collect()
    }

    #[test]
    fn shares_divide_connections_evenly_among_those_who_want_something() {
        assert_eq!(lanes(&[(1, 9)]), [8]);
        assert_eq!(lanes(&[(1, 9), (1, 9)]), [4, 4]);
        assert_eq!(lanes(&[(1, 9); 4]), [2; 4]);
        assert_eq!(lanes(&[(1, 9); 3]), [3, 3, 2]);
        assert_eq!(lanes(&[(1, 9), (1, 0), (1, 9), (1, 9)]), [3, 2, 3, 2]);
        assert_eq!(lanes(&[(4, 9), (4, 9), (1, 9)]), [4, 3, 1]);
        assert_eq!(lanes(&[(1, 9); 50]), [1; 50]);
        assert_eq!(lanes(&[(1, 9), (1, 0), (1, 9), (1, 0)]), [4, 2, 4, 2]);
    }

    #[test]
    fn shares_follow_the_weights() {
        assert_eq!(lanes(&[(4, 9), (2, 9), (1, 9), (1, 9)]), [4, 2, 1, 1]);
        let rates = after_ten_seconds(&[(3, 1 << 30), (1, 1 << 30)], Some(1 << 20));
        assert_eq!(rates[0].rate, Some(3 << 18));
    }

    #[test]
    fn shares_of_a_limit_that_one_cannot_use_are_the_others() {
        let whole = 1 << 20;
        let portions = after_ten_seconds(&[(1, 1 << 30), (1, 10_000), (1, 0)], Some(whole));
        let most = portions[0].rate.unwrap();
        assert!(most > whole * 9 / 10, "{most}");
    }

    proptest! {
        #[test]
        fn shares_use_every_connection_and_give_everybody_one(
            weights in proptest::collection::vec(1_u32..5, 1..20),
        ) {
            let rates: Vec<_> = weights.iter().map(|&weight| (weight, 9)).collect();
            let lanes = lanes(&rates);
            prop_assert!(lanes.iter().all(|&lanes| lanes >= 1));
            let all: u32 = lanes.iter().map(|&lanes| u32::from(lanes)).sum();
            prop_assert!(all >= 8, "{lanes:?}");
        }

        #[test]
        fn shares_of_a_limit_are_all_of_it_and_no_more(
            rates in proptest::collection::vec((1_u32..5, 0_u64..1 << 22), 1..20),
            whole in 1_u64 << 16..1 << 24,
        ) {
            let portions = after_ten_seconds(&rates, Some(whole));
            let all: u64 = portions.iter().filter_map(|portion| portion.rate).sum();
            let count = rates.len() as u64;
            prop_assert!(all <= whole + count, "{all} of {whole}");
            let unmet = |(portion, &(_, rate)): (&Portion, &(u32, u64))| portion.rate < Some(rate);
            let is_short = portions.iter().zip(&rates).any(unmet);
            prop_assert!(!is_short || all + count >= whole, "{all} of {whole}");
        }
    }
}
