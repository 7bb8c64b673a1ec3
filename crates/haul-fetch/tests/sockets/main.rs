//! Whatever an origin sends, a source hands out the right bytes of the right version or an error.
//!
//! Every test talks to an [`origin::Origin`] over loopback, which answers each request with
//! exactly the bytes that the test says.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod bodies;
mod guarded;
mod hosts;
mod http2;
mod lanes;
mod mirrors;
mod origin;
mod probing;
mod proxies;
mod ranges;
mod redirects;
mod secure;
mod spaces;
mod waiting;
