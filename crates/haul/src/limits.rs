//! What strangers can use up, counted by key, by address and by network.

pub(crate) mod party;
pub(crate) mod pool;
