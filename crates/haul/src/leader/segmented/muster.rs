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
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How many helpers are at work at a time. More would each add too little to be kept, and cost the
/// leader more than they bring.
const AT_WORK: usize = 64;

/// How many lanes the own link may begin with, one for each place that has the file.
const FIRST_LANES: u8 = 4;

/// How long a leader that must have helpers waits for the first to be heard of.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits while owners are being asked.
const PATIENCE_ASKED: Duration = Duration::from_secs(60);

/// How long a helper may bring nothing while another one waits for its place.
const SILENCE: Duration = Duration::from_secs(3);

/// How long farewells may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// What the own link needs to start.
pub(super) struct OwnStart {
    pub(super) lanes: Lanes,
    pub(super) most: u8,
    pub(super) open_at: Option<u64>,
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

    /// Lets a helper begin, or wait until there is work for it.
    pub(super) fn join(&mut self, joined: Joined) {
        if self.crew.helpers().len() >= AT_WORK {
            return self.spare.push_back(joined);
        }
        let Joined { worker, recruit, keys, code, lanes } = joined;
        let (name, address) = (recruit.name.clone(), recruit.address);
        let risk = if recruit.is_trusted { Risk::Trusted } else { Risk::Stranger { keys } };
        self.telling.tell(Happening::Joined { worker, name, address, code });
        self.spots.enter(worker, risk);
        self.crew.add_helper(worker, recruit, self.now());
        self.extend_credit(worker);
        self.planner.join(self.now(), WorkerId(worker), lanes);
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

    /// Gives the place of a helper that has brought nothing for a while to one that waits for it.
    pub(super) fn replace_silent(&mut self) {
        if !self.spare.is_empty()
            && let Some(worker) = self.crew.silent_for(SILENCE, self.now())
        {
            self.planner.leave(self.now(), WorkerId(worker));
            self.lose(worker, ByeReason::Released, "it brought nothing while others wait".into());
        }
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
        for spare in self.spare.drain(..) {
            // Whoever has gone hears it no more.
            let _ = spare.recruit.frames.send(Frame::Bye { reason });
        }
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
