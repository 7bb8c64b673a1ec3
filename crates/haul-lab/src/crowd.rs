//! Machines that exist only as their answers to ARP.
//!
//! A [`Crowd`] says when each of its machines would answer a request, and which frames get lost:
//! that is all that a scan in virtual time needs. A [`Responder`] answers real requests from the end
//! of a cable in a namespace, and keeps a record of what it was asked.

mod responder;

pub use responder::{Asked, Responder};

use crate::sim::Chance;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

const MICROSECOND: Duration = Duration::from_micros(1);

/// How the machines of a crowd and the network between behave. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// How many are on Wi-Fi: the others answer every request within 0.3 ms.
    pub wireless: f64,
    /// How many of those on Wi-Fi sleep: they answer when they next wake, 20 to 320 ms later, the
    /// others within 8 ms.
    pub sleepers: f64,
    /// How many requests to machines on Wi-Fi get lost: nobody acknowledges a broadcast (RFC 9119).
    pub lost_requests: f64,
    /// How many of their answers get lost.
    pub lost_answers: f64,
}

impl Habits {
    /// All on a cable.
    pub const WIRED: Self =
        Self { wireless: 0.0, sleepers: 0.0, lost_requests: 0.0, lost_answers: 0.0 };
    /// All on Wi-Fi that loses a tenth of the broadcasts.
    pub const WIFI: Self =
        Self { wireless: 1.0, sleepers: 0.3, lost_requests: 0.1, lost_answers: 0.02 };
    /// Half on Wi-Fi that loses a twentieth.
    pub const MIXED: Self =
        Self { wireless: 0.5, sleepers: 0.3, lost_requests: 0.05, lost_answers: 0.01 };
}

/// Machines, each with an address.
#[derive(Clone, Debug)]
pub struct Crowd {
    machines: BTreeMap<Ipv4Addr, Machine>,
    habits: Habits,
    chance: Chance,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Wired,
    Awake,
    Asleep,
}

impl Crowd {
    /// A machine at each of these addresses; the seed decides what happens to them.
    pub fn new(live: impl IntoIterator<Item = Ipv4Addr>, habits: Habits, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 0);
        let machines =
            live.into_iter().map(|address| (address, Machine::by(&mut chance, habits))).collect();
        Self { machines, habits, chance }
    }

    /// How long after a request for `address` its answer comes, if neither is lost.
    pub fn answer(&mut self, address: Ipv4Addr) -> Option<Duration> {
        let machine = *self.machines.get(&address)?;
        let (chance, habits) = (&mut self.chance, self.habits);
        let (least, most) = match machine {
            Machine::Wired => return Some(chance.time(50 * MICROSECOND, 300 * MICROSECOND)),
            Machine::Awake => (1_000 * MICROSECOND, 8_000 * MICROSECOND),
            Machine::Asleep => (20_000 * MICROSECOND, 320_000 * MICROSECOND),
        };
        let is_lost = happens(chance, habits.lost_requests) | happens(chance, habits.lost_answers);
        let after = chance.time(least, most);
        (!is_lost).then_some(after)
    }

    /// The addresses.
    pub fn live(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.machines.keys().copied()
    }
}

impl Machine {
    fn by(chance: &mut Chance, habits: Habits) -> Self {
        match (happens(chance, habits.wireless), happens(chance, habits.sleepers)) {
            (false, _) => Self::Wired,
            (true, false) => Self::Awake,
            (true, true) => Self::Asleep,
        }
    }
}

fn happens(chance: &mut Chance, share: f64) -> bool {
    chance.between(0.0, 1.0) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> impl Iterator<Item = Ipv4Addr> {
        (0..100).map(|n| Ipv4Addr::new(10, 77, 0, n))
    }

    #[test]
    fn on_a_cable_everybody_answers_at_once_and_nobody_else_does() {
        let mut crowd = Crowd::new(live(), Habits::WIRED, 1);
        assert!(live().all(|address| crowd.answer(address) < Some(Duration::from_millis(1))));
        assert!(live().all(|address| crowd.answer(address).is_some()));
        assert_eq!(crowd.answer(Ipv4Addr::new(10, 77, 1, 1)), None);
        assert_eq!(crowd.live().count(), 100);
    }

    #[test]
    fn on_wifi_a_tenth_is_lost_and_some_sleep() {
        let mut crowd = Crowd::new(live(), Habits::WIFI, 1);
        let all: Vec<_> = (0..10).flat_map(|_| live()).collect();
        let answers: Vec<_> = all.iter().filter_map(|address| crowd.answer(*address)).collect();
        assert!((840..920).contains(&answers.len()), "{}", answers.len());
        let late = answers.iter().filter(|after| **after > Duration::from_millis(20)).count();
        assert!((150..400).contains(&late), "{late}");
    }
}
