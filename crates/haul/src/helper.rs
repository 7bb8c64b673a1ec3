//! The helper: hears asks, lets its owner decide, fetches, keeps nothing.

mod builder;
mod consent;
mod event;
mod mouth;
mod refused;
mod serve;
mod session;
mod surroundings;
mod work;

pub use builder::{Helper, HelperBuilder};
pub use consent::{ConsentPolicy, Decision, Request};
pub use event::HelperEvent;
pub use serve::Serving;
