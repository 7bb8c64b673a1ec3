//! The ways to an origin that a caller can ask for: proxies, what proves who asks, and mirrors.
//!
//! Whatever is read here from files or servers may be malformed or hostile: every parser gives an
//! error or passes over what it cannot use, and none panics.

mod cookies;
mod fault;
mod netrc;
mod no_proxy;
mod proxy;
mod socks;
mod through;

pub use cookies::Cookies;
pub use fault::ProxyFault;
pub use netrc::Netrc;
pub use no_proxy::NoProxy;
pub use proxy::{Proxies, Proxy};

pub(crate) use through::connect_through;
