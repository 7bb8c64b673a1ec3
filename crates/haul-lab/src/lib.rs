//! Payloads, origins, simulated and namespace networks and a browser for haul's tests.
//!
//! Nothing here is part of the product: it is what tests, benches and the demo download from and
//! download over. Five things stand side by side and need not know each other:
//!
//! * [`Payload`]: the bytes of a file of any size, made from a seed, whose every block is unlike
//!   every other, so that a block written at the wrong offset never goes unseen;
//! * [`origin`]: an HTTP/1.1 server in this process that serves payloads and files in ranges, with
//!   or without TLS, over links that it shapes itself;
//! * [`lan`]: a leader, helpers and an origin in network namespaces of their own, joined by a LAN
//!   and each behind an internet link that the kernel shapes;
//! * [`browser`]: Chromium as a user's hand would move it, for the pages;
//! * [`sim`]: whole downloads in virtual time, with the real planner over links that exist only as
//!   numbers.
//!
//! ```
//! use haul_lab::{Payload, Rate, origin::{Origin, Resource, Shape}};
//!
//! let payload = Payload::new(7, 1 << 20);
//! let origin = Origin::builder()
//!     .serve("/file", Resource::of(payload))
//!     .shape(Shape::by_peer(Rate::mbit(20)))
//!     .start()?;
//! assert!(origin.url("/file").starts_with("http://127.0.0.1:"));
//! # Ok::<(), haul_lab::Error>(())
//! ```

pub mod browser;
mod error;
pub mod lan;
pub mod origin;
mod payload;
mod rate;
pub mod sim;
mod tls;

pub use error::Error;
pub use payload::Payload;
pub use rate::{BadRate, Rate};
pub use tls::Certificate;
