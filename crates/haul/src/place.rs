//! Where helpers are, as people write it.

use crate::{Error, ErrorKind};
use haul_link::PORT;
use haul_link::srv::{Name, Resolver, Service};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tracing::debug;

/// What a place begins with that a domain's records name.
const SRV: &str = "srv:";

/// How many names of a domain's helpers are looked up at a time.
const AT_ONCE: usize = 16;

/// One machine, or those that a domain names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(SocketAddr),
    Named {
        host: Name,
        port: u16,
    },
    /// The machines of the SRV records `_haul._udp.DOMAIN`.
    Srv(Name),
}

/// Why a text is no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadPlace {
    text: String,
    why: &'static str,
}

impl Place {
    /// Every address there, in the order in which they are to be asked.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let found = match self {
            Self::At(address) => Ok(vec![*address]),
            Self::Named { host, port } => look_up(host, *port).await,
            Self::Srv(domain) => of_domain(domain).await,
        };
        found.map_err(|because| {
            let what = format!("the helper {self} was not found");
            Error::new(ErrorKind::Network, what, because)
                .with_remedy("check the name, or give the helper's address")
        })
    }
}

async fn look_up(host: &Name, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = lookup_host((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    Ok(found.collect())
}

async fn of_domain(domain: &Name) -> Result<Vec<SocketAddr>, String> {
    let resolver = Resolver::of_system().map_err(|fault| fault.to_string())?;
    let services = resolver.services(domain).await.map_err(|fault| fault.to_string())?;
    let mut found = Vec::new();
    for some in services.chunks(AT_ONCE) {
        found.extend(of_services(some).await);
    }
    if found.is_empty() {
        return Err("none of the machines that its records name has an address".to_owned());
    }
    Ok(found)
}

/// The addresses of these machines, in their order; one without an address is left out.
async fn of_services(services: &[Service]) -> Vec<SocketAddr> {
    let mut lookups = JoinSet::new();
    for (place, Service { host, port, .. }) in services.iter().cloned().enumerate() {
        lookups.spawn(async move { (place, look_up(&host, port).await, host) });
    }
    let mut found = Vec::new();
    while let Some(ended) = lookups.join_next().await {
        match ended {
            Ok((place, Ok(addresses), _)) => found.push((place, addresses)),
            Ok((_, Err(error), host)) => debug!(%host, error, "a helper without an address"),
            Err(error) => debug!(%error, "a lookup ended early"),
        }
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().flat_map(|(_, addresses)| addresses).collect()
}

/// `srv:DOMAIN`, or an address or a name, each with or without a port; an IPv6 address with a port
/// is in brackets.
impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = |why| BadPlace { text: text.to_owned(), why };
        if let Some(domain) = text.strip_prefix(SRV) {
            return domain
                .parse()
                .map(Self::Srv)
                .map_err(|_| bad("what follows srv: is no domain"));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        if let Some(address) = bare(text) {
            return Ok(Self::At((address, PORT).into()));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad("its port is none"))?),
            None => (text, PORT),
        };
        let host = host.parse().map_err(|_| bad("it is neither an address nor a name"))?;
        if ends_in_number(&host) {
            return Err(bad("it is neither an address nor a name"));
        }
        Ok(Self::Named { host, port })
    }
}

/// An address without a port, an IPv6 one in brackets or not.
fn bare(text: &str) -> Option<IpAddr> {
    let within = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    within.unwrap_or(text).parse().ok()
}

/// Whether it looks like an IPv4 address, as no name of a machine does.
fn ends_in_number(host: &Name) -> bool {
    let last = host.as_str().rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{address}"),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
            Self::Srv(domain) => write!(f, "{SRV}{domain}"),
        }
    }
}

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no place of a helper: {}", self.text.escape_debug(), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let place = text.parse::<Place>();
        place.map(|place| place.to_string()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn places_are_addresses_names_and_domains_with_the_port_of_asks_unless_told() {
        for (text, wanted) in [
            ("10.0.0.2", "10.0.0.2:4285"),
            ("10.0.0.2:99", "10.0.0.2:99"),
            ("::1", "[::1]:4285"),
            ("[::1]", "[::1]:4285"),
            ("[::1]:99", "[::1]:99"),
            ("Ward-3", "ward-3:4285"),
            ("asha.local:4290", "asha.local:4290"),
            ("srv:Example.org.", "srv:example.org"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_told_with_the_reason() {
        for text in
            ["", "srv:", "srv:a b", "10.0.0.256", "10.0.0.2:", "a:70000", "a/b", "none of it"]
        {
            assert!(
                read(text).unwrap_err().starts_with(&format!("`{text}` is no place")),
                "{text}"
            );
        }
        assert!(!read("a\u{1b}[31m").unwrap_err().contains('\u{1b}'));
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup_and_what_cannot_be_found_is_named() {
        let at: Place = "127.0.0.1:99".parse().unwrap();
        assert_eq!(at.addresses().await.unwrap(), ["127.0.0.1:99".parse().unwrap()]);
        let named: Place = "localhost:99".parse().unwrap();
        assert!(named.addresses().await.unwrap().contains(&"127.0.0.1:99".parse().unwrap()));
    }
}
