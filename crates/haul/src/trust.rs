//! Whom this installation trusts: machines that it knows, and the group that it belongs to.
//!
//! A machine becomes *known* when its owner types in, on one, the code that the other's screen
//! shows, or adds its id by hand. A *group* is an organisation's own: whoever holds its key is in
//! it. Everybody else is a stranger, whatever name they give themselves.

mod book;
mod file;
mod group;
mod pairing;

pub use book::{Known, Role, Standing, Trust};
pub use group::{GroupFile, KeyUse};
pub(crate) use group::{group_of, minute};
pub use haul_link::{Group, GroupKey};
pub use pairing::Unpaired;
