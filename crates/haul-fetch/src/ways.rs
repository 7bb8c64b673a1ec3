//! The ways to an origin that a caller can ask for: proxies, what proves who asks, and mirrors.
//!
//! Whatever is read here from files or servers may be malformed or hostile: every parser gives an
//! error or passes over what it cannot use, and none panics.

mod cookies;
mod fault;
mod link;
mod metalink;
mod mirrors;
mod netrc;
mod no_proxy;
mod proxy;
mod socks;
mod standing;
mod through;

pub use cookies::Cookies;
pub use fault::ProxyFault;
pub use link::Links;
pub use metalink::{Metalink, MetalinkFile, Pieces};
pub use mirrors::Mirror;
pub use netrc::Netrc;
pub use no_proxy::NoProxy;
pub use proxy::{Proxies, Proxy};

pub(crate) use mirrors::{Mirrors, Seat};
pub(crate) use through::connect_through;
