//! The leader: what it is asked to do, and the handle on it while it does.

mod agenda;
mod builder;
mod crew;
mod discover;
mod door;
mod errand;
mod former;
mod guest;
mod hosting;
mod invite;
mod job;
mod leads;
mod ledger;
mod nobody;
mod peer;
mod presence;
mod probe;
mod proof_quota;
pub mod roll_call;
mod samples;
mod search;
mod segmented;
mod setback;
mod sidecar;
mod sightings;
mod single;
mod strip;
mod transfer;
mod ways;

pub use builder::{Leader, LeaderBuilder};
pub use probe::Probed;
pub use transfer::{Snapshot, Transfer};
