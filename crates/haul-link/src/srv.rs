//! Helpers that a domain names: its SRV records `_haul._udp.DOMAIN` (RFC 2782).
//!
//! The system's name servers are asked over UDP, and over TCP where an answer is too long for it
//! (RFC 1035). Answers are the words of strangers: only one that comes from the server that was
//! asked, has the question's random id and repeats the question is read at all, names consist of
//! letters, digits, `-` and `_`, and nothing beyond the answer's own section is believed.

mod client;
mod fault;
mod message;
mod name;
mod order;
mod servers;

pub use client::Resolver;
pub use fault::SrvFault;
pub use name::{BadName, Name};

#[cfg(feature = "fuzzing")]
pub(crate) use message::{Answer, Question};
#[cfg(feature = "fuzzing")]
pub(crate) use order::in_order;
#[cfg(feature = "fuzzing")]
pub(crate) use servers::name_servers;

/// A machine that a domain names as a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The machines of the lowest number are to be tried first.
    pub priority: u16,
    /// How often a machine is to come before others of its priority.
    pub weight: u16,
    /// Where the helper hears asks.
    pub port: u16,
    /// The machine's name.
    pub host: Name,
}
