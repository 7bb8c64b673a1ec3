//! The two programs among hostile machines on a LAN of network namespaces. Those speak the
//! protocol by the second implementation, [`haul_lab::peers`]: nothing that they do harms the file,
//! and little of it the speed.
//!
//! `HAUL_LAB=required` turns a skip for want of root or Python into a failure.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../lan/scene.rs"]
#[allow(dead_code, reason = "it has more than attacks need")]
mod scene;

mod beside_hostile_keys;
mod cut_off;
mod decoys;
mod forged_asks;
mod half_open;
mod hostile;
mod withdrawn_prompts;
