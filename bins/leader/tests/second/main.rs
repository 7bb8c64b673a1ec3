//! The two programs beside a second implementation of the protocol, which is not haul: what each
//! says is understood by the other as docs/PROTOCOL.md has it.
//!
//! `HAUL_LAB=required` turns a skip for want of Python into a failure.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

#[path = "../common/mod.rs"]
mod common;

mod beside_idlers;
mod crumbs;
mod golden;
mod held_places;
mod helpers;
mod leaders;
mod licensed;
mod odd_hosts;
mod stage;
mod vain_hosts;
mod weak_keys;
