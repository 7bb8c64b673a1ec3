//! What a leader has to read by itself before it gets anything: parts of the file that it cannot
//! foresee.

use crate::lanes::Place;
use haul_fetch::{Error, Lane, Source};
use haul_link::random;
use haul_span::Span;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How much of the file a challenge is about, in bytes, where the protocol allows 64 KiB.
///
/// Nobody guesses the digest of either. But every byte of it is read twice beside the file, by each
/// helper and once more by the leader for each, and the first byte waits for it: a new connection
/// brings 16 KiB in two round trips, as it begins with some 14 KiB (RFC 6928 §2), and 64 KiB in
/// three or four.
const CHALLENGE: u64 = 16 << 10;

/// After how many bytes a leader must prove itself again, at the latest.
pub(super) const PROVEN: u64 = 512 << 20;

/// The least of a piece that nobody guesses, in bytes.
const ENOUGH: usize = 1 << 10;

/// A part of the file that the leader has to read by itself.
pub(crate) struct Secret {
    /// The SHA-256 of the part.
    pub(super) sha256: [u8; 32],
    /// Where it came from.
    pub(super) place: Option<Place>,
}

impl Secret {
    /// Reads a part of the file.
    pub(super) async fn read(source: &Source, span: Span) -> Result<Self, Error> {
        let (mut digest, mut place) = (Sha256::new(), None);
        let mut lane = Lane::new(source.clone());
        lane.open(span).await?;
        while let Some(piece) = lane.next().await? {
            digest.update(&piece);
            place = place.or_else(|| Place::of(&lane));
        }
        Ok(Self { sha256: digest.finalize().into(), place })
    }

    /// The front of a piece that was read already.
    fn of(piece: &[u8], place: Option<Place>) -> Self {
        Self { sha256: Sha256::digest(piece).into(), place }
    }
}

/// A part of the file that the leader cannot foresee; none of an empty one.
pub(super) fn secret_span(length: u64) -> Option<Span> {
    let room = length.saturating_sub(CHALLENGE);
    let start = u64::from_le_bytes(random()) % (room + 1);
    Span::new(start, length)?.first(CHALLENGE)
}

/// For which places the leader has shown that it reads the same there, and for how much more.
#[derive(Debug)]
pub(super) struct Proven {
    places: BTreeSet<(String, IpAddr)>,
    /// How many bytes a proof is good for at the most.
    most: u64,
    /// How many of them may still be sent.
    left: u64,
}

/// What the leader must show before a piece is sent.
pub(super) enum Doubt {
    /// The last proof is long ago: this part of the piece itself, which the leader does not have.
    Stale(Span, Secret),
    /// No proof was for where the piece comes from: any part of the file, read there.
    Elsewhere,
}

impl Proven {
    /// Nothing yet; a proof will be good for up to `most` bytes.
    pub(super) fn nothing(most: u64) -> Self {
        Self { places: BTreeSet::new(), most, left: 0 }
    }

    /// The leader has shown that it reads the same at a place. How much it gets for that, between
    /// half of the most and all of it, is for `chance`: a leader that knew when it will be asked
    /// again could have something harmless at hand then.
    pub(super) fn renew(&mut self, place: Option<&Place>, chance: u64) {
        self.places.extend(place.map(Place::key));
        self.left = self.most - chance % (self.most / 2 + 1);
    }

    /// Counts what was sent.
    pub(super) fn spend(&mut self, len: u64) {
        self.left = self.left.saturating_sub(len);
    }

    /// What stands against sending the piece at this offset.
    ///
    /// The leader chooses what is fetched. So only a piece of some length can stand for the file;
    /// with a short one the leader, that may know what is there, has to read another part.
    pub(super) fn doubt(&self, offset: u64, piece: &[u8], place: Option<&Place>) -> Option<Doubt> {
        if !place.is_some_and(|place| self.places.contains(&place.key())) {
            return Some(Doubt::Elsewhere);
        }
        if self.left > 0 {
            return None;
        }
        let front = &piece[..piece.len().min(usize::try_from(CHALLENGE).unwrap_or(usize::MAX))];
        let span = Span::of_len(offset, front.len() as u64).filter(|_| front.len() >= ENOUGH);
        Some(
            span.map_or(Doubt::Elsewhere, |span| {
                Doubt::Stale(span, Secret::of(front, place.cloned()))
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    static PIECE: [u8; 40_000] = [7; 40_000];

    fn place(url: &str, address: [u8; 4]) -> Place {
        Place { url: Arc::new(url.parse().unwrap()), address: address.into() }
    }

    fn here() -> Place {
        place("http://a.test/f", [1, 2, 3, 4])
    }

    fn proven(most: u64, chance: u64) -> Proven {
        let mut proven = Proven::nothing(most);
        proven.renew(Some(&here()), chance);
        proven
    }

    #[test]
    fn nothing_is_sent_from_where_no_proof_was_for() {
        let proven = proven(1 << 20, 0);
        let doubted = |place: Option<&Place>| {
            matches!(proven.doubt(0, &[7; 4096], place), Some(Doubt::Elsewhere))
        };
        assert!(!doubted(Some(&here())) && !doubted(Some(&place("http://a.test/g", [1, 2, 3, 4]))));
        for (url, address) in [
            ("http://b.test/f", [1, 2, 3, 4]),
            ("http://a.test/f", [1, 2, 3, 5]),
            ("https://a.test/f", [1, 2, 3, 4]),
            ("http://a.test:81/f", [1, 2, 3, 4]),
        ] {
            assert!(doubted(Some(&place(url, address))), "{url} {address:?}");
        }
        assert!(doubted(None), "nobody knows from where");
        let nothing = Proven::nothing(1 << 20);
        assert!(nothing.doubt(0, &[7], Some(&here())).is_some());
    }

    #[test]
    fn a_proof_that_was_used_up_is_renewed_by_the_very_bytes_that_come_next() {
        let mut proven = proven(1 << 20, 0);
        proven.spend((1 << 20) - 1);
        assert!(proven.doubt(5, &PIECE, Some(&here())).is_none());
        proven.spend(1);
        let Some(Doubt::Stale(span, secret)) = proven.doubt(5, &PIECE, Some(&here())) else {
            panic!("it is used up");
        };
        assert_eq!(span, Span::of_len(5, CHALLENGE).unwrap());
        let sha256: [u8; 32] = Sha256::digest(&PIECE[..16 << 10]).into();
        assert_eq!((secret.sha256, secret.place.clone()), (sha256, Some(here())));
        proven.renew(secret.place.as_ref(), 0);
        assert!(proven.doubt(5, &PIECE, Some(&here())).is_none());
    }

    #[test]
    fn bytes_that_could_be_guessed_prove_nothing() {
        let mut proven = proven(1 << 20, 0);
        proven.spend(u64::MAX);
        let doubt = |len: usize| proven.doubt(0, &vec![7; len], Some(&here())).unwrap();
        assert!(matches!(doubt(ENOUGH - 1), Doubt::Elsewhere));
        assert!(matches!(doubt(ENOUGH), Doubt::Stale(..)));
    }

    proptest! {
        #[test]
        fn a_proof_is_good_for_half_to_all_of_the_most(most in 0u64..1 << 40, chance: u64) {
            let left = proven(most, chance).left;
            prop_assert!((most / 2..=most).contains(&left));
        }

        #[test]
        fn a_secret_part_lies_in_the_file(length: u64) {
            match secret_span(length) {
                None => prop_assert_eq!(length, 0),
                Some(span) => {
                    prop_assert!(span.end() <= length);
                    prop_assert_eq!(span.len(), length.min(CHALLENGE));
                }
            }
        }
    }
}
