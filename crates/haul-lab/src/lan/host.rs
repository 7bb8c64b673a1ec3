use super::link::{End, Link};
use super::namespace::Namespace;
use super::tool::run;
use super::{Middle, ORIGIN, ORIGIN_ROUTER};
use crate::Error;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// One machine of a [`Lan`](super::Lan): a namespace with a side to the LAN and one to the
/// internet.
#[derive(Debug)]
pub struct Host {
    name: String,
    namespace: Namespace,
    middle: Arc<Middle>,
    /// The device in the router's namespace at the other end of this machine's link.
    router_port: String,
    internet: Ipv4Addr,
    lan: Option<Lan>,
}

/// The LAN side of a machine.
#[derive(Debug)]
struct Lan {
    address: Ipv4Addr,
    /// The device in the switch's namespace that it is plugged into.
    port: String,
}

impl Host {
    /// What it was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the LAN, 10.77.0.0/24.
    ///
    /// # Panics
    ///
    /// On the origin, which has none.
    pub fn address(&self) -> Ipv4Addr {
        self.lan.as_ref().expect("the origin is not on the LAN").address
    }

    /// Its address on the internet.
    pub const fn internet_address(&self) -> Ipv4Addr {
        self.internet
    }

    /// A command that runs `program` on this machine.
    ///
    /// The process id of the child that it makes is that of the program. Start it with
    /// [`Process::spawn`](super::Process::spawn) to have it killed in time.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Gives its way to the internet other rates, also for what is under way, and ends a stall.
    pub fn set_link(&self, link: Link) -> Result<(), Error> {
        self.down().shape(link.down())?;
        self.up().shape(link.up())
    }

    /// Gives its way to the LAN's switch other rates, also for what is under way. On the origin,
    /// which has none, nothing happens.
    pub fn set_cable(&self, link: Link) -> Result<(), Error> {
        let Some(Lan { port, .. }) = &self.lan else { return Ok(()) };
        End { namespace: &self.middle.switch, device: port }.shape(link.down())?;
        End { namespace: &self.namespace, device: "lan0" }.shape(link.up())
    }

    /// Lets nothing pass between it and the internet any more, without a word to either end.
    ///
    /// [`Host::set_link`] ends that.
    pub fn stall(&self) -> Result<(), Error> {
        self.down().stall()?;
        self.up().stall()
    }

    /// Pulls its plug out of the LAN's switch. On the origin, which has none, nothing happens.
    pub fn unplug(&self) -> Result<(), Error> {
        self.set_plug("down")
    }

    /// Puts its plug back.
    pub fn plug_in(&self) -> Result<(), Error> {
        self.set_plug("up")
    }

    /// How many bytes have come from the internet, headers and all.
    pub fn downloaded(&self) -> Result<u64, Error> {
        let counter = "/sys/class/net/net0/statistics/rx_bytes";
        let bytes = run(self.command("cat").arg(counter))?;
        Ok(bytes.trim().parse().unwrap_or(0))
    }

    /// Changes its devices, addresses and routes as `ip` does with these arguments. Its devices
    /// are `lan0` and `net0`.
    pub fn ip(&self, arguments: &str) -> Result<(), Error> {
        self.namespace.ip(arguments)?;
        Ok(())
    }

    /// Gives it IPv6, with no address but those that [`Host::ip`] adds; without this it has none.
    pub fn enable_ipv6(&self) -> Result<(), Error> {
        self.namespace.set(&[
            ("net/ipv6/conf/all/disable_ipv6", "0"),
            ("net/ipv6/conf/default/disable_ipv6", "0"),
            ("net/ipv6/conf/all/accept_ra", "0"),
        ])
    }

    /// Lets the programs that it runs from now on ask this server for names, on port 53.
    pub fn set_name_server(&self, server: IpAddr) -> Result<(), Error> {
        self.namespace.set_name_server(server)
    }

    /// Does `work` on this machine, in a thread of this process: every socket that it opens is one
    /// of this machine's, wherever it goes later.
    pub fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Error> {
        let namespace = self.namespace.open()?;
        let (entered, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let moved =
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            let may_work = moved.is_ok();
            // Whoever started the thread waits for this word.
            let _ = entered.send(moved.map_err(std::io::Error::from));
            may_work.then(work)
        });
        let doing = format!("enter the network of {}", self.name);
        let ended = || Err(std::io::ErrorKind::BrokenPipe.into());
        told.recv().unwrap_or_else(|_| ended()).map_err(Error::io(doing))?;
        Ok(thread::spawn(move || joined(thread)))
    }

    pub(super) fn namespace_name(&self) -> &str {
        self.namespace.name()
    }

    /// Sets kernel parameters of this machine, named by their paths below `/proc/sys`.
    pub(super) fn set(&self, parameters: &[(&str, &str)]) -> Result<(), Error> {
        self.namespace.set(parameters)
    }

    pub(super) fn on_lan(
        name: &str,
        place: u8,
        namespace: Namespace,
        middle: &Arc<Middle>,
    ) -> Result<Self, Error> {
        let port = format!("plug{place}");
        let switch = &middle.switch;
        join(&namespace, "lan0", switch, &port)?;
        switch.ip(&format!("link set {port} master bridge0 up"))?;
        let address = Ipv4Addr::new(10, 77, 0, if place == 0 { 1 } else { 10 + place });
        namespace.ip(&format!("addr add {address}/24 brd + dev lan0"))?;
        namespace.ip("link set lan0 up")?;
        let nets = u32::from(Ipv4Addr::new(198, 51, 100, 0)) + 4 * u32::from(place);
        let side = Side { machine: (nets + 2).into(), router: (nets + 1).into(), prefix: 30 };
        Self::connect(name, namespace, middle, side, Some(Lan { address, port }))
    }

    pub(super) fn off_lan(
        name: &str,
        namespace: Namespace,
        middle: &Arc<Middle>,
    ) -> Result<Self, Error> {
        let side = Side { machine: ORIGIN, router: ORIGIN_ROUTER, prefix: 24 };
        Self::connect(name, namespace, middle, side, None)
    }

    fn connect(
        name: &str,
        namespace: Namespace,
        middle: &Arc<Middle>,
        Side { machine, router, prefix }: Side,
        lan: Option<Lan>,
    ) -> Result<Self, Error> {
        let router_port =
            lan.as_ref().map_or("origin".to_owned(), |lan| format!("to-{}", lan.port));
        let router_side = if lan.is_some() { middle.router() } else { &middle.internet };
        join(&namespace, "net0", router_side, &router_port)?;
        // Large segments would pass a token bucket in lumps.
        namespace.ip("link set net0 gso_max_segs 1 up")?;
        router_side.ip(&format!("link set {router_port} gso_max_segs 1 up"))?;
        namespace.ip(&format!("addr add {machine}/{prefix} brd + dev net0"))?;
        router_side.ip(&format!("addr add {router}/{prefix} brd + dev {router_port}"))?;
        namespace.ip(&format!("route add default via {router}"))?;
        let name = name.to_owned();
        let middle = Arc::clone(middle);
        Ok(Self { name, namespace, middle, router_port, internet: machine, lan })
    }

    fn down(&self) -> End<'_> {
        let side = if self.lan.is_some() { self.middle.router() } else { &self.middle.internet };
        End { namespace: side, device: &self.router_port }
    }

    fn up(&self) -> End<'_> {
        End { namespace: &self.namespace, device: "net0" }
    }

    fn set_plug(&self, state: &str) -> Result<(), Error> {
        if let Some(Lan { port, .. }) = &self.lan {
            self.middle.switch.ip(&format!("link set {port} {state}"))?;
        }
        Ok(())
    }
}

/// What a thread that was let in has made.
fn joined<T>(thread: JoinHandle<Option<T>>) -> T {
    match thread.join() {
        Ok(made) => made.expect("the thread was told to have entered"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The addresses of a link's two ends.
struct Side {
    machine: Ipv4Addr,
    router: Ipv4Addr,
    prefix: u8,
}

/// Joins two namespaces by a veth pair.
pub(super) fn join(
    one: &Namespace,
    device: &str,
    other: &Namespace,
    peer: &str,
) -> Result<(), Error> {
    let other = other.name();
    one.ip(&format!("link add name {device} type veth peer name {peer} netns {other}"))?;
    Ok(())
}
