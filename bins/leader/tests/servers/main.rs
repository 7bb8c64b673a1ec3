//! The program against real servers and proxies, as Debian packages them, on loopback: whatever is
//! cut in the middle, the file is byte-exact in the end.
//!
//! A test whose program is not installed says so; `HAUL_LAB=required` turns that into a failure.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod apache;
mod busybox;
mod dante;
mod lighttpd;
mod microsocks;
mod nginx;
mod python;
mod small_files;
mod squid;
mod stage;
mod tinyproxy;
