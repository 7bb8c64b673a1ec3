use std::net::Ipv4Addr;
use std::{fmt, io};

/// Why no scan was started.
///
/// The first three are the caller's to change; [`Error::System`] may pass by itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No interface of this machine has that name.
    NoSuchInterface {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// An address was to be scanned that is not a host's on the interface's own networks.
    OffLink {
        /// The address.
        address: Ipv4Addr,
        /// The name of the interface.
        interface: String,
    },
    /// This operating system is not supported.
    Unsupported,
    /// The operating system refused something.
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInterface { name, known } => {
                write!(f, "there is no interface `{name}`; there are {}", known.join(", "))
            }
            Self::OffLink { address, interface } => {
                write!(f, "{address} is no other host's address on the networks of {interface}")
            }
            Self::Unsupported => f.write_str("this operating system can't be scanned from"),
            Self::System { doing, source } => write!(f, "could not {doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::NoSuchInterface { .. } | Self::OffLink { .. } | Self::Unsupported => None,
        }
    }
}
