//! What strangers can use up, counted by key, by address and by network.

pub(super) mod agreed;
pub(super) mod idle;
pub(super) mod party;
pub(super) mod pools;
pub(super) mod prompts;
pub(super) mod quota;
pub(super) mod refused;
pub(super) mod requests;
