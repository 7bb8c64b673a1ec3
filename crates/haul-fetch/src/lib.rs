//! One HTTP source, read in segments.
//!
//! A [`Client`] probes a URL with the first ranged request and keeps its response. The
//! [`Source`] it finds is read by [`Lane`]s, each one connection that fetches one [`Span`] at a
//! time. Every response is checked before a byte of it is handed out: its status, what part of
//! which length it brings, its coding, and that it is of the version that was probed. A piece
//! never reaches past the span that was asked for.
//!
//! This crate knows nothing of workers or of where bytes go, starts no task, and connects to no
//! address that its [`Guard`] has not judged.
//!
//! ```no_run
//! # async fn example() -> Result<(), haul_fetch::Error> {
//! use haul_fetch::{Client, Options};
//! use haul_span::Span;
//!
//! let client = Client::new(Options::default())?;
//! let probe = client.probe(&"https://example.org/image.iso".parse().unwrap()).await?;
//! let mut lane = probe.into_lane();
//! lane.open(Span::new(0, 1 << 20).unwrap()).await?;
//! while let Some(piece) = lane.next().await? {
//!     println!("{} bytes, now at {}", piece.len(), lane.position());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Span`]: haul_span::Span

mod allowance;
mod backoff;
mod cidr;
mod client;
mod coalesce;
mod codec;
mod conn;
mod connect;
mod digest;
mod error;
mod follow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod head;
mod host;
mod lane;
mod limit;
mod name;
mod open;
mod pool;
mod probe;
mod request;
mod shared;
mod source;
mod tls;
mod validator;
pub mod ways;

pub use allowance::{Allowance, Turn};
pub use backoff::Backoff;
pub use cidr::Cidr;
pub use client::{Client, Options, Timeouts};
pub use digest::Digest;
pub use error::{Error, Fault, Kind, Refusal, Retry, Stage};
pub use guard::{AddressSpace, Denied, Guard};
pub use lane::Lane;
pub use limit::RateLimit;
pub use probe::{Body, Framing, Probe};
pub use source::Source;
pub use validator::Validator;
