//! Who takes part in a job, and what each has done.

use crate::event::WorkerProgress;
use crate::lanes::{Lanes, Order};
use crate::{WorkerReport, leader::single::OWN};
use haul_link::PeerId;
use haul_plan::{Planner, WorkerId};
use haul_wire::{ByeReason, Frame};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How many bytes a helper may have on the way to the leader.
pub(crate) const WINDOW: u32 = 8 << 20;

/// Credit is given in steps of a quarter of what was given before, so that it costs few frames, but
/// no less and no more than this.
const CREDIT_LEAST: u64 = 256 << 10;
const CREDIT_MOST: u64 = 1 << 20;

/// For how long holds what a helper says of the way to the leader, which it says once a second.
const HELD_FOR: Duration = Duration::from_secs(3);

/// The workers of a job, those that have left included.
#[derive(Default)]
pub(crate) struct Crew {
    members: BTreeMap<u32, Member>,
}

/// A helper that is about to take part.
pub(crate) struct Recruit {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Where it hears asks, as far as is known.
    pub(crate) hears_at: SocketAddr,
    pub(crate) peer: PeerId,
    /// Whether its key is known or it is of the group.
    pub(crate) is_trusted: bool,
    pub(crate) frames: UnboundedSender<Frame>,
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    /// Its key, and whether that is known or of the group; nothing for the own link.
    peer: Option<(PeerId, bool)>,
    hands: Hands,
    bytes: u64,
    wasted: u64,
    /// How many bytes it had credit for so far, and how many of those need no room any more.
    credited: u64,
    settled: u64,
    /// Whether its bytes came over the leader's link to the internet.
    on_own_link: bool,
    spoiled: u64,
    /// How much of its time the way to the leader held its data, in hundredths, and when it said so.
    held: Option<(u8, Duration)>,
}

enum Hands {
    Own(Lanes),
    Helper { hears_at: SocketAddr, frames: UnboundedSender<Frame> },
    Gone,
}

impl Crew {
    pub(crate) fn add_own(&mut self, lanes: Lanes) {
        self.members.insert(OWN, Member::new("own link".into(), Hands::Own(lanes)));
    }

    pub(crate) fn add_helper(&mut self, worker: u32, recruit: Recruit) {
        let Recruit { name, address, hears_at, peer, is_trusted, frames } = recruit;
        let hands = Hands::Helper { hears_at, frames };
        let peer = Some((peer, is_trusted));
        let member = Member { address: Some(address), peer, ..Member::new(name, hands) };
        self.members.insert(worker, member);
    }

    /// Where the helpers that take part and have brought something hear asks.
    pub(crate) fn helped(&self) -> Vec<(PeerId, SocketAddr)> {
        let helped = |member: &Member| match (&member.hands, member.peer) {
            (Hands::Helper { hears_at, .. }, Some((peer, _))) if member.bytes > 0 => {
                Some((peer, *hears_at))
            }
            _ => None,
        };
        self.members.values().filter_map(helped).collect()
    }

    pub(crate) fn get(&self, worker: u32) -> Option<&Member> {
        self.members.get(&worker)
    }

    /// The helpers that take part at present.
    pub(crate) fn helpers(&self) -> Vec<u32> {
        let members = self.members.iter();
        let here = members.filter(|(_, member)| matches!(member.hands, Hands::Helper { .. }));
        here.map(|(&worker, _)| worker).collect()
    }

    /// The key of a helper, its address, and whether it is trusted.
    pub(crate) fn identity(&self, worker: u32) -> Option<(PeerId, IpAddr, bool)> {
        let member = self.members.get(&worker)?;
        let ((peer, is_trusted), address) = member.peer.zip(member.address)?;
        Some((peer, address.ip(), is_trusted))
    }

    /// The strangers that took part or do from the address of this one, itself included; only
    /// itself, if it is no stranger.
    pub(crate) fn strangers_beside(&self, worker: u32) -> Vec<u32> {
        let of_same = self.identity(worker).filter(|(.., is_trusted)| !is_trusted);
        let is_beside = |other: &u32| {
            *other == worker
                || of_same.zip(self.identity(*other)).is_some_and(|((_, at, _), other)| {
                    let (_, address, is_trusted) = other;
                    address == at && !is_trusted
                })
        };
        self.members.keys().copied().filter(is_beside).collect()
    }

    /// Whether the machine with this key takes part already.
    pub(crate) fn has(&self, wanted: PeerId) -> bool {
        let mut here =
            self.members.values().filter(|member| matches!(member.hands, Hands::Helper { .. }));
        here.any(|member| member.peer.is_some_and(|(peer, _)| peer == wanted))
    }

    pub(crate) fn order(&self, worker: u32, order: Order) {
        match self.members.get(&worker).map(|member| &member.hands) {
            Some(Hands::Own(lanes)) => lanes.order(order),
            Some(Hands::Helper { frames, .. }) => drop(frames.send(frame_of(order))),
            Some(Hands::Gone) | None => {}
        }
    }

    /// Lets the own link read nothing for a while.
    pub(crate) fn hold_own(&self, is_held: bool) {
        if let Some(Hands::Own(lanes)) = self.members.get(&OWN).map(|member| &member.hands) {
            lanes.hold(is_held);
        }
    }

    /// Lets the own link leave what nothing goes on in, as all bytes are there.
    pub(crate) fn leave_own_responses(&self) {
        if let Some(Hands::Own(lanes)) = self.members.get(&OWN).map(|member| &member.hands) {
            lanes.leave_responses();
        }
    }

    /// Counts what a worker delivered.
    pub(crate) fn count(&mut self, worker: u32, bytes: u64, wasted: u64) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.bytes += bytes;
            member.wasted += wasted;
            member.settled += wasted;
        }
    }

    /// Notes bytes that need no room any more.
    pub(crate) fn settle(&mut self, worker: u32, bytes: u64) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.settled += bytes;
        }
    }

    /// Gives a helper as much credit as there is room for, and no more in all than it may have
    /// delivered that went into the file.
    pub(crate) fn extend_credit(&mut self, worker: u32, allowance: u64) {
        let Some(member) = self.members.get_mut(&worker) else { return };
        let allowed = allowance.saturating_add(member.wasted);
        let credit = (member.settled + u64::from(WINDOW)).min(allowed);
        let more = credit.saturating_sub(member.credited);
        let step = (member.credited / 4).clamp(CREDIT_LEAST, CREDIT_MOST);
        if let Hands::Helper { frames, .. } = &member.hands
            && more >= step
        {
            let bytes = u32::try_from(more).unwrap_or(WINDOW);
            member.credited += u64::from(bytes);
            // A session that has just ended tells so itself.
            let _ = frames.send(Frame::Credit { bytes });
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

    /// What this worker has brought, useful or not.
    pub(crate) fn bytes_of(&self, worker: u32) -> u64 {
        self.members.get(&worker).map_or(0, |member| member.bytes + member.wasted)
    }

    /// Nothing of what helpers brought is in the file any more.
    pub(crate) fn waste_helpers(&mut self) {
        let helpers = self.members.iter_mut().filter(|(worker, _)| **worker != OWN);
        helpers.for_each(|(_, member)| member.wasted += std::mem::take(&mut member.bytes));
    }

    /// What came over the leader's link to the internet, useful or not.
    pub(crate) fn bytes_of_own_link(&self) -> u64 {
        let members = self.members.values().filter(|member| member.on_own_link);
        members.map(|member| member.bytes + member.wasted).sum()
    }
}

impl Member {
    fn new(name: String, hands: Hands) -> Self {
        Self {
            name,
            address: None,
            peer: None,
            on_own_link: matches!(hands, Hands::Own(_)),
            hands,
            bytes: 0,
            wasted: 0,
            credited: 0,
            settled: 0,
            spoiled: 0,
            held: None,
        }
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
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    fn recruit(key: u8, last: u8, is_trusted: bool) -> (Recruit, UnboundedReceiver<Frame>) {
        let (frames, told) = unbounded_channel();
        let address = SocketAddr::from(([10, 77, 0, last], 4285));
        let (name, peer) = ("asha".into(), PeerId([key; 32]));
        (Recruit { name, address, hears_at: address, peer, is_trusted, frames }, told)
    }

    fn credited(told: &mut UnboundedReceiver<Frame>) -> u64 {
        let frames = std::iter::from_fn(|| told.try_recv().ok());
        let credit = |frame| match frame {
            Frame::Credit { bytes } => u64::from(bytes),
            _ => 0,
        };
        frames.map(credit).sum()
    }

    #[test]
    fn extend_credit_never_gives_more_than_the_allowance_and_the_window() {
        const MIB: u64 = 1 << 20;
        let mut crew = Crew::default();
        let (asha, mut told) = recruit(7, 11, false);
        crew.add_helper(1, asha);
        crew.extend_credit(1, MIB);
        assert_eq!(credited(&mut told), MIB);
        crew.count(1, MIB, 0);
        crew.settle(1, MIB);
        crew.extend_credit(1, MIB);
        assert_eq!(credited(&mut told), 0, "nothing of it was checked");
        crew.extend_credit(1, 2 * MIB);
        assert_eq!(credited(&mut told), MIB);
        crew.extend_credit(1, u64::MAX);
        assert_eq!(credited(&mut told), 7 * MIB, "a window beyond what was settled");
        crew.count(1, 0, MIB);
        crew.extend_credit(1, 9 * MIB);
        assert_eq!(credited(&mut told), MIB, "what is of no use needs no check");
    }

    #[test]
    fn strangers_beside_a_liar_are_those_of_its_address() {
        let mut crew = Crew::default();
        for (worker, (last, is_trusted)) in
            [(11, false), (11, false), (11, true), (12, false)].into_iter().enumerate()
        {
            let worker = u32::try_from(worker).unwrap() + 1;
            crew.add_helper(worker, recruit(9, last, is_trusted).0);
        }
        crew.dismiss(2, ByeReason::Done);
        assert_eq!(crew.strangers_beside(1), [1, 2]);
        assert_eq!(crew.strangers_beside(3), [3]);
        assert_eq!(crew.strangers_beside(4), [4]);
    }

    #[test]
    fn what_a_helper_says_of_the_way_holds_until_it_says_other_or_falls_silent() {
        let mut crew = Crew::default();
        crew.add_helper(1, recruit(7, 11, false).0);
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
