use crate::engine::{Engine, Finding, Step};
use crate::link::Prober;
use crate::{Event, Stats, Via};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// No wait is longer, so that a cancelled scan ends soon.
const SLICE: Duration = Duration::from_millis(20);

/// After so many refusals in a row the queue is not just full.
const MOST_REFUSALS: u32 = 100;

/// Where a scan tells what it finds.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) events: Sender<Event>,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) interface: Arc<str>,
    pub(crate) via: Via,
    pub(crate) left_out: usize,
}

/// Runs an engine until it is done or cancelled.
///
/// `now` is the time since the start of the scan. An error leaves the engine as it was, so that
/// whoever is still silent can be asked in another way.
pub(crate) fn drive(
    engine: &mut Engine,
    prober: &mut dyn Prober,
    now: &mut dyn FnMut() -> Duration,
    outlet: &Outlet,
) -> io::Result<()> {
    let mut refusals = 0;
    while !outlet.is_cancelled() {
        let time = now();
        let timeout = match engine.poll(time) {
            Step::Probe(target) => {
                probe(engine, prober, now, target, &mut refusals)?;
                Duration::ZERO
            }
            Step::Wait(until) => SLICE.min(until.saturating_sub(time)),
            Step::Settled => {
                outlet.tell_on_ipv6(engine, prober);
                outlet.tell(Event::Settled(outlet.stats(engine, prober, time)));
                continue;
            }
            Step::Done => {
                outlet.tell_on_ipv6(engine, prober);
                outlet.tell(Event::Done(outlet.stats(engine, prober, time)));
                break;
            }
        };
        // One probe, then one sign of life: no storm of them can hold up the other.
        if let Some(heard) = prober.hear(timeout)?
            && let Some(finding) = engine.heard(now(), heard)
        {
            outlet.tell_finding(finding);
        }
    }
    Ok(())
}

fn probe(
    engine: &mut Engine,
    prober: &mut dyn Prober,
    now: &mut dyn FnMut() -> Duration,
    target: Ipv4Addr,
    refusals: &mut u32,
) -> io::Result<()> {
    match prober.probe(target) {
        Ok(()) => {
            *refusals = 0;
            engine.sent(now(), target);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && *refusals < MOST_REFUSALS => {
            *refusals += 1;
            engine.refused(now());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

impl Outlet {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Tells, unless nobody listens any more, which ends the scan.
    pub(crate) fn tell(&self, event: Event) {
        if self.events.send(event).is_err() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Tells of the machines that only IPv6 reaches; the others are known by their addresses.
    fn tell_on_ipv6(&self, engine: &Engine, prober: &mut dyn Prober) {
        for (address, mac) in prober.on_ipv6() {
            if !engine.has_found(mac) {
                let (interface, via) = (Arc::clone(&self.interface), Via::Icmp);
                let (address, mac, rtt) = (address.into(), Some(mac), None);
                self.tell(Event::Up { address, mac, via, rtt, interface });
            }
        }
    }

    fn tell_finding(&self, finding: Finding) {
        let interface = Arc::clone(&self.interface);
        self.tell(match finding {
            Finding::Up { address, mac, rtt } => {
                Event::Up { address: address.into(), mac, via: self.via, rtt, interface }
            }
            Finding::Conflict { address, macs } => {
                tracing::debug!(%address, ?macs, "several machines claim one address");
                Event::Conflict { address: address.into(), macs }
            }
        });
    }

    fn stats(&self, engine: &Engine, prober: &mut dyn Prober, now: Duration) -> Stats {
        Stats { left_out: self.left_out, kernel_drops: prober.drops(), ..engine.stats(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Tuning;
    use crate::interface::tests::interface;
    use crate::link::{ArpProber, Link};
    use crate::targets::Targets;
    use crate::{Interface, Mac, Medium, Policy, arp};
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::net::IpAddr;
    use std::rc::Rc;
    use std::sync::mpsc::{self, Receiver};

    #[test]
    fn every_live_host_is_told_once_with_its_mac_then_the_end() {
        let lan = Lan::default();
        let (outlet, events) = outlet();
        run(lan, &outlet).unwrap();
        let events: Vec<_> = events.try_iter().collect();
        let mut up: Vec<_> = events.iter().filter_map(up).collect();
        up.sort_unstable();
        let expected = (1..=25).map(|n| {
            let mac = Mac::new([2, 0, 0, 0, 0, 10 * n]);
            (IpAddr::from([10, 77, 0, 10 * n]), mac)
        });
        assert_eq!(up, expected.collect::<Vec<_>>());
        let [.., Event::Settled(settled), Event::Done(done)] = &events[..] else {
            panic!("it ends otherwise: {events:?}");
        };
        assert_eq!((settled.found, done.found, done.targets), (25, 25, 253));
    }

    #[test]
    fn a_cancelled_scan_sends_nothing_more_and_tells_nothing_more() {
        let lan = Lan { cancels: Some(40), ..Lan::default() };
        let (sent, (outlet, events)) = (Rc::clone(&lan.sent), outlet());
        let lan = Lan { cancelled: Arc::clone(&outlet.cancelled), ..lan };
        run(lan, &outlet).unwrap();
        assert_eq!(sent.get(), 40);
        assert!(!events.try_iter().any(|event| matches!(event, Event::Done(_))));
    }

    #[test]
    fn a_scan_that_nobody_listens_to_ends() {
        let lan = Lan::default();
        let (sent, (outlet, events)) = (Rc::clone(&lan.sent), outlet());
        drop(events);
        run(lan, &outlet).unwrap();
        assert!(sent.get() < 253);
    }

    #[test]
    fn a_queue_that_stays_full_and_a_broken_link_are_errors() {
        let (outlet, _events) = outlet();
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::NetworkDown] {
            let lan = Lan { fails: Some(kind), ..Lan::default() };
            assert_eq!(run(lan, &outlet).unwrap_err().kind(), kind);
        }
    }

    /// A network in which every tenth address is live and answers at once.
    #[derive(Default)]
    struct Lan {
        clock: Rc<Cell<Duration>>,
        sent: Rc<Cell<u32>>,
        answers: VecDeque<Vec<u8>>,
        frame: Vec<u8>,
        fails: Option<io::ErrorKind>,
        /// After so many frames somebody cancels the scan.
        cancels: Option<u32>,
        cancelled: Arc<AtomicBool>,
    }

    impl Link for Lan {
        fn send(&mut self, frame: &[u8]) -> io::Result<()> {
            if let Some(kind) = self.fails {
                return Err(kind.into());
            }
            self.sent.set(self.sent.get() + 1);
            if self.cancels == Some(self.sent.get()) {
                self.cancelled.store(true, Ordering::Relaxed);
            }
            if frame[41].is_multiple_of(10) {
                let mac = Mac::new([2, 0, 0, 0, 0, frame[41]]);
                self.answers.push_back(arp::tests::reply(mac, frame));
            }
            Ok(())
        }

        fn recv(&mut self, timeout: Duration) -> io::Result<Option<&[u8]>> {
            self.clock.set(self.clock.get() + timeout);
            let Some(frame) = self.answers.pop_front() else { return Ok(None) };
            self.frame = frame;
            Ok(Some(&self.frame))
        }
    }

    fn run(lan: Lan, outlet: &Outlet) -> io::Result<()> {
        let interface: Interface = interface([10, 77, 0, 1], 24);
        let (targets, policy) = (Targets::nearest(&interface, 1022), Policy::default());
        let mut engine = Engine::new(targets.addresses, Tuning::arp(&policy, Medium::Wired), 1);
        let clock = Rc::clone(&lan.clock);
        let mut prober = ArpProber::new(lan, interface, Mac::new([2, 0, 0, 0, 0, 1]), None);
        drive(&mut engine, &mut prober, &mut || clock.get(), outlet)
    }

    fn outlet() -> (Outlet, Receiver<Event>) {
        let (events, receiver) = mpsc::channel();
        let cancelled = Arc::default();
        let outlet =
            Outlet { events, cancelled, interface: "eth0".into(), via: Via::Arp, left_out: 0 };
        (outlet, receiver)
    }

    fn up(event: &Event) -> Option<(IpAddr, Mac)> {
        match event {
            Event::Up { address, mac: Some(mac), via: Via::Arp, rtt: Some(_), .. } => {
                Some((*address, *mac))
            }
            _ => None,
        }
    }
}
