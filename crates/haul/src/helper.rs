//! The helper: hears asks, lets its owner decide, fetches, keeps nothing.

mod accounts;
#[cfg(feature = "dns-sd")]
mod announce;
mod blocked;
mod budget;
mod builder;
mod consent;
pub mod control;
pub mod doors;
mod ears;
mod event;
mod gate;
mod history;
mod job;
mod limits;
mod machine;
mod meeting;
mod mouth;
mod pause;
pub mod policy;
mod proof;
mod proven_writer;
mod purse;
mod serve;
mod session;
pub(crate) mod surroundings;
mod work;

pub use blocked::Blocked;
pub use builder::{Helper, HelperBuilder};
pub use consent::{ConsentPolicy, Decision, Lasts, Request};
pub use event::HelperEvent;
pub(crate) use machine::Linux;
pub use serve::Serving;
