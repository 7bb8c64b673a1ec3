//! Places that are held for a while, of which nobody may have too many.

use super::party::{Party, Share};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What happens when somebody comes for whom there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// The oldest of those who stand in the way loses its place.
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
            let stands_in_the_way = |other: &Held| bound.counts(&who, &other.who);
            let oldest = places.held.iter().find(|(_, other)| stands_in_the_way(other));
            let gives_way = self.when_full == WhenFull::OldestGivesWay;
            let oldest = oldest.map(|(&id, _)| id).filter(|_| gives_way)?;
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
