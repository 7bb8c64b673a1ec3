//! Who fetches which span: a pure state machine.
//!
//! `haul-plan` splits one file among workers of unequal, changing and failing links so that all
//! of them end together. It opens no socket, reads no clock, starts no task, and knows nothing of
//! URLs, addresses or frames. You probably want the `haul` crate, which drives it.
//!
//! # How to drive it
//!
//! Time is a [`Duration`](std::time::Duration) since the job began, and never goes back.
//! **One mutation, then drain:** after every call that takes `now`, call
//! [`Planner::poll_output`] until it returns `None`, do what it says, and call
//! [`Planner::wake`] no later than [`Planner::wake_at`].
//! The same calls at the same times give the same outputs.
//!
//! ```
//! use haul_plan::{Config, Output, Planner, WorkerId};
//! use haul_span::{Span, SpanSet};
//! use std::time::Duration;
//!
//! let mut planner = Planner::new(1000, SpanSet::new(), Config::default());
//! planner.join(Duration::ZERO, WorkerId(0), 1);
//! assert_eq!(planner.poll_output(), Some(Output::Lanes { worker: WorkerId(0), lanes: 1 }));
//! let Some(Output::Grant { lease, span, .. }) = planner.poll_output() else { unreachable!() };
//! let arrival = planner.arrive(Duration::from_secs(1), WorkerId(0), lease, span);
//! assert_eq!(arrival.fresh, Some(Span::new(0, 1000).unwrap()));
//! assert_eq!(planner.poll_output(), Some(Output::Complete));
//! ```
//!
//! # The rules
//!
//! 1. Every byte of the file is in exactly one of received, leased and pending. A leased byte has
//!    one holder; a duplicate (rule 8) is a second requester of the same byte.
//! 2. A worker holds up to two leases per lane, so that a lane never waits for a grant.
//! 3. A lease is about two seconds of its lane's work, and at most the lane's fair share of half
//!    of what is pending, so that leases shrink towards the end (factoring: Hummel, Schonberg and
//!    Flynn, 1992); but never below eight request gaps' work, or the gaps would cost more than
//!    what rule 5 cannot even out. Who stalled has no share. A newcomer's first lease is at most
//!    1 MiB, and at most twice what the others' rates lead to expect of it.
//! 4. Pending bytes are granted lowest first, so that the front of the file grows. The response
//!    that the probe left open goes on where it stands: others start beyond its share, and leave
//!    what that share lets go alone until it is worth a request.
//! 5. When nothing is pending, a worker that runs dry steals the tail of the lease that would end
//!    last, so much that both end together. A request gap's work of its lane is worth it: with a
//!    fixed least, a crowd of slow links would end one by one.
//! 6. A lease without a byte for 1.5 s, or of a worker without one, counts as never ending, so
//!    rule 5 finds it at once; before that, its silence is expected to last as long again. After
//!    3 s its rest is pending again, if somebody else could take it.
//! 7. A worker that stalled is on probation for 2 s, doubling to 30 s, and comes back with one
//!    small lease. Nobody is banned for being slow.
//! 8. What is too little to steal is duplicated when that ends it sooner: at most two requesters,
//!    at most one hundredth of the file.
//! 9. A failed span is left to others for five seconds, and for good if the origin refused it to
//!    this worker, while anybody else could take it. A worker that fails in a row pauses, doubling
//!    each time, and is given up after ten failures without a byte between.
//! 10. Bad data is a strike and its bytes are pending again; two strikes end the worker's part.
//! 11. A worker has two lanes, so that one flows while the other waits for its request. They
//!     double while that gains at least 15 %, go back when it does not, and halve when the origin
//!     throttles. The own link and helpers try more lanes at different times. What was found stands
//!     for ten seconds, and then until the rate is half as much again or two thirds of it; more
//!     lanes that a helper offers are tried at once, and beyond fewer its leases wait.
//! 12. A worker that brings less than 3 % of what the fastest brings, for five seconds, is thanked
//!     and released.
//! 13. When the own link becomes a fifth faster or slower while the total stays as it is for five
//!     seconds, and no worker has changed what it offers, somebody shares its uplink. The fastest
//!     helper then rests for two seconds; if less than a third of what it brought is missed and
//!     the own link is relieved, it is thanked and released, and the next one rests. Else nobody
//!     does for 20 s, doubling each time.

#![allow(clippy::cast_precision_loss, reason = "rates and shares are estimates")]

mod config;
mod gain;
mod grant;
mod health;
mod lease;
mod output;
mod planner;
mod rate;
mod steal;
mod worker;

pub use config::Config;
pub use lease::LeaseId;
pub use output::{Arrival, Cause, Output, Setback};
pub use planner::Planner;
pub use rate::Rate;
pub use worker::{WorkerFacts, WorkerId};
