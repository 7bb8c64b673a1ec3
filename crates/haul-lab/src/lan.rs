//! A leader, helpers and an origin, each in a network namespace of its own.
//!
//! Every machine has two sides, and nothing joins the two but the machine itself:
//!
//! ```text
//!              lan0 10.77.0.x/24, unshaped             net0, shaped both ways
//!   leader .1  ────────┐                        ┌──────── leader 198.51.100.2
//!   helper .11 ────────┤ switch (a bridge)      │ internet (a router) ── origin 203.0.113.10
//!   helper .12 ────────┘                        └──────── helper 198.51.100.6, .10, …
//! ```
//!
//! The default route of each machine is its internet side; the origin has no LAN side. Where the LAN
//! was given an [uplink](LanBuilder::uplink), a gateway stands between the machines and the router,
//! and all share the one link behind it. A machine's way to the switch is shaped where it was given
//! a [cable](Host::set_cable). The kernel
//! shapes with token buckets (`tc tbf`), downloads at the router and uploads at the machine.
//! Building one takes root, `ip` and `tc`: see [`skip_or_fail`]. Everything is removed when the
//! [`Lan`] is dropped, and what a killed test left behind when the next one is built.

mod gateway;
mod host;
mod link;
mod namespace;
mod neighbourhood;
mod nginx;
mod process;
mod skip;
mod tool;
mod within;

pub use host::Host;
pub use link::Link;
pub use neighbourhood::Neighbourhood;
pub use nginx::{Nginx, NginxBuilder};
pub use process::{Process, Usage};
pub(crate) use skip::is_installed;
pub use skip::{missing, skip_or_fail};
pub use within::Timed;

use crate::Error;
use gateway::Gateway;
use namespace::Namespace;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the LANs of one process apart.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// The origin's address.
const ORIGIN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The router's address on the origin's side.
const ORIGIN_ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// A LAN of a leader and helpers, and an origin on the internet behind their links.
#[derive(Debug)]
pub struct Lan {
    leader: Host,
    helpers: Vec<Host>,
    origin: Host,
}

/// What the machines are joined by.
#[derive(Debug)]
struct Middle {
    switch: Namespace,
    gateway: Option<Gateway>,
    internet: Namespace,
}

impl Lan {
    /// A LAN of a leader and no helper, none of whose links is shaped.
    pub const fn builder() -> LanBuilder {
        LanBuilder {
            leader: Link::UNSHAPED,
            helpers: Vec::new(),
            origin: Link::UNSHAPED,
            uplink: None,
        }
    }

    /// The machine that wants the file, at 10.77.0.1.
    pub const fn leader(&self) -> &Host {
        &self.leader
    }

    /// Every helper, in the order in which they were named; from 10.77.0.11 on.
    pub fn helpers(&self) -> &[Host] {
        &self.helpers
    }

    /// The helper of that name.
    ///
    /// # Panics
    ///
    /// If the builder was given none.
    pub fn helper(&self, name: &str) -> &Host {
        let named = self.helpers.iter().find(|helper| helper.name() == name);
        named.unwrap_or_else(|| panic!("no helper of this LAN is called {name}"))
    }

    /// The machine that has the file, at 203.0.113.10, which `--allow-net 203.0.113.0/24` opens.
    pub const fn origin(&self) -> &Host {
        &self.origin
    }
}

/// Who is on a [`Lan`], and behind which link.
#[derive(Clone, Debug)]
#[must_use]
pub struct LanBuilder {
    leader: Link,
    helpers: Vec<(String, Link)>,
    origin: Link,
    uplink: Option<Link>,
}

impl LanBuilder {
    /// The leader's link.
    pub const fn leader(mut self, link: Link) -> Self {
        self.leader = link;
        self
    }

    /// One more helper, whose name no other machine has.
    ///
    /// # Panics
    ///
    /// If there are 200 already.
    pub fn helper(mut self, name: impl Into<String>, link: Link) -> Self {
        assert!(self.helpers.len() < 200, "a LAN has addresses for 200 helpers");
        self.helpers.push((name.into(), link));
        self
    }

    /// The origin's link.
    pub const fn origin(mut self, link: Link) -> Self {
        self.origin = link;
        self
    }

    /// One link that all machines of the LAN share behind their own, as in a home.
    pub const fn uplink(mut self, link: Link) -> Self {
        self.uplink = Some(link);
        self
    }

    /// Makes the namespaces, veth pairs, routes and queues.
    pub fn build(self) -> Result<Lan, Error> {
        namespace::sweep()?;
        let prefix = format!("{}-{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed));
        let middle = Arc::new(Middle::make(&prefix, self.uplink)?);
        let make = |name: &str| Namespace::make(&format!("{prefix}-{name}"));
        let origin = Host::off_lan("origin", make("origin")?, &middle)?;
        origin.set_link(self.origin)?;
        let leader = Host::on_lan("leader", 0, make("leader")?, &middle)?;
        leader.set_link(self.leader)?;
        let mut helpers = Vec::new();
        for (place, (name, link)) in (1..).zip(&self.helpers) {
            let helper = Host::on_lan(name, place, make(name)?, &middle)?;
            helper.set_link(*link)?;
            helpers.push(helper);
        }
        Ok(Lan { leader, helpers, origin })
    }
}

impl Middle {
    fn make(prefix: &str, uplink: Option<Link>) -> Result<Self, Error> {
        let switch = Namespace::make(&format!("{prefix}-switch"))?;
        switch.ip("link add name bridge0 type bridge mcast_snooping 0")?;
        switch.ip("link set bridge0 up")?;
        let internet = Namespace::make(&format!("{prefix}-internet"))?;
        internet.set(&[("net/ipv4/ip_forward", "1")])?;
        let gateway = uplink.map(|link| Gateway::make(prefix, &internet, link)).transpose()?;
        Ok(Self { switch, gateway, internet })
    }

    /// What machines of the LAN reach the internet by.
    fn router(&self) -> &Namespace {
        self.gateway.as_ref().map_or(&self.internet, Gateway::namespace)
    }
}
