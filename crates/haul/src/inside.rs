//! How many connections each address has, so that none keeps the others out.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The connections that are open, by the address at their other end.
#[derive(Debug)]
pub(crate) struct Inside {
    most_of_one: usize,
    counts: BTreeMap<IpAddr, usize>,
}

impl Inside {
    /// Nobody, with room for so many of each address.
    pub(crate) const fn with_room_for(most_of_one: usize) -> Self {
        Self { most_of_one, counts: BTreeMap::new() }
    }

    /// Counts one more connection from this address; whether there is room for it.
    pub(crate) fn enter(&mut self, from: IpAddr) -> bool {
        let count = self.counts.entry(from).or_default();
        let room = *count < self.most_of_one;
        *count += usize::from(room);
        room
    }

    /// One that had entered is gone.
    pub(crate) fn leave(&mut self, from: IpAddr) {
        if let Some(count) = self.counts.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 16;

    #[test]
    fn one_address_cannot_take_all_the_room_and_who_is_gone_is_forgotten() {
        let mut inside = Inside::with_room_for(ROOM);
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        assert_eq!((0..1000).filter(|_| inside.enter(one)).count(), ROOM);
        assert!(inside.enter(other));
        inside.leave(one);
        assert!(inside.enter(one) && !inside.enter(one));
        (0..ROOM).for_each(|_| inside.leave(one));
        inside.leave(other);
        assert!(inside.counts.is_empty());
    }
}
