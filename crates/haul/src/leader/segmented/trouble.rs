//! What goes wrong on the own link, and what is made of it.

use super::Segmented;
use crate::lanes::Order;
use crate::leader::setback;
use crate::leader::single::OWN;
use crate::{Error, ErrorKind};
use haul_fetch::Kind;
use haul_plan::{LeaseId, Setback, WorkerId};

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
