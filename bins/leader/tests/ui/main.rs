//! In a real browser the page does what it promises: a file arrives byte-exact, downloads pause and
//! go on, the page finds its program again, and everybody can see, read and use it.
//!
//! Pictures of every state are left in `target/pages`.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

#[path = "../common/neighbours.rs"]
mod neighbours;

mod access;
mod given;
mod journeys;
mod left;
mod looks;
mod narrow;
mod speed;
mod stage;
