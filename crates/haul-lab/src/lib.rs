//! Payloads, origins, simulated and namespace networks and a browser for haul's tests.
//!
//! Nothing here is part of the product: it is what tests, benches and the demo download from and
//! download over. These stand side by side and need not know each other:
//!
//! * [`Payload`]: the bytes of a file of any size, made from a seed, whose every block is unlike
//!   every other, so that a block written at the wrong offset never goes unseen;
//! * [`origin`]: an HTTP/1.1 server in this process that serves payloads and files in ranges, with
//!   or without TLS, over links that it shapes itself;
//! * [`lan`]: a leader, helpers and an origin in network namespaces of their own, joined by a LAN
//!   and each behind an internet link that the kernel shapes;
//! * [`browser`]: Chromium as a user's hand would move it, for the pages;
//! * [`crowd`]: machines that exist only as their answers to ARP, wired or on Wi-Fi, asleep or
//!   awake, for scans in virtual time and over a veth pair;
//! * [`servers`]: web servers and proxies of others, as they are installed, on loopback;
//! * [`sim`]: whole downloads in virtual time, with the real planner over links that exist only as
//!   numbers;
//! * [`dns`]: a name server that says whatever a test wants, also something else every time;
//! * [`wire`]: who is dialled from a machine, as seen on the wire;
//! * [`hostile`]: a leader that asks for what it should not have;
//! * [`peers`]: leaders and helpers that are not haul, honest and hostile, on this machine or one
//!   of a LAN;
//! * [`trial`]: haul and other downloaders, let into the traps of [`origin::Trap`].
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
pub mod crowd;
pub mod dns;
mod error;
pub mod hostile;
pub mod lan;
pub mod origin;
mod payload;
pub mod peers;
mod rate;
pub mod servers;
pub mod sim;
mod tls;
pub mod trial;
pub mod wire;

pub use error::Error;
pub use payload::Payload;
pub use rate::{BadRate, Rate};
pub use tls::Certificate;
