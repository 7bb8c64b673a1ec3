//! Real servers and proxies on loopback, as their packages bring them.
//!
//! Each runs with a configuration of its own in a folder of its own, reads none of the system's and
//! writes nowhere else, on ports that were free a moment before; it is killed by its process id
//! when it is dropped. No root and no namespace is needed.

mod origins;
mod proxies;
mod recipe;

pub use origins::{OriginKind, Server};
pub use proxies::{ProxyKind, Relay};
