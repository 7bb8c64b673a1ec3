//! Who takes part: the muster before the start, whoever joins later, and the farewell.

use super::Segmented;
use crate::event::Happening;
use crate::lanes::Lanes;
use crate::leader::peer::{Joined, News, Said};
use crate::leader::samples::Risk;
use crate::leader::single::OWN;
use crate::{Error, ErrorKind};
use haul_plan::WorkerId;
use haul_wire::{ByeReason, Frame};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How many helpers are at work at a time at the most, so that they fit into the memory.
const AT_WORK: usize = 1024;

/// With less than this left to do, another helper is not worth the bytes that its proof and its
/// spot checks cost the own link.
const PAYS: Duration = Duration::from_secs(1);

/// How long a helper may bring nothing because it waits for the proof that this leader reads the
/// file.
const SHOWN: Duration = Duration::from_secs(6);

/// For how long there must be so little left: a rate that jumps for a moment says nothing.
const LASTS: Duration = Duration::from_secs(2);

/// How many lanes the own link may begin with, one for each place that has the file.
const FIRST_LANES: u8 = 4;

/// How long a leader that must have helpers waits for the first to be heard of.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits while owners are being asked.
const PATIENCE_ASKED: Duration = Duration::from_secs(60);

/// How long farewells may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// What the own link needs to start.
pub(super) struct OwnStart {
    pub(super) lanes: Lanes,
    pub(super) most: u8,
    pub(super) open_at: Option<u64>,
}

/// Since when too little is left for another helper to pay, if it is. Time is an argument: since
/// the job began.
#[derive(Debug, Default)]
pub(super) struct Remainder {
    short_since: Option<Duration>,
}

impl Remainder {
    /// Notes how long the rest takes, as far as that is known.
    pub(super) fn note(&mut self, now: Duration, left: Option<Duration>) {
        let is_short = left.is_some_and(|left| left < PAYS);
        self.short_since = is_short.then(|| self.short_since.unwrap_or(now));
    }

    fn is_short(&self, now: Duration) -> bool {
        self.short_since.is_some_and(|since| now.saturating_sub(since) >= LASTS)
    }
}

/// Why no more helpers are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enough {
    /// As many are at work as may be: others are asked again, as some of these may leave.
    AtWork,
    /// The rest is too short.
    Left,
}

impl Enough {
    const fn text(self) -> &'static str {
        match self {
            Self::AtWork => "no more helpers are taken: 1,024 are at work",
            Self::Left => "no more helpers are taken: the rest takes less than a second",
        }
    }
}

impl Segmented<'_> {
    /// Lets everybody begin once as many machines help as must.
    pub(super) fn start_if_enough(&mut self) {
        let Some((wanted, ready)) = &self.waiting else { return };
        if ready.len() < *wanted {
            return;
        }
        let ready = self.waiting.take().map(|(_, ready)| ready).unwrap_or_default();
        self.own_since = self.now();
        if let Some(OwnStart { lanes, most, open_at }) = self.own.take() {
            self.crew.add_own(lanes);
            self.planner.join_own(self.own_since, WorkerId(OWN), most, open_at);
            let sites = u8::try_from(self.source.sites()).unwrap_or(u8::MAX);
            self.planner.widen(self.own_since, WorkerId(OWN), sites.min(FIRST_LANES));
        }
        for joined in ready {
            self.join(joined);
        }
    }

    /// Lets a helper begin, unless it would bring less than it costs.
    fn join(&mut self, joined: Joined) {
        if let Some(enough) = self.has_enough() {
            return self.send_home(&joined, enough);
        }
        let Joined { worker, recruit, keys, code, lanes, awaits_proof, .. } = joined;
        let (name, address) = (recruit.name.clone(), recruit.address);
        let risk = if recruit.is_trusted { Risk::Trusted } else { Risk::Stranger { keys } };
        self.telling.tell(Happening::Joined { worker, name, address, code });
        self.spots.enter(worker, risk);
        self.crew.add_helper(worker, recruit);
        self.extend_credit(worker);
        let now = self.now();
        self.planner.join(now, WorkerId(worker), lanes);
        if awaits_proof {
            self.planner.expect_from(now, WorkerId(worker), now + SHOWN);
        }
    }

    /// Why no more helpers are taken, if that is so.
    fn has_enough(&self) -> Option<Enough> {
        let is_full = self.crew.helpers().len() >= AT_WORK;
        let is_short = || self.remainder.is_short(self.now());
        is_full.then_some(Enough::AtWork).or_else(|| is_short().then_some(Enough::Left))
    }

    /// Thanks a helper that came in vain; why is told once.
    fn send_home(&mut self, joined: &Joined, enough: Enough) {
        joined.comes_again.store(enough == Enough::AtWork, Ordering::Release);
        // Whoever has gone hears it no more.
        let _ = joined.recruit.frames.send(Frame::Bye { reason: ByeReason::NotWanted });
        if !std::mem::replace(&mut self.told_enough, true) {
            self.telling.note(enough.text());
        }
    }

    pub(super) fn take_joined(&mut self, joined: Joined) {
        self.undecided = self.undecided.saturating_sub(1);
        if self.crew.has(joined.recruit.peer) || !self.wants_helpers() {
            let reason = ByeReason::NotWanted;
            return drop(joined.recruit.frames.send(Frame::Bye { reason }));
        }
        match &mut self.waiting {
            Some((_, ready)) => ready.push(joined),
            None => self.join(joined),
        }
        self.start_if_enough();
    }

    pub(super) fn check_patience(&self) -> Result<(), Error> {
        let Some((wanted, ready)) = &self.waiting else { return Ok(()) };
        let patience = if self.undecided > 0 { PATIENCE_ASKED } else { PATIENCE };
        if self.now() < patience {
            return Ok(());
        }
        let because = format!("{} of the {wanted} machines that must help are ready", ready.len());
        Err(Error::new(ErrorKind::TooFewHelpers, "too few machines help", because).with_remedy(
            "start `helper run` on more machines of this network, or lower --min-helpers",
        ))
    }

    /// Tells everybody that it is over and gives the words time to leave.
    pub(super) async fn farewell(&mut self, reason: ByeReason, heard: &mut mpsc::Receiver<News>) {
        let mut parting = self.crew.dismiss_helpers(reason);
        let parted = async {
            while !parting.is_empty() {
                match heard.recv().await {
                    Some(News::Said { worker, said: Said::Gone { .. } }) => {
                        parting.retain(|&helper| helper != worker);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        // Whoever does not take the word by then finds the connection closed.
        let _ = timeout(FAREWELL, parted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainder_is_short_once_it_was_for_two_seconds_in_a_row() {
        let ms = Duration::from_millis;
        let mut remainder = Remainder::default();
        let mut judge = |now, left: Option<u64>| {
            remainder.note(ms(now), left.map(ms));
            remainder.is_short(ms(now))
        };
        assert!(!judge(0, Some(900)), "a jump");
        assert!(!judge(1750, Some(10)) && !judge(1900, Some(60_000)));
        assert!(!judge(2000, Some(999)), "it begins anew");
        assert!(!judge(3999, Some(999)) && judge(4000, Some(999)));
        assert!(!judge(4250, Some(1000)) && !judge(9000, None));
    }
}
