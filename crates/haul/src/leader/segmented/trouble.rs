//! What goes wrong on the own link, and what is made of it.

use super::Segmented;
use crate::lanes::Order;
use crate::leader::setback;
use crate::leader::single::OWN;
use crate::{Error, ErrorKind};
use haul_fetch::Kind;
use haul_plan::{LeaseId, Setback, WorkerId};
use std::time::Duration;

/// How long nothing comes before the user is told.
const SILENCE: Duration = Duration::from_secs(4);

/// When something came last.
#[derive(Default)]
pub(super) struct Heard {
    at: Duration,
    received: u64,
    /// The user was told that nothing comes.
    is_missed: bool,
}

impl Segmented<'_> {
    pub(super) fn take_failure(
        &mut self,
        lease: u32,
        error: &haul_fetch::Error,
    ) -> Result<(), Error> {
        let ranges = self.source.ranges();
        let setback = setback::of_own(error, ranges, self.own_lanes);
        let (kind, error) = (error.kind(), Error::from(error));
        if kind == Kind::Changed {
            return Err(error);
        }
        let told = self.trouble.replace(error.clone());
        if kind == Kind::Busy && told.as_ref() != Some(&error) {
            self.telling.note(error.because());
        }
        self.planner.fail(self.now(), WorkerId(OWN), LeaseId(lease), setback);
        if !ranges && matches!(setback, Setback::Throttled { .. }) {
            self.hand_back(setback);
        }
        Ok(())
    }

    /// Hands back what waits for lanes that would get nothing, so that the one response that is
    /// still open meets what is missing in order.
    fn hand_back(&mut self, setback: Setback) {
        let leases = self.planner.leases().filter(|(_, worker, _)| *worker == WorkerId(OWN));
        let waiting = leases.map(|(lease, ..)| lease).filter(|lease| Some(*lease) != self.flowing);
        for lease in waiting.collect::<Vec<_>>() {
            self.crew.order(OWN, Order::Revoke { lease: lease.0 });
            self.planner.fail(self.now(), WorkerId(OWN), lease, setback);
        }
    }

    /// Tells the user when nothing has come for a while, and when something comes again.
    pub(super) fn watch_silence(&mut self) {
        let (now, received) = (self.now(), self.planner.received().bytes());
        let silence = now.saturating_sub(self.heard.at);
        if received != self.heard.received {
            if self.heard.is_missed {
                self.telling.note(format!("bytes come again after {} s", silence.as_secs()));
            }
            self.heard = Heard { at: now, received, is_missed: false };
        } else if let (false, Some(trouble)) = (self.heard.is_missed, &self.trouble)
            && silence >= SILENCE
        {
            let because = trouble.because();
            self.telling.note(format!("nothing comes at present: {because}; trying on"));
            self.heard.is_missed = true;
        }
    }

    /// Why nobody is left who could go on.
    pub(super) fn stuck(&mut self) -> Error {
        let nobody = || {
            Error::new(
                ErrorKind::Network,
                "the download stopped",
                "nobody is left who can fetch the rest",
            )
        };
        self.trouble.take().unwrap_or_else(nobody)
    }
}
