use crate::drive::{Outlet, drive};
use crate::engine::{Engine, Tuning};
use crate::targets::Targets;
use crate::{Error, Event, Interface, Policy, Stats, Via, platform, random};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{io, thread};

/// The most addresses that are looked at by way of the kernel's neighbour table: the hosts of a /22.
const MOST_SWEPT: usize = 1022;

/// What a sweep by datagrams lacks.
const LESS: &str = "the kernel is made to ask instead, which reaches 1022 addresses at most and \
                    finds fewer machines where answers get lost";

/// Looks at the addresses of the interface's own networks, on a thread of its own.
pub fn scan(interface: &Interface, policy: Policy) -> Result<Scan, Error> {
    Scan::start(Targets::nearest(interface, policy.max_targets), policy)
}

/// Looks at these addresses of the interface's own networks, however many, and at no others.
///
/// An address that is not another host's in one of them is an [`Error::OffLink`].
pub fn scan_only(
    interface: &Interface,
    addresses: impl IntoIterator<Item = Ipv4Addr>,
    policy: Policy,
) -> Result<Scan, Error> {
    Scan::start(Targets::only(interface, addresses)?, policy)
}

/// A scan under way: its events as they come, the last of which is [`Event::Done`].
///
/// It fails in no way once it has started: where a right is missing it takes another way and says
/// so with [`Event::Degraded`]. It ends when this is dropped.
#[derive(Debug)]
pub struct Scan {
    events: Receiver<Event>,
    canceller: Canceller,
}

/// Cancels a [`Scan`] from anywhere.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<AtomicBool>);

impl Scan {
    /// Ends it: after the probe that is being sent none follows, and after this call no event.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Something that cancels it while another thread waits for its events.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    fn start(targets: Targets, policy: Policy) -> Result<Self, Error> {
        let (sender, events) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let outlet = Outlet {
            events: sender,
            cancelled: Arc::clone(&cancelled),
            interface: targets.interface.shared_name(),
            via: Via::Arp,
            left_out: targets.left_out,
        };
        let thread = thread::Builder::new().name("haul-scan".to_owned());
        let spawned = thread.spawn(move || descend(targets, &policy, outlet));
        spawned.map_err(|source| Error::System { doing: "start a thread", source })?;
        Ok(Self { events, canceller: Canceller(cancelled) })
    }
}

impl Iterator for Scan {
    type Item = Event;

    /// The next event; waits for it.
    fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().ok();
        event.filter(|_| !self.canceller.0.load(Ordering::Relaxed))
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Canceller {
    /// As [`Scan::cancel`]; a thread that waits for an event is told within 20 ms that none comes.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes down the ladder of ways until one bears.
fn descend(mut targets: Targets, policy: &Policy, mut outlet: Outlet) {
    let began = Instant::now();
    let mut now = || began.elapsed();
    let ways = ways(&targets.interface);
    for (place, &way) in ways.iter().enumerate() {
        let most = most(&targets.interface, way);
        targets = targets.truncated(most);
        (outlet.via, outlet.left_out) = (way, targets.left_out);
        let Err(error) = look(way, &mut targets, policy, &mut now, &outlet) else { return };
        outlet.tell(degraded(way, ways.get(place + 1).copied(), &error));
    }
    let stats = Stats { targets: targets.addresses.len(), ..Stats::default() };
    outlet.tell(Event::Done(Stats { elapsed: now(), left_out: targets.left_out, ..stats }));
}

/// The ways of looking at what an interface leads to, the best first.
///
/// Machines that answer ARP may well be silent to an echo, so where there is ARP an echo is the
/// last resort.
const fn ways(interface: &Interface) -> &'static [Via] {
    match interface.mac() {
        Some(_) => &[Via::Arp, Via::Neighbour, Via::Icmp],
        None => &[Via::Icmp],
    }
}

/// How many addresses can be looked at: those that the kernel looks up are few.
const fn most(interface: &Interface, way: Via) -> usize {
    match (interface.mac(), way) {
        (None, _) | (_, Via::Arp) => usize::MAX,
        (Some(_), Via::Neighbour | Via::Icmp) => MOST_SWEPT,
    }
}

/// Asks by one way; after an error the targets are those that have not answered.
fn look(
    way: Via,
    targets: &mut Targets,
    policy: &Policy,
    now: &mut dyn FnMut() -> Duration,
    outlet: &Outlet,
) -> io::Result<()> {
    let interface = &targets.interface;
    let mut prober = match way {
        Via::Arp => platform::arp(interface, policy.pace),
        Via::Neighbour => platform::sweep(interface),
        Via::Icmp => platform::echo(interface),
    }?;
    platform::drop_privileges();
    let tuning = match (way, interface.mac()) {
        (Via::Arp, _) => Tuning::arp(policy, interface.medium()),
        (_, None) => Tuning::echo(policy),
        (Via::Neighbour | Via::Icmp, Some(_)) => {
            Tuning::sweep(policy, interface.medium(), &prober.patience())
        }
    };
    let mut engine = Engine::new(targets.addresses.clone(), tuning, random::seed());
    let driven = drive(&mut engine, &mut *prober, now, outlet);
    targets.retain(&engine.silent().collect());
    driven
}

fn degraded(from: Via, to: Option<Via>, error: &io::Error) -> Event {
    let is_privilege = error.kind() == io::ErrorKind::PermissionDenied;
    let what = match from {
        Via::Arp if is_privilege => "without CAP_NET_RAW nothing can be asked by ARP".to_owned(),
        Via::Arp => format!("could not ask by ARP ({error})"),
        Via::Neighbour => format!("could not make the kernel ask ({error})"),
        Via::Icmp if is_privilege => {
            "without CAP_NET_RAW, or a group within net.ipv4.ping_group_range, nothing can be asked \
             by ICMP"
                .to_owned()
        }
        Via::Icmp => format!("could not ask by ICMP ({error})"),
    };
    let why = match to {
        Some(Via::Neighbour) => format!("{what}: {LESS}"),
        Some(Via::Icmp) => format!("{what}: an echo is asked for, to which many are silent"),
        Some(Via::Arp) | None => what,
    };
    let remedy = if is_privilege { platform::remedy() } else { None };
    Event::Degraded { from, to, why, remedy }
}
