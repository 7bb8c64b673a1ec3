//! Many leaders at the same time, each with a planner of its own, that share a pool of helpers.
//!
//! In steps of 20 ms, a helper's link is shared equally by the leaders that it serves and that
//! have a request under way there; who uses less of its share leaves it to the others. A request
//! costs a round trip, a new connection two. A leader asks every helper when it comes, and is
//! heard within a second. A helper serves `at-once` leaders; it remembers whom it refused, and
//! dials one of them within a second of a place being free. It has eight lanes, divided evenly
//! among its leaders, and what is left over goes to those who came first; leaders who share one
//! use all the lanes that it gives them.
//!
//! Where `yields` is set, a full helper that remembers somebody says so to the one of its leaders
//! that has most help, with the help that the one who waits has; the leader goes if it keeps more
//! without this helper than the other has with it. Leaders know nothing else of each other.
//! Nothing in the product yields: what is promised of it is promised without.
//!
//! Not modelled: slow start, loss, the LAN's rate, faults.

mod leader;
mod plan;
mod pool;
mod puller;
mod tally;

pub use plan::{Hostel, Promises};
pub use tally::Outcome;

use super::chance::Chance;
use leader::Leader;
use pool::Pool;
use std::time::Duration;
use tally::Tally;

/// How long rates count as constant.
const STEP: Duration = Duration::from_millis(20);

/// A hostel that takes longer will not end.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Plays a hostel until every leader has its file; the same seed gives the same outcome.
pub fn host(hostel: &Hostel, seed: u64) -> Outcome {
    let mut chance = Chance::new(seed, 0);
    let mut leaders: Vec<Leader> =
        (0..hostel.leaders.count).map(|_| Leader::draw(&hostel.leaders, &mut chance)).collect();
    let mut pool = Pool::draw(hostel, &mut chance);
    let mut tally = Tally::default();
    let mut now = Duration::ZERO;
    while now < PATIENCE && leaders.iter().any(|leader| leader.took.is_none()) {
        let coming = leaders.iter_mut().enumerate().filter(|(_, leader)| leader.comes_at(now));
        for (number, leader) in coming {
            leader.begin(now);
            pool.hear_of(now, number);
        }
        pool.decide(now, &mut leaders);
        tally.count(now, &mut leaders, &pool);
        pool.flow(now, &mut leaders);
        for (number, leader) in leaders.iter_mut().enumerate() {
            if leader.step(now) {
                pool.lose(now, number);
            }
        }
        pool.tell_lanes(now, &mut leaders);
        now += STEP;
    }
    tally.outcome(&leaders)
}
