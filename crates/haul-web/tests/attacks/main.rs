//! Whoever has not opened the link, another page in the same browser included, gets nothing from
//! the page's server and changes nothing, and the page writes nowhere but in its folder.
//!
//! Every test is one attack, in all the ways that it is known to be tried.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "a test may panic, and its helpers are shared"
)]

#[path = "../client/mod.rs"]
mod client;
mod floods;
mod folder;
mod lender;
mod malformed;
mod rebinding;
mod session;
mod source;

/// A download that cannot be mistaken for a foreign one, and that fails if it ever begins.
const JOB: &str = r#"{"url":"http://127.0.0.1:9/file","save_as":"file"}"#;
