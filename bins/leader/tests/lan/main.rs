//! The two programs on a LAN of network namespaces, with an origin behind shaped links: the file
//! is byte-exact whatever happens, helpers are found without being named, many links add up, and
//! nobody is slower for having been helped.
//!
//! `HAUL_LAB=required` turns a skip for want of root into a failure.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

#[path = "../common/mod.rs"]
mod common;

mod alone;
mod asks;
mod capped;
mod doctor;
mod efficiency;
mod few_files;
mod footprint;
mod hostel;
mod inward;
mod leads;
mod losses;
mod many_slow;
mod narrow;
mod never_slower;
mod not_forgotten;
mod origins;
mod scene;
mod together;
mod under_attack;
