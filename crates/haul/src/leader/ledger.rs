//! What a helper may send: bytes of the leases that it was given, in their order, and no more than
//! it has credit for.

use haul_span::Span;
use haul_wire::Frame;
use std::collections::BTreeMap;

/// The grants and the credit of one session.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    credit: u64,
    /// What is still to come of each lease. A lease that was cut or taken back keeps its entry, as
    /// bytes of it may be on their way.
    leases: BTreeMap<u32, Option<Span>>,
}

impl Ledger {
    /// Notes what the helper is about to be told.
    pub(crate) fn note(&mut self, told: &Frame) {
        match *told {
            Frame::Grant { lease, span } => drop(self.leases.insert(lease, Some(span))),
            Frame::Credit { bytes } => self.credit += u64::from(bytes),
            _ => {}
        }
    }

    /// Takes `len` bytes at `offset` of a lease off the books, or says why they do not belong here.
    pub(crate) fn take(&mut self, lease: u32, offset: u64, len: u64) -> Result<(), &'static str> {
        self.credit = self.credit.checked_sub(len).ok_or("it sent more than it had credit for")?;
        let left =
            self.leases.get_mut(&lease).ok_or("it sent bytes of a lease it does not have")?;
        let span = left.filter(|span| span.start() == offset && len <= span.len());
        let span = span.ok_or("it sent other bytes than were next")?;
        *left = Span::new(offset + len, span.end());
        Ok(())
    }

    /// Closes a lease that the helper has done or given up.
    pub(crate) fn close(&mut self, lease: u32) -> Result<(), &'static str> {
        self.leases.remove(&lease).map(drop).ok_or("it ended a lease that it does not have")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.note(&Frame::Credit { bytes: 100 });
        ledger.note(&Frame::Grant { lease: 1, span: Span::new(10, 60).unwrap() });
        ledger
    }

    #[test]
    fn a_lease_comes_in_order_to_its_end() {
        let mut ledger = ledger();
        assert_eq!(ledger.take(1, 10, 20), Ok(()));
        ledger.take(1, 10, 20).unwrap_err();
        assert_eq!(ledger.take(1, 30, 30), Ok(()));
        ledger.take(1, 60, 1).unwrap_err();
        assert_eq!(ledger.close(1), Ok(()));
        ledger.close(1).unwrap_err();
    }

    #[test]
    fn what_was_never_granted_or_credited_is_refused() {
        ledger().take(2, 10, 1).unwrap_err();
        ledger().take(1, 11, 1).unwrap_err();
        ledger().take(1, 10, 51).unwrap_err();
        ledger().close(2).unwrap_err();
        let mut poor = ledger();
        poor.note(&Frame::Grant { lease: 2, span: Span::new(60, 200).unwrap() });
        assert_eq!(poor.take(2, 60, 100), Ok(()));
        poor.take(1, 10, 1).unwrap_err();
    }

    #[test]
    fn bytes_that_were_on_their_way_when_a_lease_was_cut_are_no_offence() {
        let mut ledger = ledger();
        ledger.note(&Frame::Trim { lease: 1, end: 20 });
        ledger.note(&Frame::Revoke { lease: 1 });
        assert_eq!(ledger.take(1, 10, 50), Ok(()));
    }
}
