//! Places that are held for a while, of which nobody may have too many.

use super::party::{Party, Share};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What happens when somebody comes for whom there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// The oldest of those who stand in the way loses its place: of an address that holds most.
    OldestGivesWay,
    /// Whoever comes is turned away.
    NobodyEnters,
}

/// Places of one kind.
#[derive(Debug)]
pub(crate) struct Pool {
    share: Share,
    when_full: WhenFull,
    places: Mutex<Places>,
}

/// The places that are held, by when they were taken.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    who: Party,
    /// Told when the place is another's.
    lost: Arc<Notify>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pool: Arc<Pool>,
    id: u64,
    lost: Arc<Notify>,
}

impl Pool {
    /// An empty one, of which nobody may hold more than their share.
    pub(crate) fn new(share: Share, when_full: WhenFull) -> Arc<Self> {
        Arc::new(Self { share, when_full, places: Mutex::default() })
    }

    /// A place, if there is one for this party. Strangers take none from who is trusted.
    pub(crate) fn enter(self: &Arc<Self>, who: Party) -> Option<Place> {
        let lost = Arc::new(Notify::new());
        let mut places = self.places();
        while let Err(bound) = self.share.room(&who, &places.held.values().map(|held| &held.who)) {
            if self.when_full == WhenFull::NobodyEnters {
                return None;
            }
            let oldest = places.oldest_of_most(|other| bound.counts(&who, other))?;
            places.held.remove(&oldest)?.lost.notify_one();
        }
        let id = places.next;
        places.next += 1;
        places.held.insert(id, Held { who, lost: Arc::clone(&lost) });
        drop(places);
        Some(Place { pool: Arc::clone(self), id, lost })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Among those that stand in the way, the oldest of an address that holds most, so that one
    /// who holds a single place keeps it beside those who take many.
    fn oldest_of_most(&self, stands_in_the_way: impl Fn(&Party) -> bool) -> Option<u64> {
        let in_the_way = || self.held.iter().filter(|(_, held)| stands_in_the_way(&held.who));
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        for (_, held) in in_the_way() {
            *counts.entry(held.who.address).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        in_the_way().find(|(_, held)| counts[&held.who.address] == most).map(|(&id, _)| id)
    }
}

impl Place {
    /// What comes of `work`; none if the place is another's before it is done.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.lost.notified() => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.places().held.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    const SHARE: Share = Share { key: 8, address: 4, network: 8, all: 8 };

    fn at(last: u8) -> Party {
        Party::at([10, 0, 0, last].into())
    }

    async fn is_lost(place: &Place) -> bool {
        tokio::select! {
            biased;
            held = place.hold(pending::<()>()) => held.is_none(),
            () = ready(()) => false,
        }
    }

    #[tokio::test]
    async fn pool_takes_places_from_an_address_that_holds_many_before_one_that_holds_one() {
        let pool = Pool::new(SHARE, WhenFull::OldestGivesWay);
        let honest = pool.enter(at(1)).unwrap();
        let mut crowd = Vec::new();
        for last in [2, 3].repeat(50) {
            crowd.push(pool.enter(at(last)).unwrap());
        }
        assert!(!is_lost(&honest).await);
        let late = pool.enter(at(4)).unwrap();
        assert!(!is_lost(&honest).await && !is_lost(&late).await);
    }

    #[tokio::test]
    async fn pool_turns_away_whoever_comes_where_nobody_gives_way() {
        let pool = Pool::new(SHARE, WhenFull::NobodyEnters);
        let held: Vec<_> = (0..20).filter_map(|last| pool.enter(at(last))).collect();
        assert_eq!(held.len(), 8);
        drop(held);
        assert!(pool.enter(at(1)).is_some());
    }
}
