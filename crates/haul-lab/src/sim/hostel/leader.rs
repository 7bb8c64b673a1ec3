use super::STEP;
use super::plan::{Leaders, draw};
use super::puller::Puller;
use crate::sim::chance::Chance;
use haul_plan::{Config, LeaseId, Output, Planner, WorkerId};
use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;
use std::time::Duration;

/// As whom a leader's planner knows its own link.
const OWN: WorkerId = WorkerId(u32::MAX);

/// One leader and its job.
pub(crate) struct Leader {
    comes: Duration,
    size: u64,
    /// Bytes per second of the own link.
    pub(crate) link: f64,
    /// How long the job took, once it is over.
    pub(crate) took: Option<Duration>,
    /// Bytes that helpers brought.
    pub(crate) helped: f64,
    /// What a fair division of the helpers would have brought.
    pub(crate) fair: f64,
    pub(crate) bytes: u64,
    planner: Option<Planner>,
    pullers: BTreeMap<WorkerId, Puller>,
    chance: Chance,
}

impl Leader {
    pub(crate) fn draw(plan: &Leaders, chance: &mut Chance) -> Self {
        let comes = Duration::from_secs_f64(chance.between(0.0, plan.within.0.as_secs_f64()));
        let size = draw(plan.size, chance);
        Self {
            comes,
            size: whole(size),
            link: draw(plan.link, chance),
            took: None,
            helped: 0.0,
            fair: 0.0,
            bytes: 0,
            planner: None,
            pullers: BTreeMap::new(),
            chance: Chance::new(chance.below(usize::MAX) as u64, 1),
        }
    }

    pub(crate) fn comes_at(&self, now: Duration) -> bool {
        self.comes <= now && self.planner.is_none() && self.took.is_none()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.planner.is_some()
    }

    /// How many times as long as alone the job took, once it is over.
    pub(crate) fn against_alone(&self) -> Option<f64> {
        Some(self.took?.as_secs_f64() / (self.size as f64 / self.link))
    }

    pub(crate) fn begin(&mut self, now: Duration) {
        self.planner = Some(Planner::new(self.size, SpanSet::new(), Config::default()));
        self.add(OWN, |planner| planner.join_own(now, OWN, 8, None));
        self.drain(now);
    }

    pub(crate) fn join(&mut self, now: Duration, helper: usize, lanes: u8) {
        let id = number(helper);
        self.add(id, |planner| planner.join(now, id, lanes));
        self.drain(now);
    }

    fn add(&mut self, id: WorkerId, join: impl FnOnce(&mut Planner)) {
        let seed = self.chance.below(usize::MAX) as u64;
        self.pullers.insert(id, Puller::new(Chance::new(seed, 2)));
        if let Some(planner) = &mut self.planner {
            join(planner);
        }
    }

    pub(crate) fn leave(&mut self, now: Duration, helper: usize) {
        self.pullers.remove(&number(helper));
        if let Some(planner) = &mut self.planner {
            planner.leave(now, number(helper));
        }
        self.drain(now);
    }

    /// Uses no more than so many lanes of a helper; all of them at once if others use the rest.
    pub(crate) fn limit_lanes(&mut self, now: Duration, helper: usize, lanes: u8, is_shared: bool) {
        if let Some(planner) = &mut self.planner {
            planner.cap_lanes(now, number(helper), lanes);
            if is_shared {
                planner.widen(now, number(helper), lanes);
            }
        }
        self.drain(now);
    }

    /// Whether bytes would come over a helper's link now.
    pub(crate) fn flows(&self, now: Duration, helper: usize) -> bool {
        self.pullers.get(&number(helper)).is_some_and(|puller| puller.flows(now))
    }

    /// Reads over a helper's link; returns what it leaves.
    pub(crate) fn read(&mut self, now: Duration, helper: usize, bytes: u64) -> u64 {
        let Some(puller) = self.pullers.get_mut(&number(helper)) else { return bytes };
        puller.read(now, bytes)
    }

    /// Reads over the own link, and lets the planner draw its conclusions; says whether the job
    /// is over now.
    pub(crate) fn step(&mut self, now: Duration) -> bool {
        if self.planner.is_none() {
            return false;
        }
        if let Some(own) = self.pullers.get_mut(&OWN) {
            own.read(now, whole(self.link * STEP.as_secs_f64()));
        }
        self.hand_on(now);
        let Some(planner) = &mut self.planner else { return false };
        if planner.wake_at().is_some_and(|at| at <= now) {
            planner.wake(now);
        }
        let over = planner.received().bytes() == self.size;
        self.drain(now);
        if over {
            self.took = Some((now + STEP).saturating_sub(self.comes));
            self.planner = None;
            self.pullers.clear();
        }
        over
    }

    fn hand_on(&mut self, now: Duration) {
        let ids: Vec<WorkerId> = self.pullers.keys().copied().collect();
        let mut parts = Vec::new();
        for id in ids {
            let Some(puller) = self.pullers.get_mut(&id) else { continue };
            puller.hand_on(now, &mut parts);
            for (lease, part) in parts.drain(..) {
                self.arrive(now, id, lease, part);
            }
        }
    }

    fn arrive(&mut self, now: Duration, id: WorkerId, lease: LeaseId, part: Span) {
        let Some(planner) = &mut self.planner else { return };
        let fresh = planner.arrive(now, id, lease, part).fresh.map_or(0, Span::len);
        self.bytes += fresh;
        if id != OWN {
            self.helped += fresh as f64;
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Duration) {
        let Some(planner) = &mut self.planner else { return };
        while let Some(output) = planner.poll_output() {
            let (Output::Grant { worker, .. }
            | Output::Trim { worker, .. }
            | Output::Revoke { worker, .. }
            | Output::Lanes { worker, .. }
            | Output::Release { worker, .. }) = output
            else {
                continue;
            };
            if let Output::Release { .. } = output {
                self.pullers.remove(&worker);
            } else if let Some(puller) = self.pullers.get_mut(&worker) {
                puller.obey(now, &output);
            }
        }
    }

    /// Whether the planner still keeps a helper.
    pub(crate) fn keeps(&self, helper: usize) -> bool {
        self.pullers.contains_key(&number(helper))
    }
}

fn number(helper: usize) -> WorkerId {
    WorkerId(u32::try_from(helper).unwrap_or(u32::MAX - 1))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
pub(crate) fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}
