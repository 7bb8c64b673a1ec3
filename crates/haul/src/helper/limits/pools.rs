//! The places that calls have until a leader is helped: of their own for each stage, so that who
//! holds up one keeps nobody from the others.

use crate::limits::party::{Party, Share};
use crate::limits::pool::{Place, Pool, WhenFull};
use std::sync::Arc;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A leader that asked is connected to: on the own network for a second at the most, so that
    /// this is room for 128 asks a second from addresses where nobody is.
    Dialling,
    /// A connection on which nobody has offered anything yet. An honest leader does so within
    /// milliseconds, and whoever takes longer makes room for others.
    Greeting,
    /// An offer that is decided upon: at once, or by a person within 45 s.
    Deciding,
}

impl Stage {
    const fn share(self) -> Share {
        match self {
            Self::Dialling => Share { key: 2, address: 2, network: 96, all: 128 },
            Self::Greeting => Share { key: 4, address: 4, network: 48, all: 64 },
            Self::Deciding => Share { key: 2, address: 4, network: 24, all: 32 },
        }
    }

    const fn when_full(self) -> WhenFull {
        match self {
            Self::Dialling | Self::Greeting => WhenFull::OldestGivesWay,
            Self::Deciding => WhenFull::NobodyEnters,
        }
    }
}

/// The places of all stages.
#[derive(Debug)]
pub(crate) struct Pools([Arc<Pool>; 3]);

impl Default for Pools {
    fn default() -> Self {
        let pool = |stage: Stage| Pool::new(stage.share(), stage.when_full());
        Self([Stage::Dialling, Stage::Greeting, Stage::Deciding].map(pool))
    }
}

impl Pools {
    /// A place in a stage, if there is one for this party. Strangers take none from who is
    /// trusted.
    pub(crate) fn enter(&self, stage: Stage, who: Party) -> Option<Place> {
        self.0[stage as usize].enter(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::party::tests::party;
    use std::future::{pending, ready};

    const STAGES: [Stage; 3] = [Stage::Dialling, Stage::Greeting, Stage::Deciding];

    fn at(address: [u8; 4]) -> Party {
        Party::at(address.into())
    }

    /// Whether the place is another's by now.
    async fn is_lost(place: &Place) -> bool {
        tokio::select! {
            biased;
            held = place.hold(pending::<()>()) => held.is_none(),
            () = ready(()) => false,
        }
    }

    async fn lost(places: &[Place]) -> Vec<usize> {
        let mut lost = Vec::new();
        for (nth, place) in places.iter().enumerate() {
            if is_lost(place).await {
                lost.push(nth);
            }
        }
        lost
    }

    #[tokio::test]
    async fn pools_keep_stages_apart() {
        let pools = Pools::default();
        let address = |n: u8| at([10, 0, n % 4, n]);
        let silent: Vec<_> = (0..200).map(|n| pools.enter(Stage::Dialling, address(n))).collect();
        assert!(silent.iter().all(Option::is_some));
        for n in 0..24 {
            assert!(pools.enter(Stage::Greeting, at([10, 0, 9, n])).is_some());
            assert!(pools.enter(Stage::Deciding, at([10, 0, 9, n])).is_some());
        }
    }

    #[tokio::test]
    async fn pools_take_the_place_of_who_greets_longest_of_an_address_that_holds_most() {
        let pools = Pools::default();
        let greet = |address| pools.enter(Stage::Greeting, at(address)).unwrap();
        let honest = greet([10, 0, 0, 1]);
        let hostile: Vec<_> = (0..6).map(|_| greet([10, 0, 0, 2])).collect();
        assert_eq!(lost(&hostile).await, [0, 1], "four of one address");
        let many: Vec<_> = (10..56).map(|last| greet([10, 0, 0, last])).collect();
        assert_eq!(lost(&hostile).await, [2, 3, 4], "one who holds many comes first");
        assert!(!is_lost(&honest).await);
        let near: Vec<_> = (100..148).map(|last| greet([10, 0, 0, last])).collect();
        assert!(is_lost(&honest).await, "it has not greeted for longest");
        assert_eq!(lost(&many).await.len(), many.len(), "48 of one network");
        let far = greet([10, 0, 1, 1]);
        assert_eq!((lost(&near).await, is_lost(&far).await), (vec![], false));
    }

    #[tokio::test]
    async fn pools_dial_an_honest_leader_at_once_under_a_flood_of_forged_asks() {
        let pools = Pools::default();
        let flood = |n: u16| at([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
        let forged: Vec<_> =
            (0..1000).map(|n| pools.enter(Stage::Dialling, flood(n)).unwrap()).collect();
        let honest = pools.enter(Stage::Dialling, at([10, 9, 0, 1])).unwrap();
        assert!(!is_lost(&honest).await);
        assert_eq!(forged.len() - lost(&forged).await.len(), 127);
    }

    #[tokio::test]
    async fn pools_let_nobody_whose_offer_is_decided_upon_lose_its_place() {
        let pools = Pools::default();
        let decide = |key, address| pools.enter(Stage::Deciding, party(key, address));
        let first = [decide(1, [10, 0, 0, 1]), decide(1, [10, 0, 0, 2])].map(Option::unwrap);
        assert!(decide(1, [10, 0, 0, 3]).is_none(), "by key");
        let more: Vec<_> = (10..14).filter_map(|key| decide(key, [10, 0, 0, 9])).collect();
        assert!(more.len() == 4 && decide(14, [10, 0, 0, 9]).is_none(), "by address");
        let near: Vec<_> = (20..99).filter_map(|n| decide(n.into(), [10, 0, 0, n])).collect();
        assert_eq!(near.len(), 24 - 6, "by network");
        let known = Party { is_trusted: true, ..party(200, [10, 0, 0, 9]) };
        assert!(pools.enter(Stage::Deciding, known).is_some(), "a place is kept for who is known");
        assert_eq!(lost(&first).await, [0; 0]);
    }

    #[tokio::test]
    async fn pools_have_room_again_when_a_place_is_dropped() {
        let pools = Pools::default();
        for stage in STAGES {
            for n in 0..1000u32 {
                assert!(pools.enter(stage, party(n, [10, 0, 0, 1])).is_some(), "{stage:?}");
            }
        }
    }
}
