//! Somebody in the middle, who is a helper to the leader and a leader to the helper, and wants both
//! to show the same code.

use super::{Code, Me, Talk, answer_to, code, commitment, greet};
use crate::session::Session;
use crate::{Identity, LinkError, PeerId, Secured, accept, dial, random};
use haul_wire::{Frame, HelperHello, LeaderHello};
use tokio::net::TcpListener;

/// How often an attacker tries who has one guess at each.
const TRIES: u32 = 10_000;

#[tokio::test]
async fn without_the_commitment_a_ground_nonce_makes_both_codes_equal() {
    let stage = Stage::set().await;
    let (shown, helper) = stage.attack(|_, _| true, u32::MAX).await;
    assert_eq!(helper.unwrap(), shown, "the attack works where nothing holds it off");
}

#[tokio::test]
async fn with_the_commitment_a_ground_nonce_is_noticed() {
    let stage = Stage::set().await;
    let (_, helper) = stage.attack(|commit, kept| commit == kept, u32::MAX).await;
    assert!(matches!(helper, Err(LinkError::Commitment)), "{helper:?}");
}

/// With a chance of one in a million at each try, one success in ten thousand is no disproof, but
/// two are: they happen by chance once in twenty thousand runs.
#[tokio::test]
async fn with_the_commitment_ten_thousand_tries_bring_no_more_than_chance_does() {
    let stage = Stage::set().await;
    let shown = stage.code_of_leader().await;
    let mut equal = 0;
    for _ in 0..TRIES {
        // One nonce is as good as another, as the helper's is not known when it is chosen.
        let helper = stage.lie_to_helper(shown, |commit, kept| commit == kept, 0).await;
        equal += u32::from(helper.unwrap() == shown);
    }
    assert!(equal <= 1, "{equal} of {TRIES}");
}

/// Three machines, each with its key.
struct Stage {
    leader: Identity,
    helper: Identity,
    middle: Identity,
    listener: TcpListener,
}

impl Stage {
    async fn set() -> Self {
        let [leader, helper, middle] = std::array::from_fn(|_| Identity::ephemeral());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { leader, helper, middle, listener }
    }

    /// What the leader shows, and what the helper then shows after at most `tries` searches.
    async fn attack(
        &self,
        holds: impl Fn(&[u8; 32], &[u8; 32]) -> bool,
        tries: u32,
    ) -> (Code, Result<Code, LinkError>) {
        let shown = self.code_of_leader().await;
        (shown, self.lie_to_helper(shown, holds, tries).await)
    }

    /// The code that the leader shows to whoever is the helper of the one in the middle.
    async fn code_of_leader(&self) -> Code {
        let (leader, middle) = self.connect(&self.leader, &self.middle).await;
        let me = Me { id: self.leader.id(), name: "leader", group: None };
        let (greeting, ()) = tokio::join!(greet(leader, me, [0; 16]), async {
            let mut session = Session::new(middle);
            session.next().await.unwrap();
            let (name, nonce) = ("middle".into(), random());
            let hello = HelperHello { minor: 0, features: 0, name, nonce };
            session.send(&Frame::HelperHello(hello)).await.unwrap();
            session.next().await.unwrap();
        });
        greeting.unwrap().code
    }

    /// Greets the helper as its leader, and reveals a nonce that gives the code `wanted`, if one is
    /// found in so many tries, or else the one that was committed to.
    async fn lie_to_helper(
        &self,
        wanted: Code,
        holds: impl Fn(&[u8; 32], &[u8; 32]) -> bool,
        tries: u32,
    ) -> Result<Code, LinkError> {
        let (middle, helper) = self.connect(&self.middle, &self.helper).await;
        let me = Me { id: self.helper.id(), name: "helper", group: None };
        let lie = self.lie(middle, wanted, tries);
        let (greeting, ()) = tokio::join!(answer_to(helper, me, Talk::WithAll, holds), lie);
        greeting.map(|greeting| greeting.code)
    }

    async fn lie(&self, secured: Secured, wanted: Code, tries: u32) {
        let (me, peer, exporter) = (self.middle.id(), secured.peer, secured.exporter);
        let honest = random();
        let commit = commitment(&honest, me, peer, &exporter);
        let mut session = Session::new(secured);
        let (name, ask) = ("leader".into(), [0; 16]);
        let hello = LeaderHello { minor: 0, features: 0, name, ask, commit };
        session.send(&Frame::LeaderHello(hello)).await.unwrap();
        let Frame::HelperHello(theirs) = session.next().await.unwrap() else { panic!() };
        let gives = |nonce: &[u8; 32]| code(&exporter, nonce, &theirs.nonce, me, peer) == wanted;
        let nonce = ground(tries, gives).unwrap_or(honest);
        session.send(&Frame::Reveal { nonce }).await.unwrap();
    }

    /// A connection that `dials` made to `listens`.
    async fn connect(&self, listens: &Identity, dials: &Identity) -> (Secured, Secured) {
        let address = self.listener.local_addr().unwrap();
        let expected: Option<PeerId> = Some(listens.id());
        let (taken, dialled) = tokio::join!(
            async { accept(listens, self.listener.accept().await.unwrap().0).await },
            dial(dials, address, expected)
        );
        (taken.unwrap(), dialled.unwrap())
    }
}

/// The first nonce of so many that is as wanted.
fn ground(tries: u32, wanted: impl Fn(&[u8; 32]) -> bool) -> Option<[u8; 32]> {
    let mut nonce: [u8; 32] = random();
    (0..tries).find_map(|at| {
        nonce[..4].copy_from_slice(&at.to_be_bytes());
        wanted(&nonce).then_some(nonce)
    })
}
