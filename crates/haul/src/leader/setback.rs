//! What a failed lease means for the planner, and what its verdict means for the worker.

use haul_fetch::{Error, Kind, Retry};
use haul_plan::{Cause, Setback};
use haul_wire::{ByeReason, FailReason, Failure};
use std::time::Duration;

/// A failure of the own link, which has so many lanes.
///
/// Where the origin serves no parts after all, the one response that is still open may bring what
/// is missing: the lanes go down to the one that reads it, and then there is nothing more to try.
pub(crate) fn of_own(error: &Error, ranges: bool, lanes: u8) -> Setback {
    match (error.kind(), error.retry()) {
        (Kind::Http | Kind::SignIn | Kind::NotFound, _) if !ranges && lanes > 1 => {
            Setback::Throttled { pause: Duration::ZERO }
        }
        (Kind::Http | Kind::SignIn | Kind::NotFound, _) if !ranges => Setback::Fatal,
        (Kind::Busy, Retry::After(pause)) => Setback::Throttled { pause },
        (Kind::Busy, _) => Setback::Throttled { pause: Duration::ZERO },
        (_, Retry::After(_)) => Setback::Passing,
        (_, Retry::Elsewhere) => Setback::Elsewhere,
        (_, Retry::Never) => Setback::Fatal,
    }
}

/// What is said of a worker whose part is over.
pub(crate) fn parting(cause: Cause) -> (ByeReason, String) {
    match cause {
        Cause::Idle { share } => (
            ByeReason::Released,
            format!("it added only {:.1} %; thanked and released", share * 100.0),
        ),
        Cause::Shares { share, gain } => (
            ByeReason::Released,
            format!(
                "it shares the link to the internet with this machine: it brought {:.0} % and \
                 added {:.1} %; thanked and released",
                share * 100.0,
                gain * 100.0
            ),
        ),
        Cause::Failed => (ByeReason::Released, "it failed too often in a row".to_owned()),
        Cause::Spoiled => (ByeReason::Spoiled, "what it delivered failed its check".to_owned()),
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
