use super::STEP;
use super::leader::{Leader, whole};
use super::plan::{Hostel, draw};
use super::puller::TRIP;
use crate::sim::chance::Chance;
use std::collections::VecDeque;
use std::time::Duration;

/// Between these after a leader's coming a helper has heard its ask, in seconds.
const HEARD: (f64, f64) = (0.2, 1.0);

/// What a first request costs: a new connection, two round trips, in seconds.
const OPENED: f64 = TRIP.0 + TRIP.1;

/// Within so long a helper looks whether there is anybody to dial, in seconds.
const LOOK: (f64, f64) = (0.5, 1.0);

/// How many lanes a helper divides among its leaders.
const LANES: u8 = 8;

/// The helpers.
pub(crate) struct Pool {
    helpers: Vec<Helper>,
    at_once: usize,
    yields: bool,
    chance: Chance,
}

struct Helper {
    /// Bytes per second.
    link: f64,
    /// The leaders that it serves.
    served: Vec<usize>,
    /// Whose asks it has heard, of those who are present, and since when the answer to a first
    /// request could have come.
    heard: Vec<(usize, Duration)>,
    /// Whose asks are on the way, and when they are heard.
    coming: Vec<(Duration, usize)>,
    /// Whom it refused, in the order in which they asked.
    refused: VecDeque<usize>,
    looks: Duration,
    /// How many lanes it told each leader last, 0 before the first time, in the order in which they
    /// came.
    told: Vec<(usize, u8)>,
}

impl Pool {
    pub(crate) fn draw(hostel: &Hostel, chance: &mut Chance) -> Self {
        let helper = |_| Helper {
            link: draw(hostel.helpers.link, chance),
            served: Vec::new(),
            heard: Vec::new(),
            coming: Vec::new(),
            refused: VecDeque::new(),
            looks: Duration::ZERO,
            told: Vec::new(),
        };
        let helpers = (0..hostel.helpers.count).map(helper).collect();
        let chance = Chance::new(chance.below(usize::MAX) as u64, 3);
        Self { helpers, at_once: hostel.helpers.at_once, yields: hostel.yields, chance }
    }

    /// Sum of all helpers' links, in bytes per second.
    pub(crate) fn capacity(&self) -> f64 {
        self.helpers.iter().map(|helper| helper.link).sum()
    }

    /// Each leader's part of the links that could be in use now, in bytes per second: every helper
    /// divided equally among those whom it could have answered by now.
    pub(crate) fn fair(&self, now: Duration, leaders: usize) -> Vec<f64> {
        let mut fair = vec![0.0; leaders];
        for helper in &self.helpers {
            let ready = || helper.heard.iter().filter(|(_, since)| *since <= now);
            let count = ready().count() as f64;
            ready().for_each(|(leader, _)| fair[*leader] += helper.link / count);
        }
        fair
    }

    pub(crate) fn hear_of(&mut self, now: Duration, leader: usize) {
        for helper in &mut self.helpers {
            let after = self.chance.between(HEARD.0, HEARD.1);
            helper.coming.push((now + Duration::from_secs_f64(after), leader));
        }
    }

    pub(crate) fn lose(&mut self, now: Duration, leader: usize) {
        for helper in &mut self.helpers {
            helper.coming.retain(|(_, it)| *it != leader);
            helper.heard.retain(|(it, _)| *it != leader);
            helper.refused.retain(|it| *it != leader);
            let served = helper.served.len();
            helper.served.retain(|it| *it != leader);
            if helper.served.len() < served {
                let after = self.chance.between(0.0, LOOK.1);
                helper.looks = helper.looks.min(now + Duration::from_secs_f64(after));
            }
        }
    }

    /// Lets helpers take whom they hear, and those whom they remember.
    pub(crate) fn decide(&mut self, now: Duration, leaders: &mut [Leader]) {
        for at in 0..self.helpers.len() {
            self.helpers[at].served.retain(|&it| leaders[it].keeps(at));
            self.hear(now, at, leaders);
            if now >= self.helpers[at].looks {
                let after = self.chance.between(LOOK.0, LOOK.1);
                self.helpers[at].looks = now + Duration::from_secs_f64(after);
                self.look(now, at, leaders);
            }
        }
    }

    fn hear(&mut self, now: Duration, at: usize, leaders: &mut [Leader]) {
        while let Some(next) = self.helpers[at].coming.iter().position(|(when, _)| *when <= now) {
            let (_, leader) = self.helpers[at].coming.swap_remove(next);
            let ready = now + Duration::from_secs_f64(OPENED);
            self.helpers[at].heard.push((leader, ready));
            if self.helpers[at].served.len() < self.at_once {
                self.serve(now, at, leader, leaders);
            } else {
                self.helpers[at].refused.push_back(leader);
            }
        }
    }

    /// Dials somebody, if there is a place or one is left to it.
    fn look(&mut self, now: Duration, at: usize, leaders: &mut [Leader]) {
        let Some(waits) = self.neediest(at) else { return };
        if self.helpers[at].served.len() >= self.at_once {
            let Some(rich) = self.who_yields(at, waits) else { return };
            leaders[rich].leave(now, at);
            self.helpers[at].served.retain(|&it| it != rich);
            self.helpers[at].refused.push_back(rich);
        }
        self.helpers[at].refused.retain(|&it| it != waits);
        self.serve(now, at, waits, leaders);
    }

    /// Whom a helper dials: of those that it remembers the one with least help, or the first.
    fn neediest(&self, at: usize) -> Option<usize> {
        let refused = self.helpers[at].refused.iter().copied();
        if self.yields {
            refused.min_by(|&a, &b| self.help(a).total_cmp(&self.help(b)))
        } else {
            refused.take(1).next()
        }
    }

    /// The leader with most help, if it keeps more without this helper than `waits` has with it.
    fn who_yields(&self, at: usize, waits: usize) -> Option<usize> {
        let served = self.helpers[at].served.iter().copied().filter(|_| self.yields);
        let rich = served.max_by(|&a, &b| self.help(a).total_cmp(&self.help(b)))?;
        let share = self.helpers[at].link / self.at_once as f64;
        (self.help(rich) - share > self.help(waits) + share).then_some(rich)
    }

    /// What a leader is promised by its helpers, each of which tells it its share.
    fn help(&self, leader: usize) -> f64 {
        let its = self.helpers.iter().filter(|helper| helper.served.contains(&leader));
        its.map(|helper| helper.link / helper.served.len() as f64).sum()
    }

    fn serve(&mut self, now: Duration, at: usize, leader: usize, leaders: &mut [Leader]) {
        self.helpers[at].served.push(leader);
        self.helpers[at].told.push((leader, 0));
        leaders[leader].join(now, at, LANES);
    }

    /// Tells leaders how many lanes each has, where that has changed.
    pub(crate) fn tell_lanes(&mut self, now: Duration, leaders: &mut [Leader]) {
        for (at, helper) in self.helpers.iter_mut().enumerate() {
            let Helper { served, told, .. } = helper;
            told.retain(|(leader, _)| served.contains(leader));
            let count = told.len();
            for (place, (leader, told)) in told.iter_mut().enumerate() {
                let lanes = lanes(place, count);
                if std::mem::replace(told, lanes) != lanes {
                    leaders[*leader].limit_lanes(now, at, lanes, lanes < LANES);
                }
            }
        }
    }

    /// Lets every helper's link flow for one step.
    pub(crate) fn flow(&mut self, now: Duration, leaders: &mut [Leader]) {
        for (at, helper) in self.helpers.iter_mut().enumerate() {
            let mut left = whole(helper.link * STEP.as_secs_f64());
            let flowing = helper.served.iter().filter(|&&it| leaders[it].flows(now, at));
            let flowing: Vec<usize> = flowing.copied().collect();
            let count = flowing.len() as u64;
            for (done, leader) in (0..count).zip(flowing) {
                let part = left / (count - done);
                left -= part - leaders[leader].read(now, at, part);
            }
            let turn = usize::from(!helper.served.is_empty());
            helper.served.rotate_left(turn);
        }
    }
}

/// How many lanes the leader has that came as the so-manyth, from 0, of so many.
fn lanes(place: usize, leaders: usize) -> u8 {
    let (leaders, all) = (leaders.max(1), usize::from(LANES));
    let lanes = all / leaders + usize::from(place < all % leaders);
    u8::try_from(lanes).unwrap_or(LANES).max(1)
}
