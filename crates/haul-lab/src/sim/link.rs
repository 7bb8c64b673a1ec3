use super::chance::Chance;
use super::scenario::Change;
use std::time::Duration;

/// What a link that wanders never leaves: these multiples of its first rate.
const WANDER_WITHIN: (f64, f64) = (0.25, 4.0);

/// A link to the internet, whose rate changes as time goes on.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Bytes per second.
    rate: f64,
    factor: f64,
    change: Option<Change>,
    changed: Duration,
    stalled_until: Duration,
    dead: bool,
    draws: Chance,
}

impl Link {
    pub(crate) fn new(rate: f64, change: Option<Change>, draws: Chance) -> Self {
        let changed = Duration::ZERO;
        let mut link = Self {
            rate,
            factor: 1.0,
            change,
            changed,
            stalled_until: Duration::ZERO,
            dead: false,
            draws,
        };
        if let Some(Change::Redraw { between, .. }) = change {
            link.factor = link.draws.between(between.0, between.1);
        }
        link
    }

    pub(crate) fn die(&mut self) {
        self.dead = true;
    }

    pub(crate) fn revive(&mut self) {
        self.dead = false;
    }

    pub(crate) fn stall(&mut self, until: Duration) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Bytes per second at `now`, which never goes back.
    pub(crate) fn rate(&mut self, now: Duration) -> f64 {
        self.change_until(now);
        let flows = !self.dead && now >= self.stalled_until;
        if flows { self.rate * self.factor } else { 0.0 }
    }

    fn change_until(&mut self, now: Duration) {
        let Some(change) = self.change else { return };
        let (Change::Wander { every, .. }
        | Change::Redraw { every, .. }
        | Change::Serve { every, .. }) = change;
        while self.changed + every.0 <= now && !every.0.is_zero() {
            self.changed += every.0;
            self.factor = match change {
                Change::Wander { by, .. } => (self.factor * (by * self.draws.normal()).exp())
                    .clamp(WANDER_WITHIN.0, WANDER_WITHIN.1),
                Change::Redraw { between, .. } => self.draws.between(between.0, between.1),
                Change::Serve { most, .. } => 1.0 / (1 + self.draws.below(most)) as f64,
            };
        }
    }
}
