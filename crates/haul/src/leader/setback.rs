//! What a failed lease means for the planner.

use haul_fetch::{Error, Kind, Retry};
use haul_plan::Setback;
use haul_wire::{FailReason, Failure};
use std::time::Duration;

/// A failure of the own link.
pub(crate) fn of_own(error: &Error) -> Setback {
    match (error.kind(), error.retry()) {
        (Kind::Busy, Retry::After(pause)) => Setback::Throttled { pause },
        (Kind::Busy, _) => Setback::Throttled { pause: Duration::ZERO },
        (_, Retry::After(_)) => Setback::Passing,
        (_, Retry::Elsewhere) => Setback::Elsewhere,
        (_, Retry::Never) => Setback::Fatal,
    }
}

/// A failure that a helper told.
pub(crate) fn of_helper(failure: Failure) -> Setback {
    match failure.reason {
        FailReason::Throttled => {
            Setback::Throttled { pause: Duration::from_millis(failure.pause_ms.into()) }
        }
        FailReason::Refused | FailReason::Origin => Setback::Elsewhere,
        FailReason::Changed | FailReason::Stopped => Setback::Fatal,
        _ => Setback::Passing,
    }
}
