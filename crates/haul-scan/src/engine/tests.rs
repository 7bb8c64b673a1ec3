//! The engine against a simulated network: its own clock, no waiting, the seed decides all.

use super::*;
use crate::{Medium, Pace, Policy};
use haul_lab::crowd::{Crowd, Habits};
use proptest::prelude::*;
use std::collections::BTreeSet;

const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy)]
struct Lan {
    /// One in so many addresses is live.
    live_one_in: u32,
    /// The chance of a probe or its answer to get lost, in percent.
    loss: u64,
    /// The longest time that a machine takes to answer, in microseconds.
    slowest: u64,
    /// How many frames a bottleneck carries in a second, with a queue of 64 before it.
    bottleneck: Option<u32>,
}

const WIRED: Lan = Lan { live_one_in: 4, loss: 0, slowest: 300, bottleneck: None };

#[derive(Default)]
struct Trace {
    probes: Vec<(Duration, Ipv4Addr)>,
    found: BTreeSet<Ipv4Addr>,
    settled: Option<Duration>,
    stats: Stats,
}

#[test]
fn on_a_wired_lan_all_are_found_with_no_repeat_for_the_live_and_one_for_the_others() {
    let trace = simulate(254, WIRED, Policy::default(), 1);
    assert_eq!(trace.found, live(254, WIRED));
    assert_eq!(trace.stats.sent, 254 + 254 - trace.found.len() as u64);
    assert!(trace.settled.unwrap() < 60 * MS, "{:?}", trace.stats);
}

#[test]
fn on_a_network_of_dead_addresses_it_ends_and_finds_nobody() {
    let nobody = Lan { live_one_in: u32::MAX, ..WIRED };
    let trace = simulate(254, nobody, Policy::default(), 1);
    assert!(trace.found.is_empty());
    assert_eq!(trace.stats.sent, 2 * 254);
    assert!(trace.settled.unwrap() < 300 * MS);
    assert_eq!(simulate(0, WIRED, Policy::default(), 1).stats.sent, 0);
}

#[test]
fn loss_is_answered_by_repeats_until_hardly_anybody_can_be_missed() {
    let lossy = Lan { loss: 12, ..WIRED };
    let (mut found, mut all) = (0, 0);
    for seed in 0..50 {
        let trace = simulate(254, lossy, Policy::default(), seed);
        assert!(trace.stats.tries >= 3, "{:?}", trace.stats);
        found += trace.found.len();
        all += live(254, lossy).len();
    }
    assert!(found * 1000 >= all * 999, "{found} of {all}");
}

#[test]
fn sleepers_are_heard_after_it_has_settled() {
    let sleepy = Lan { slowest: 320_000, ..WIRED };
    let trace = simulate(254, sleepy, Policy::default(), 3);
    assert_eq!(trace.found, live(254, sleepy));
}

#[test]
fn a_bottleneck_makes_it_slow_down_and_still_find_all() {
    let narrow = Lan { live_one_in: 2, bottleneck: Some(2000), ..WIRED };
    let (mut found, mut all) = (0, 0);
    for seed in 0..20 {
        let trace = simulate(254, narrow, Policy::default(), seed);
        assert!(trace.stats.slowdowns > 0, "{:?}", trace.stats);
        found += trace.found.len();
        all += live(254, narrow).len();
    }
    assert!(found * 1000 >= all * 999, "{found} of {all}");
}

/// What arp-scan takes for a /24 with its usual two tries: 254 requests at 256 kbit/s, 0.5 s until
/// the second, and 0.75 s in which that could be answered.
const ARP_SCAN: Duration = Duration::from_millis(508 + 500 + 750);

/// Scans a /24 with 60 live machines 50 times; what share was found, and the median time.
fn fifty_scans(habits: Habits, bottleneck: Option<u32>) -> (f64, Duration) {
    let live: Vec<_> = targets(254).into_iter().step_by(4).take(60).collect();
    let scan = |seed| {
        let mut crowd = Crowd::new(live.iter().copied(), habits, seed);
        let mut free = Duration::ZERO;
        play(engine(254, Policy::default(), seed), |now, address| {
            let sent = Lan { bottleneck, ..WIRED }.pass(now, &mut free)?;
            Some(sent + crowd.answer(address)?)
        })
    };
    let traces: Vec<_> = (0..50).map(scan).collect();
    let found: usize = traces.iter().map(|trace| trace.found.len()).sum();
    let mut times: Vec<_> = traces.iter().map(|trace| trace.stats.elapsed).collect();
    times.sort_unstable();
    let share = f64::from(u32::try_from(found).unwrap()) / (50.0 * 60.0);
    (share, times[25])
}

#[test]
fn on_networks_that_lose_frames_or_are_narrow_all_are_found_in_three_fifths_of_arp_scans_time() {
    // 1 Mbit/s carries 2976 requests a second.
    for (habits, bottleneck) in
        [(Habits::WIFI, None), (Habits::MIXED, None), (Habits::WIRED, Some(2976))]
    {
        let (share, time) = fifty_scans(habits, bottleneck);
        assert!(share >= 0.999, "{share} of {habits:?} {bottleneck:?}");
        assert!(time.as_secs_f64() <= 0.6 * ARP_SCAN.as_secs_f64(), "{time:?} on {habits:?}");
    }
}

#[test]
fn a_refused_probe_is_sent_later_and_slower() {
    let mut engine = engine(10, Policy::default(), 1);
    let Step::Probe(first) = engine.poll(Duration::ZERO) else { panic!("nobody to ask") };
    engine.refused(Duration::ZERO);
    let Step::Wait(until) = engine.poll(Duration::ZERO) else { panic!("no wait") };
    assert!(until > Duration::ZERO);
    assert_eq!(engine.poll(until), Step::Probe(first));
    assert_eq!((engine.stats(until).refused, engine.stats(until).slowdowns), (1, 1));
}

#[test]
fn a_second_claimant_is_a_conflict_and_a_flood_of_them_is_bounded() {
    let mut engine = engine(10, Policy::default(), 1);
    let address = targets(10)[0];
    let heard =
        |n| Heard { address, mac: Some(Mac::new([2, 0, 0, 0, 0, n])), evidence: Evidence::Chatter };
    let up = Finding::Up { address, mac: heard(1).mac, rtt: None };
    assert_eq!(engine.heard(MS, heard(1)), Some(up));
    assert_eq!(engine.heard(MS, heard(1)), None);
    let macs = [heard(1).mac, heard(2).mac].into_iter().flatten().collect();
    assert_eq!(engine.heard(MS, heard(2)), Some(Finding::Conflict { address, macs }));
    let conflicts = (3..=250).filter_map(|n| engine.heard(MS, heard(n))).count();
    assert_eq!(conflicts, MOST_MACS - 2);
}

#[test]
fn who_is_heard_unasked_is_up_and_never_asked_and_a_stranger_is_nothing() {
    let mut engine = engine(10, Policy::default(), 1);
    let mac = Some(Mac::new([2, 0, 0, 0, 0, 1]));
    let heard = |address| Heard { address, mac, evidence: Evidence::Chatter };
    assert_eq!(engine.heard(MS, heard(Ipv4Addr::new(192, 0, 2, 1))), None);
    for address in targets(9) {
        assert!(engine.heard(MS, heard(address)).is_some());
    }
    let last = targets(10)[9];
    assert_eq!(engine.poll(MS), Step::Probe(last));
    assert_eq!(engine.silent().collect::<Vec<_>>(), [last]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gentle_never_sends_more_than_fourteen_in_any_second(
        seed: u64,
        loss in 0..=100_u64,
        slowest in 100..400_000_u64,
        targets in 1..300_u32,
        live_one_in in 1..300_u32,
    ) {
        let policy = Policy { pace: Pace::Gentle, ..Policy::default() };
        let trace = simulate(targets, Lan { live_one_in, loss, slowest, ..WIRED }, policy, seed);
        let times: Vec<_> = trace.probes.iter().map(|(at, _)| *at).collect();
        prop_assert!(most_in_a_second(times) <= 14);
    }

    #[test]
    fn gentle_never_makes_the_kernel_send_more_than_fourteen_in_any_second(
        seed: u64,
        slowest in 100..4_000_000_u64,
        targets in 1..300_u32,
        live_one_in in 1..300_u32,
    ) {
        let policy = Policy { pace: Pace::Gentle, ..Policy::default() };
        let tuning = Tuning::sweep(&policy, Medium::Wired, &(Duration::ZERO..=1200 * MS));
        let engine = Engine::new(self::targets(targets), tuning, seed);
        let lan = Lan { live_one_in, slowest, ..WIRED };
        let (mut random, mut free) = (Random::new(seed), Duration::ZERO);
        let trace = play(engine, |now, address| lan.answer(now, address, &mut free, &mut random));
        // The kernel asks three times, one second apart, of whoever stays silent.
        let repeats = trace.probes.iter().flat_map(|(at, _)| [0, 1000, 2000].map(|ms| *at + ms * MS));
        prop_assert!(most_in_a_second(repeats.collect()) <= 14);
    }

    #[test]
    fn every_target_is_asked_once_before_any_is_asked_again_and_in_an_order_of_the_seeds(
        seed: u64, loss in 0..60_u64, slowest in 100..40_000_u64,
    ) {
        let lan = Lan { loss, slowest, ..WIRED };
        let order = |seed| {
            let trace = simulate(200, lan, Policy::default(), seed);
            trace.probes.into_iter().map(|(_, address)| address).collect::<Vec<_>>()
        };
        let probes = order(seed);
        let first: BTreeSet<_> = probes[..200].iter().copied().collect();
        prop_assert_eq!(first, targets(200).into_iter().collect());
        prop_assert_eq!(&probes, &order(seed));
        prop_assert_ne!(&probes, &order(seed.wrapping_add(1)));
    }

    #[test]
    fn nobody_is_asked_more_often_than_allowed_and_it_always_ends(
        seed: u64, loss in 0..=100_u64, slowest in 100..2_000_000_u64, live_one_in in 1..10_u32,
    ) {
        let lan = Lan { loss, slowest, live_one_in, bottleneck: None };
        let trace = simulate(100, lan, Policy::default(), seed);
        for target in targets(100) {
            let tries = trace.probes.iter().filter(|(_, address)| *address == target).count();
            prop_assert!((1..=8).contains(&tries));
        }
        prop_assert!(trace.settled.is_some());
        prop_assert!(trace.stats.elapsed < Duration::from_secs(10));
    }
}

/// The most of these times that lie within one second.
fn most_in_a_second(mut times: Vec<Duration>) -> usize {
    times.sort_unstable();
    let within = |first: &Duration| {
        let end = *first + Duration::from_secs(1);
        times.iter().filter(|time| (*first..=end).contains(*time)).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

fn targets(count: u32) -> Vec<Ipv4Addr> {
    let first = Ipv4Addr::new(10, 77, 0, 1).to_bits();
    (first..first + count).map(Ipv4Addr::from_bits).collect()
}

fn live(count: u32, lan: Lan) -> BTreeSet<Ipv4Addr> {
    targets(count).into_iter().filter(|address| lan.is_live(*address)).collect()
}

fn engine(count: u32, policy: Policy, seed: u64) -> Engine {
    Engine::new(targets(count), Tuning::arp(&policy, Medium::Wired), seed)
}

/// Runs a scan of so many addresses to its end.
fn simulate(count: u32, lan: Lan, policy: Policy, seed: u64) -> Trace {
    let (mut random, mut free) = (Random::new(!seed), Duration::ZERO);
    play(engine(count, policy, seed), |now, address| {
        lan.answer(now, address, &mut free, &mut random)
    })
}

/// Runs an engine to its end on a network that says when the answer to a probe arrives, if it does.
fn play(
    mut engine: Engine,
    mut network: impl FnMut(Duration, Ipv4Addr) -> Option<Duration>,
) -> Trace {
    let mut trace = Trace::default();
    let mut on_the_way: BTreeSet<(Duration, Ipv4Addr)> = BTreeSet::new();
    let mut now = Duration::ZERO;
    loop {
        while let Some(&(at, address)) = on_the_way.first().filter(|(at, _)| *at <= now) {
            on_the_way.remove(&(at, address));
            let mac = Some(Mac::new([2, 0, 0, 0, 0, 1]));
            engine.heard(now, Heard { address, mac, evidence: Evidence::Answer });
            trace.found.insert(address);
        }
        match engine.poll(now) {
            Step::Probe(address) => {
                engine.sent(now, address);
                trace.probes.push((now, address));
                on_the_way.extend(network(now, address).map(|at| (at, address)));
            }
            Step::Wait(until) => {
                assert!(until > now, "it waits for the past");
                now = on_the_way.first().map_or(until, |(at, _)| until.min(*at));
            }
            Step::Settled => trace.settled = Some(now),
            Step::Done => break,
        }
    }
    trace.stats = engine.stats(now);
    trace
}

impl Lan {
    fn is_live(self, address: Ipv4Addr) -> bool {
        address.to_bits().is_multiple_of(self.live_one_in)
    }

    /// When a probe is past the bottleneck, if its queue has room.
    fn pass(self, now: Duration, bottleneck_free: &mut Duration) -> Option<Duration> {
        let Some(rate) = self.bottleneck else { return Some(now) };
        let each = Duration::from_secs(1) / rate;
        let sent = now.max(*bottleneck_free) + each;
        if sent > now + 64 * each {
            return None;
        }
        *bottleneck_free = sent;
        Some(sent)
    }

    /// When the answer to a probe arrives, if it does.
    fn answer(
        self,
        now: Duration,
        address: Ipv4Addr,
        bottleneck_free: &mut Duration,
        random: &mut Random,
    ) -> Option<Duration> {
        let sent = self.pass(now, bottleneck_free)?;
        // A machine always takes the same time, as its distance and its sleep are its own.
        let own = Random::new(u64::from(address.to_bits())).below(self.slowest);
        let is_lost = random.below(100) < self.loss;
        (self.is_live(address) && !is_lost).then(|| sent + Duration::from_micros(50 + own))
    }
}
