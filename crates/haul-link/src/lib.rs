//! Identity, TLS, ask and session between two machines.
//!
//! Every installation has an Ed25519 key, and its [`PeerId`] is the SHA-256 of the public half.
//! Two machines talk over TLS 1.3 with raw public keys (RFC 7250): no certificates, no authority,
//! no resumption. [`greet`] and [`answer`] then give both the same six-digit [`Code`] and a
//! [`Session`] that carries [`Frame`](haul_wire::Frame)s. [`Asker`] and [`Listener`] are the two
//! ends of the UDP ask. Besides by asks, machines are found by what a domain names ([`srv`]) and by
//! their own announcements (`dns_sd`, unless that feature is left out).
//!
//! This crate knows nothing of what a URL means, of disks or of policies, and starts no task; only
//! multicast DNS has a thread of its own.

mod admit;
mod ask;
mod bucket;
#[cfg(feature = "dns-sd")]
pub mod dns_sd;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod group;
mod handshake;
mod identity;
mod interfaces;
mod key;
mod name;
mod own_voice;
mod session;
pub mod srv;
mod tls;

pub use admit::Admission;
pub use ask::{Asker, GROUP, Heard, Listener, PORT, PORTS, REPEATS};
pub use bucket::{Pace, TokenBucket};
pub use error::{BadGroupKey, LinkError};
pub use group::{Group, GroupKey};
pub use handshake::{Code, Greeting, Me, answer, answer_group, greet};
pub use identity::{BadPeerId, Identity, PeerId, random};
pub use interfaces::{Interface, interfaces, networks};
pub use name::resemble;
pub use own_voice::hears_itself;
pub use session::{FrameReader, FrameWriter, Session};
pub use tls::{Secured, accept, dial, secure};
