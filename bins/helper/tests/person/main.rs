//! A person is asked before anything is fetched: who wants help, with a file from where, how
//! large; only a yes means yes, one question stands at a time, and nothing that a leader sends
//! reaches the terminal raw.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod job;
mod prompt;
mod terminal;
