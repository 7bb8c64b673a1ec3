//! What leaders can use up of a helper.

pub(super) mod fair;
pub(super) mod idle;
pub(super) mod pools;
pub(super) mod prompts;
pub(super) mod quota;
pub(super) mod refused;
pub(super) mod requests;
pub(super) mod waiting;
