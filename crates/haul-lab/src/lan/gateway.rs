use super::host::join;
use super::link::{End, Link};
use super::namespace::Namespace;
use crate::Error;

/// The network of every machine's internet side.
const MACHINES: &str = "198.51.100.0/22";

/// The two ends of the uplink.
const INSIDE: &str = "192.0.2.2";
const OUTSIDE: &str = "192.0.2.1";

/// A router that all machines of a LAN are behind, with one shaped link to the internet.
#[derive(Debug)]
pub(super) struct Gateway(Namespace);

impl Gateway {
    pub(super) fn make(prefix: &str, internet: &Namespace, link: Link) -> Result<Self, Error> {
        let gateway = Namespace::make(&format!("{prefix}-gateway"))?;
        gateway.set(&[("net/ipv4/ip_forward", "1")])?;
        join(&gateway, "wan0", internet, "to-gateway")?;
        gateway.ip("link set wan0 gso_max_segs 1 up")?;
        internet.ip("link set to-gateway gso_max_segs 1 up")?;
        gateway.ip(&format!("addr add {INSIDE}/30 dev wan0"))?;
        internet.ip(&format!("addr add {OUTSIDE}/30 dev to-gateway"))?;
        gateway.ip(&format!("route add default via {OUTSIDE}"))?;
        internet.ip(&format!("route add {MACHINES} via {INSIDE}"))?;
        End { namespace: internet, device: "to-gateway" }.shape(link.down())?;
        End { namespace: &gateway, device: "wan0" }.shape(link.up())?;
        Ok(Self(gateway))
    }

    pub(super) const fn namespace(&self) -> &Namespace {
        &self.0
    }
}
