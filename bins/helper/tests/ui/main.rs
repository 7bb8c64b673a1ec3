//! In a real browser the helper's page does what it promises: a person is asked and answers, sees
//! what is lent, ends it at once and sets the rules; and everybody can see, read and use it.
//!
//! Pictures of every state are left in `target/pages`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../person/job.rs"]
mod job;

mod access;
mod ask;
mod lending;
mod load;
mod looks;
mod managed;
mod policy;
mod stage;
mod trust;
