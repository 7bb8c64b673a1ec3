//! What a leader is answered.

use super::{Basis, Gate, now};
use crate::helper::consent::{Decision, Request};
use crate::helper::job::Permit;
use crate::helper::policy::{Rule, Ruling};
use crate::limits::party::Party;
use crate::trust::Grant;
use std::sync::Arc;

/// What a leader is answered, and why.
pub(crate) struct Judged {
    pub(crate) decision: Decision,
    pub(crate) because: String,
    /// In how many seconds it may be another, as far as is known; else 0.
    pub(crate) after: u32,
    /// Whether somebody was asked for it, and not the policy alone.
    pub(crate) asked: bool,
    /// What a yes goes back to.
    pub(super) basis: Basis,
    /// What a yes comes with.
    pub(crate) permit: Option<Permit>,
}

impl Judged {
    pub(crate) fn new(decision: Decision, because: impl Into<String>) -> Self {
        let (because, basis) = (because.into(), Basis::Policy);
        Self { decision, because, after: 0, asked: false, basis, permit: None }
    }

    /// The leader, or all, have as many places as they may.
    pub(super) fn busy() -> Self {
        Self::new(Decision::Busy, Rule::AtOnce.name())
    }

    /// A yes of before.
    pub(super) fn granted(grant: &Grant) -> Self {
        let basis = Basis::Granted(grant.key());
        Self { basis, ..Self::new(Decision::Yes, grant.said(now().offset)) }
    }

    /// With the permit of a yes; what held before a person thought about it must hold still.
    pub(super) fn admitted(mut self, gate: &Arc<Gate>, request: &Request, who: &Party) -> Self {
        if self.decision != Decision::Yes {
            return self;
        }
        if let (Ruling::Answer(decision), rule, _) = gate.verdict(request)
            && decision != Decision::Yes
        {
            return Self::new(decision, rule.name());
        }
        match Permit::take(gate, request, who) {
            Some(permit) => {
                permit.rest_on(self.basis.clone());
                self.permit = Some(permit);
            }
            None => return Self::busy(),
        }
        self
    }
}
