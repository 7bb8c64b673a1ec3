use crate::drive::{Outlet, drive};
use crate::engine::{Engine, Tuning};
use crate::targets::Targets;
use crate::{Error, Event, Interface, Policy, Stats, Via, platform, random};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{io, thread};

/// The most addresses that are swept by datagrams: each takes an entry in the kernel's neighbour
/// table, which has 1024 for all programs and containers together (`gc_thresh3` of `arp(7)`).
const MOST_SWEPT: usize = 512;

/// What a sweep by datagrams lacks.
const LESS: &str = "the kernel is made to ask instead, which reaches 512 addresses at most and \
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
fn descend(targets: Targets, policy: &Policy, mut outlet: Outlet) {
    let began = Instant::now();
    let mut now = || began.elapsed();
    let tuning = Tuning::arp(policy, targets.interface.medium());
    let mut engine = Engine::new(targets.addresses.clone(), tuning, random::seed());
    let Err(error) = by_arp(&mut engine, &targets, &mut now, &outlet) else { return };
    outlet.tell(degraded_to_sweep(&error));
    let silent: BTreeSet<_> = engine.silent().collect();
    let targets = targets.retained(&silent, MOST_SWEPT);
    (outlet.via, outlet.left_out) = (Via::Neighbour, targets.left_out);
    if let Err(error) = by_sweep(&targets, policy, &mut now, &outlet) {
        let why = format!("could not sweep {}: {error}", targets.interface.name());
        outlet.tell(Event::Degraded { from: Via::Neighbour, to: None, why, remedy: None });
        let stats = Stats { targets: targets.addresses.len(), ..Stats::default() };
        outlet.tell(Event::Done(Stats { elapsed: now(), left_out: targets.left_out, ..stats }));
    }
}

fn by_arp(
    engine: &mut Engine,
    targets: &Targets,
    now: &mut dyn FnMut() -> Duration,
    outlet: &Outlet,
) -> io::Result<()> {
    let mut prober = platform::arp(&targets.interface)?;
    platform::drop_privileges();
    drive(engine, &mut *prober, now, outlet)
}

fn by_sweep(
    targets: &Targets,
    policy: &Policy,
    now: &mut dyn FnMut() -> Duration,
    outlet: &Outlet,
) -> io::Result<()> {
    let mut prober = platform::sweep(&targets.interface)?;
    platform::drop_privileges();
    let tuning = Tuning::sweep(policy, prober.patience());
    let mut engine = Engine::new(targets.addresses.clone(), tuning, random::seed());
    drive(&mut engine, &mut *prober, now, outlet)
}

fn degraded_to_sweep(error: &io::Error) -> Event {
    let is_privilege = error.kind() == io::ErrorKind::PermissionDenied;
    let why = if is_privilege {
        format!("without CAP_NET_RAW nothing can be asked by ARP: {LESS}")
    } else {
        format!("could not ask by ARP ({error}): {LESS}")
    };
    let remedy = if is_privilege { platform::remedy() } else { None };
    Event::Degraded { from: Via::Arp, to: Some(Via::Neighbour), why, remedy }
}
