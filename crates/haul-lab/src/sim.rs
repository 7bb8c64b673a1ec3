//! Whole downloads in virtual time: the real planner, over links that exist only as numbers.
//!
//! A [`Scenario`] is a file, some machines and what befalls them; [`run`] plays it with a seed
//! and says what came of it. Nothing sleeps, and the same seed gives the same download.
//!
//! # What is modelled
//!
//! Links are fluids: in steps of 2 ms, the lanes that flow share every link and every uplink
//! max-min fairly. A request costs a round trip (±25 %) and a new connection two; a connection's
//! window starts with ten segments and doubles every round trip. The origin may limit each
//! connection or each address, and may answer one connection too many with 429. A response that
//! is left before its end closes its connection, and up to 100 kB that were on the way come for
//! nothing. What the leader tells a helper, and what a helper hands on, takes the LAN's delay.
//! Links change their rate, stall, die, leave and come back as the scenario says.
//!
//! Not modelled: loss, the LAN's rate, the leader's disk, and servers that answer late.

#![allow(clippy::cast_precision_loss, reason = "rates are fluids")]

mod chance;
mod figures;
mod hostel;
mod lane;
mod link;
mod machine;
mod network;
mod report;
mod scenario;
mod share;

pub(crate) use chance::Chance;
pub use figures::Figures;
pub use hostel::{Hostel, Outcome, Promises, host};
pub use report::{Part, Report};
pub use scenario::{Promise, Scenario};

/// Plays a scenario; the same seed gives the same report.
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    network::Network::new(scenario, seed).run()
}
