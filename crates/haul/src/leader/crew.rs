//! Who takes part in a job, and what each has done.

use crate::event::WorkerProgress;
use crate::lanes::{Lanes, Order};
use crate::{WorkerReport, leader::single::OWN};
use haul_link::PeerId;
use haul_plan::{Planner, WorkerId};
use haul_wire::{ByeReason, Frame};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How many bytes a helper may have on the way to the leader.
pub(crate) const WINDOW: u32 = 8 << 20;

/// Credit is given in steps of at least this, so that it costs few frames.
const CREDIT_STEP: u64 = 1 << 20;

/// For how long holds what a helper says of the way to the leader, which it says once a second.
const HELD_FOR: Duration = Duration::from_secs(3);

/// The workers of a job, those that have left included.
#[derive(Default)]
pub(crate) struct Crew {
    members: BTreeMap<u32, Member>,
    /// Machines that may not take part again.
    barred: Vec<PeerId>,
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    hands: Hands,
    bytes: u64,
    wasted: u64,
    /// Bytes that it sent and has no credit for again.
    unpaid: u64,
    /// Whether its bytes came over the leader's link to the internet.
    on_own_link: bool,
    spoiled: u64,
    /// How much of its time the way to the leader held its data, in hundredths, and when it said so.
    held: Option<(u8, Duration)>,
}

enum Hands {
    Own(Lanes),
    Helper { peer: PeerId, hears_at: SocketAddr, frames: UnboundedSender<Frame> },
    Gone,
}

impl Crew {
    pub(crate) fn add_own(&mut self, lanes: Lanes) {
        self.members.insert(OWN, Member::new("own link".into(), None, Hands::Own(lanes)));
    }

    pub(crate) fn add_helper(
        &mut self,
        worker: u32,
        name: String,
        address: SocketAddr,
        hears_at: SocketAddr,
        peer: PeerId,
        frames: UnboundedSender<Frame>,
    ) {
        // A session that has just ended tells so itself.
        let _ = frames.send(Frame::Credit { bytes: WINDOW });
        let hands = Hands::Helper { peer, hears_at, frames };
        self.members.insert(worker, Member::new(name, Some(address), hands));
    }

    /// Where the helpers that take part and have brought something hear asks.
    pub(crate) fn helped(&self) -> Vec<(PeerId, SocketAddr)> {
        let helped = |member: &Member| match member.hands {
            Hands::Helper { peer, hears_at, .. } if member.bytes > 0 => Some((peer, hears_at)),
            _ => None,
        };
        self.members.values().filter_map(helped).collect()
    }

    pub(crate) fn get(&self, worker: u32) -> Option<&Member> {
        self.members.get(&worker)
    }

    /// How many helpers take part at present.
    pub(crate) fn helping(&self) -> usize {
        let is_helper = |member: &&Member| matches!(member.hands, Hands::Helper { .. });
        self.members.values().filter(is_helper).count()
    }

    /// Keeps a helper from coming back.
    pub(crate) fn bar(&mut self, worker: u32) {
        if let Some(Hands::Helper { peer, .. }) = self.members.get(&worker).map(|it| &it.hands) {
            self.barred.push(*peer);
        }
    }

    /// Whether the machine with this key takes part already, or may not again.
    pub(crate) fn has(&self, wanted: PeerId) -> bool {
        let is =
            |member: &Member| matches!(member.hands, Hands::Helper { peer, .. } if peer == wanted);
        self.barred.contains(&wanted) || self.members.values().any(is)
    }

    pub(crate) fn order(&self, worker: u32, order: Order) {
        match self.members.get(&worker).map(|member| &member.hands) {
            Some(Hands::Own(lanes)) => lanes.order(order),
            Some(Hands::Helper { frames, .. }) => drop(frames.send(frame_of(order))),
            Some(Hands::Gone) | None => {}
        }
    }

    /// Counts what a worker delivered.
    pub(crate) fn count(&mut self, worker: u32, bytes: u64, wasted: u64) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.bytes += bytes;
            member.wasted += wasted;
        }
        self.pay(worker, wasted);
    }

    /// Gives a helper credit again for bytes that need no room any more.
    pub(crate) fn pay(&mut self, worker: u32, bytes: u64) {
        let Some(member) = self.members.get_mut(&worker) else { return };
        member.unpaid += bytes;
        if let Hands::Helper { frames, .. } = &member.hands
            && member.unpaid >= CREDIT_STEP
        {
            let credit = u32::try_from(member.unpaid).unwrap_or(u32::MAX);
            member.unpaid -= u64::from(credit);
            let _ = frames.send(Frame::Credit { bytes: credit });
        }
    }

    /// Ends a helper's part with a word of farewell; says whether it took part.
    pub(crate) fn dismiss(&mut self, worker: u32, reason: ByeReason) -> bool {
        let Some(member) = self.members.get_mut(&worker) else { return false };
        match std::mem::replace(&mut member.hands, Hands::Gone) {
            Hands::Helper { frames, .. } => {
                let _ = frames.send(Frame::Bye { reason });
                true
            }
            Hands::Own(_) => true,
            Hands::Gone => false,
        }
    }

    /// Ends the part of every helper; returns those that took part until now.
    pub(crate) fn dismiss_helpers(&mut self, reason: ByeReason) -> Vec<u32> {
        let helpers: Vec<u32> =
            self.members.keys().copied().filter(|&worker| worker != OWN).collect();
        helpers.into_iter().filter(|&worker| self.dismiss(worker, reason)).collect()
    }

    /// Notes what a helper says of the way to the leader.
    pub(crate) fn note_held(&mut self, worker: u32, share: u8, now: Duration) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.held = Some((share, now));
        }
    }

    pub(crate) fn progress(&self, planner: &Planner, now: Duration) -> Vec<WorkerProgress> {
        let present =
            self.members.iter().filter(|(_, member)| !matches!(member.hands, Hands::Gone));
        let shown = present.map(|(&worker, member)| {
            let facts = planner.facts(WorkerId(worker)).unwrap_or_default();
            WorkerProgress {
                worker,
                name: member.name.clone(),
                bytes: member.bytes,
                rate: whole_bytes(facts.rate),
                lanes: facts.lanes,
                held: member.held(now),
            }
        });
        shown.collect()
    }

    pub(crate) fn reports(&self) -> Vec<WorkerReport> {
        let report = |(&worker, member): (&u32, &Member)| WorkerReport {
            worker,
            name: member.name.clone(),
            address: member.address.map(|address| address.ip()),
            bytes: member.bytes,
            wasted: member.wasted,
            spoiled: member.spoiled,
        };
        self.members.iter().map(report).collect()
    }

    /// Counts what a worker delivered that was wrong, or cannot be told from what was.
    pub(crate) fn count_spoiled(&mut self, worker: u32, bytes: u64) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.bytes = member.bytes.saturating_sub(bytes);
            member.spoiled += bytes;
        }
    }

    /// Notes that a helper's bytes came over the leader's link to the internet.
    pub(crate) fn note_shared_link(&mut self, worker: u32) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.on_own_link = true;
        }
    }

    /// What came over the leader's link to the internet, useful or not.
    pub(crate) fn bytes_of_own_link(&self) -> u64 {
        let members = self.members.values().filter(|member| member.on_own_link);
        members.map(|member| member.bytes + member.wasted).sum()
    }
}

impl Member {
    fn new(name: String, address: Option<SocketAddr>, hands: Hands) -> Self {
        let on_own_link = matches!(hands, Hands::Own(_));
        let (bytes, wasted, unpaid, spoiled, held) = (0, 0, 0, 0, None);
        Self { name, address, hands, bytes, wasted, unpaid, on_own_link, spoiled, held }
    }

    fn held(&self, now: Duration) -> u8 {
        let said = self.held.filter(|&(_, at)| now.saturating_sub(at) <= HELD_FOR);
        said.map_or(0, |(share, _)| share)
    }
}

fn frame_of(order: Order) -> Frame {
    match order {
        Order::Grant { lease, span } => Frame::Grant { lease, span },
        Order::Trim { lease, end } => Frame::Trim { lease, end },
        Order::Revoke { lease } => Frame::Revoke { lease },
        Order::Lanes { lanes } => Frame::Lanes { lanes },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
pub(crate) fn whole_bytes(rate: haul_plan::Rate) -> u64 {
    rate.bytes_per_second() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn what_a_helper_says_of_the_way_holds_until_it_says_other_or_falls_silent() {
        let mut crew = Crew::default();
        let (frames, _told) = mpsc::unbounded_channel();
        let address = SocketAddr::from(([10, 77, 0, 11], 4285));
        crew.add_helper(1, "asha".into(), address, address, PeerId([7; 32]), frames);
        let planner = Planner::new(1, haul_span::SpanSet::default(), haul_plan::Config::default());
        let held = |crew: &Crew, now| crew.progress(&planner, Duration::from_secs(now))[0].held;
        assert_eq!(held(&crew, 9), 0);
        crew.note_held(1, 80, Duration::from_secs(10));
        assert_eq!((held(&crew, 10), held(&crew, 13), held(&crew, 14)), (80, 80, 0));
        crew.note_held(1, 5, Duration::from_secs(11));
        assert_eq!(held(&crew, 11), 5);
        crew.note_held(2, 80, Duration::from_secs(11));
        assert_eq!(crew.progress(&planner, Duration::from_secs(11)).len(), 1);
    }
}
