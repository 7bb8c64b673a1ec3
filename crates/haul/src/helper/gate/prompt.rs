//! The open prompt.

use super::{Gate, locked};
use crate::helper::limits::prompts::Outcome;

/// A prompt that is open; dropped without an answer it was taken back.
pub(super) struct PromptOpen<'a> {
    gate: Option<&'a Gate>,
    outcome: Outcome,
}

impl<'a> PromptOpen<'a> {
    /// One that is counted by this gate, if it disturbs a person.
    pub(super) const fn of(gate: Option<&'a Gate>) -> Self {
        Self { gate, outcome: Outcome::Withdrawn }
    }

    pub(super) fn closed(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for PromptOpen<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.gate {
            locked(&gate.prompts).close(gate.steady(), self.outcome);
        }
    }
}
