//! When everybody is asked, and when a machine whose address is known is asked and dialled.

use haul_link::REPEATS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// When everybody is asked, counted from the beginning: at once, and again for machines that were
/// switched on, woke up or missed it.
const ROUNDS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// How often after that.
const EVERY: Duration = Duration::from_secs(30);

/// How long a machine may take to answer before it is dialled: something on the way may let
/// connections through in one direction only.
const SILENCE: Duration = Duration::from_secs(1);

/// How long after it was first asked whoever hears what everybody is asked has answered: after the
/// last repeat, and the time over which answers are spread.
const HEARD: Duration = Duration::from_millis(150);

/// When the network is scanned, if it is and too few have answered by then: after the second round.
const SCAN: Duration = Duration::from_millis(1100);

/// How often the machine's interfaces are looked at.
const LOOK: Duration = Duration::from_secs(3);

/// How often a helper is asked again that was lost, at first and then, and for how long: it may
/// only have been started anew, or plugged in somewhere else.
const LOST_EVERY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];
const LOST_SOON: Duration = Duration::from_secs(60);
const LOST_FOR: Duration = Duration::from_secs(1800);

/// How often one that said it could not help yet: it calls back by itself when it can, unless it
/// was started anew meanwhile.
const WAITING_EVERY: Duration = Duration::from_secs(2);

/// Whoever took part for so long before it was lost is asked again as if it had never been lost.
const LASTING: Duration = Duration::from_secs(30);

/// How often in a row a machine may answer in vain before it is left alone for longer each time.
const TRUSTED: u32 = 4;

/// How many machines are asked again in this way: as many as may be at work.
const ASKED_AGAIN: usize = 1024;

/// How soon one of them is asked after another: 64 in half a second.
const APART: Duration = Duration::from_micros(500_000 / 64);

/// How many machines are sought at most, so that a list without end does no harm.
const MOST: usize = 4096;

/// How the address of a machine came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The user named it.
    Named,
    /// It helped in a former job.
    Former,
    /// It is on the user's roster.
    Roster,
    /// A domain's SRV records name it.
    Srv,
    /// It announces itself by DNS-SD.
    #[cfg_attr(not(any(test, feature = "dns-sd")), expect(dead_code, reason = "nobody hears it"))]
    Announced,
    /// A scan found it, in this way. Most of what a scan finds is no helper, so it is bothered once.
    #[cfg_attr(not(feature = "scan"), expect(dead_code, reason = "there is no scan"))]
    Scan(&'static str),
}

/// How long a machine is left alone at the least that has answered so often in vain.
fn tired(in_vain: u32) -> Duration {
    let doubled = LOST_EVERY[0] * 2_u32.pow(in_vain.saturating_sub(TRUSTED).min(7));
    if in_vain > TRUSTED { doubled } else { Duration::ZERO }
}

impl Again {
    /// How long until the next time, so long after the first.
    const fn pause(self, after: Duration) -> Duration {
        match self {
            Self::Lost if after.as_secs() < LOST_SOON.as_secs() => LOST_EVERY[0],
            Self::Lost => LOST_EVERY[1],
            Self::Waiting => WAITING_EVERY,
        }
    }
}

impl How {
    /// As events say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Former => "former",
            Self::Roster => "roster",
            Self::Srv => "srv",
            Self::Announced => "dns-sd",
            Self::Scan(how) => how,
        }
    }
}

/// Why a machine that was talked to is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The session with it broke, or it was ended there.
    Lost,
    /// It cannot help yet.
    Waiting,
}

/// A machine that is asked again until it answers.
#[derive(Clone, Copy, Debug)]
struct Asked {
    why: Again,
    since: Duration,
    next: Duration,
    /// How often in a row it answered and was soon lost again, or could still not help.
    in_vain: u32,
}

/// Something to do. What is due at the same time is done in this order: machines whose address is
/// known are asked before everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// Find out whether the machine has other interfaces now.
    Look,
    /// Ask this machine.
    Ask(SocketAddr),
    /// Ask everybody, for the so-manyth time in this round.
    AskAll { repeat: usize },
    /// Connect to this machine, as it has not answered.
    Dial(SocketAddr),
    /// Look for machines by address, if few have answered.
    Scan,
}

/// What is to be done and when. Time is an argument: since the job began to ask.
pub(crate) struct Agenda {
    everybody: bool,
    due: BTreeSet<(Duration, Deed)>,
    sought: BTreeMap<SocketAddr, How>,
    again: BTreeMap<SocketAddr, Asked>,
    /// When the next one of these may be asked.
    next_again: Duration,
    round: u32,
    next_round: Duration,
    /// When whoever hears what everybody is asked has answered.
    heard: Duration,
}

impl Agenda {
    /// Begins at once: asks `everybody`, or only machines that are sought.
    pub(crate) fn new(everybody: bool) -> Self {
        let mut due = BTreeSet::new();
        if everybody {
            due.extend([(LOOK, Deed::Look), (SCAN, Deed::Scan)]);
        }
        let (sought, again) = (BTreeMap::new(), BTreeMap::new());
        let (next_round, heard) = (Duration::ZERO, Duration::ZERO);
        let next_again = Duration::ZERO;
        Self { everybody, due, sought, again, next_again, round: 0, next_round, heard }
    }

    /// Has a machine asked now and at the repeats, and dialled if it does not answer. Says whether
    /// it is a new one. Whoever announces itself is near, and is given the time to answer what
    /// everybody is asked.
    pub(crate) fn seek(&mut self, now: Duration, machine: SocketAddr, how: How) -> bool {
        let is_new = !self.sought.contains_key(&machine) && self.sought.len() < MOST;
        if is_new {
            self.sought.insert(machine, how);
            let is_near = matches!(how, How::Announced);
            self.ask(if is_near { now.max(self.heard) } else { now }, machine);
            self.due.insert((now + SILENCE, Deed::Dial(machine)));
        }
        is_new
    }

    /// Has a machine that was talked to asked again and again, until it answers.
    pub(crate) fn ask_again(&mut self, now: Duration, machine: SocketAddr, why: Again) {
        if self.again.len() < ASKED_AGAIN || self.again.contains_key(&machine) {
            let before = self.again.get(&machine);
            let soon = |asked: &&Asked| {
                now.saturating_sub(asked.since) < LASTING + 2 * tired(asked.in_vain)
            };
            let again_soon = before.filter(soon);
            let in_vain = again_soon.map_or(0, |asked| asked.in_vain + 1);
            let next = now + why.pause(Duration::ZERO).max(tired(in_vain));
            self.again.insert(machine, Asked { why, since: now, next, in_vain });
        }
    }

    /// Has everybody asked anew, on interfaces that were not there before.
    pub(crate) fn ask_all(&mut self, now: Duration) {
        self.heard = now + HEARD;
        let repeats = REPEATS.into_iter().enumerate();
        self.due.extend(repeats.map(|(repeat, after)| (now + after, Deed::AskAll { repeat })));
    }

    /// What is to be done next, if it is time; machines that `has_answered` are left alone.
    pub(crate) fn next(
        &mut self,
        now: Duration,
        has_answered: impl Fn(IpAddr) -> bool,
    ) -> Option<Deed> {
        if self.next_round <= now {
            self.begin_round();
        }
        self.again.retain(|_, asked| now.saturating_sub(asked.since) < LOST_FOR);
        self.plan_again(now, &has_answered);
        while let Some(&(at, deed)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            match deed {
                Deed::Ask(machine) | Deed::Dial(machine) if has_answered(machine.ip()) => continue,
                Deed::Look => drop(self.due.insert((at + LOOK, deed))),
                _ => {}
            }
            return Some(deed);
        }
        None
    }

    /// When there is something to do next.
    pub(crate) fn next_at(&self) -> Duration {
        let due = self.due.first().map_or(Duration::MAX, |(at, _)| *at);
        let again = self.again.values().map(|asked| asked.next).min().unwrap_or(Duration::MAX);
        due.min(self.next_round).min(again.max(self.next_again))
    }

    /// How a machine came to be known.
    pub(crate) fn how(&self, machine: SocketAddr) -> Option<How> {
        self.sought.get(&machine).copied()
    }

    /// Asks and dials one whose time has come, the one that waits longest, unless another was asked
    /// just before.
    fn plan_again(&mut self, now: Duration, has_answered: &impl Fn(IpAddr) -> bool) {
        for (machine, asked) in self.again.iter_mut().filter(|(_, asked)| asked.next <= now) {
            if has_answered(machine.ip()) {
                asked.next = now + LASTING;
            }
        }
        let due = self.again.iter_mut().filter(|(_, asked)| asked.next <= now);
        let longest = due.min_by_key(|(_, asked)| asked.next);
        let Some((&machine, asked)) = longest.filter(|_| self.next_again <= now) else { return };
        self.next_again = now + APART;
        let pause = asked.why.pause(now.saturating_sub(asked.since));
        asked.next = now + pause.max(tired(asked.in_vain));
        self.due.insert((now, Deed::Ask(machine)));
        if asked.why == Again::Lost {
            self.due.insert((now, Deed::Dial(machine)));
        }
    }

    fn begin_round(&mut self) {
        let at = self.next_round;
        self.round += 1;
        let rounds = ROUNDS.get(self.round as usize).copied();
        self.next_round = rounds.unwrap_or(at + EVERY);
        if self.everybody {
            self.ask_all(at);
        }
        // Whoever was sought at the beginning is dialled for the first time when the second round
        // begins.
        let dials = self.round > 2;
        for machine in self.lasting() {
            self.ask(at, machine);
            if dials {
                self.due.insert((at + SILENCE, Deed::Dial(machine)));
            }
        }
    }

    fn ask(&mut self, now: Duration, machine: SocketAddr) {
        self.due.extend(REPEATS.map(|after| (now + after, Deed::Ask(machine))));
    }

    /// Machines that are worth being asked again.
    fn lasting(&self) -> Vec<SocketAddr> {
        let lasts = |how: &How| !matches!(how, How::Scan(_));
        let lasting = self.sought.iter().filter(|(_, how)| lasts(how));
        lasting.map(|(machine, _)| *machine).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn machine(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 4285))
    }

    /// All that is done until `end`, and when, in milliseconds.
    fn until(agenda: &mut Agenda, end: u32, answered: &[u8]) -> Vec<(u128, Deed)> {
        let has_answered =
            |address: IpAddr| answered.iter().any(|last| machine(*last).ip() == address);
        let mut done = Vec::new();
        while agenda.next_at() <= MS * end {
            let now = agenda.next_at();
            while let Some(deed) = agenda.next(now, has_answered) {
                done.push((now.as_millis(), deed));
            }
        }
        done
    }

    fn times(done: &[(u128, Deed)], is: impl Fn(&Deed) -> bool) -> Vec<u128> {
        done.iter().filter(|(_, deed)| is(deed)).map(|(at, _)| *at).collect()
    }

    #[test]
    fn everybody_is_asked_five_times_in_a_tenth_of_a_second_and_then_from_time_to_time() {
        let done = until(&mut Agenda::new(true), 75_000, &[]);
        let asks = times(&done, |deed| matches!(deed, Deed::AskAll { .. }));
        assert_eq!(asks[..5], [0, 10, 30, 60, 100]);
        let first = times(&done, |deed| *deed == Deed::AskAll { repeat: 0 });
        assert_eq!(first, [0, 1000, 3000, 10_000, 40_000, 70_000]);
        assert_eq!(asks.len(), 5 * first.len());
        assert_eq!(times(&done, |deed| *deed == Deed::Scan), [1100]);
    }

    #[test]
    fn a_machine_that_is_known_is_asked_before_everybody_and_dialled_after_a_second() {
        let mut agenda = Agenda::new(true);
        assert!(agenda.seek(Duration::ZERO, machine(1), How::Former));
        assert!(!agenda.seek(Duration::ZERO, machine(1), How::Named), "once is enough");
        let done = until(&mut agenda, 12_000, &[]);
        assert_eq!(done[0].1, Deed::Ask(machine(1)));
        assert_eq!(times(&done, |deed| *deed == Deed::Dial(machine(1))), [1000, 4000, 11_000]);
        assert_eq!(agenda.how(machine(1)), Some(How::Former));
    }

    #[test]
    fn whoever_announces_itself_is_asked_by_address_once_it_had_time_to_answer_everybodys_ask() {
        let mut agenda = Agenda::new(true);
        until(&mut agenda, 20, &[]);
        for (last, at) in [(1, 20), (2, 500)] {
            agenda.seek(MS * at, machine(last), How::Announced);
        }
        let done = until(&mut agenda, 900, &[]);
        let asked = |last| times(&done, |deed| *deed == Deed::Ask(machine(last)));
        assert_eq!((asked(1)[0], asked(2)[0]), (150, 500));
    }

    #[test]
    fn whoever_has_answered_is_neither_asked_nor_dialled_again() {
        let mut agenda = Agenda::new(false);
        agenda.seek(Duration::ZERO, machine(1), How::Named);
        agenda.seek(Duration::ZERO, machine(2), How::Named);
        let done = until(&mut agenda, 100_000, &[1]);
        assert!(
            done.iter()
                .all(|(_, deed)| [Deed::Ask(machine(2)), Deed::Dial(machine(2))].contains(deed))
        );
        assert!(done.len() > 20);
    }

    #[test]
    fn machine_that_answers_and_is_lost_again_and_again_is_left_alone_for_longer() {
        let mut agenda = Agenda::new(false);
        let mut asks = 0;
        for tick in 0..6000 {
            let now = 100 * MS * tick;
            while let Some(deed) = agenda.next(now, |_| false) {
                asks += usize::from(deed == Deed::Ask(machine(1)));
                agenda.ask_again(now, machine(1), Again::Lost);
            }
            if tick == 0 {
                agenda.ask_again(now, machine(1), Again::Lost);
            }
        }
        assert!((8..60).contains(&asks), "{asks} asks in ten minutes");
    }

    #[test]
    fn what_a_scan_found_is_bothered_once() {
        let mut agenda = Agenda::new(false);
        agenda.seek(MS * 1200, machine(7), How::Scan("arp"));
        let done = until(&mut agenda, 100_000, &[]);
        assert_eq!(times(&done, |deed| matches!(deed, Deed::Dial(_))), [2200]);
        let asks = times(&done, |deed| matches!(deed, Deed::Ask(_)));
        assert_eq!(asks, [1200, 1210, 1230, 1260, 1300]);
    }

    #[test]
    fn helpers_that_are_lost_at_once_are_asked_again_all_of_them_64_in_half_a_second() {
        let mut agenda = Agenda::new(false);
        let lost =
            |n: u16| SocketAddr::from(([10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]], 4285));
        for n in 0..2000 {
            agenda.ask_again(Duration::ZERO, lost(n), Again::Lost);
        }
        let done = until(&mut agenda, 20_000, &[]);
        let asked: BTreeSet<_> = done.iter().map(|(_, deed)| *deed).collect();
        assert_eq!(asked.len(), 2 * ASKED_AGAIN);
        let asks = times(&done, |deed| matches!(deed, Deed::Ask(_)));
        assert!(asks.windows(66).all(|asks| asks[65] - asks[0] >= 500));
        assert!(asks.len() > 2000, "{}", asks.len());
    }

    #[test]
    fn a_helper_that_is_lost_is_asked_and_dialled_twice_a_second() {
        let mut agenda = Agenda::new(false);
        agenda.ask_again(Duration::ZERO, machine(1), Again::Lost);
        agenda.ask_again(Duration::ZERO, machine(2), Again::Waiting);
        let done = until(&mut agenda, 2100, &[]);
        for deed in [Deed::Ask(machine(1)), Deed::Dial(machine(1))] {
            assert_eq!(times(&done, |it| *it == deed), [500, 1000, 1500, 2000]);
        }
        assert_eq!(times(&done, |deed| *deed == Deed::Ask(machine(2))), [2007]);
    }

    #[test]
    fn without_anybody_to_ask_nothing_is_done() {
        assert_eq!(until(&mut Agenda::new(false), 100_000, &[]), []);
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut agenda = Agenda::new(false);
        let all = (0..10_000_u32).map(|n| SocketAddr::from((n.to_be_bytes(), 4285)));
        let taken = all.filter(|machine| agenda.seek(Duration::ZERO, *machine, How::Named));
        assert_eq!(taken.count(), MOST);
    }
}
