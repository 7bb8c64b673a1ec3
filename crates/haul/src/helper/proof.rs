//! What a leader has to read by itself before it gets anything: parts of the file that it cannot
//! foresee.

use crate::lanes::Place;
use bytes::Bytes;
use haul_fetch::{Error, Lane, Source};
use haul_link::random;
use haul_span::Span;
use haul_wire::Frame;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// How much of the file a challenge is about, in bytes, where the protocol allows 64 KiB.
///
/// Nobody guesses the digest of either. But every byte of it is read twice beside the file, by each
/// helper and once more by the leader for each: for a hundred helpers, over one slow link.
const CHALLENGE: u64 = 1 << 10;

/// For how many places proofs are remembered, so that no origin can fill the memory.
const PLACES: usize = 256;

/// After how many bytes a leader must prove itself again, at the latest.
pub(super) const PROVEN: u64 = 512 << 20;

/// The least of a piece that nobody guesses, in bytes.
const ENOUGH: usize = 1 << 10;

/// A part of the file that the leader has to read by itself.
#[derive(Debug)]
pub(crate) struct Secret {
    /// The SHA-256 of the part.
    pub(super) sha256: [u8; 32],
    /// Where all of it came from, if that is one place.
    pub(super) place: Option<Place>,
}

impl Secret {
    /// Reads a part of the file.
    pub(super) async fn read(source: &Source, span: Span) -> Result<Self, Error> {
        let (mut digest, mut places) = (Sha256::new(), Vec::new());
        let mut lane = Lane::new(source.clone());
        lane.open(span).await?;
        while let Some(piece) = lane.next().await? {
            digest.update(&piece);
            places.push(Place::of(&lane));
        }
        // A part of which some came from elsewhere shows nothing of either place.
        places.dedup();
        let place = places.pop().filter(|_| places.is_empty()).flatten();
        Ok(Self { sha256: digest.finalize().into(), place })
    }

    /// The front of a piece that was read already.
    fn of(piece: &[u8], place: &Place) -> Self {
        Self { sha256: Sha256::digest(piece).into(), place: Some(place.clone()) }
    }
}

/// What the first challenge is about.
pub(super) fn first_challenge(length: u64) -> Option<Span> {
    secret_span(length, CHALLENGE)
}

/// A part of the file, of up to `len` bytes, that the leader cannot foresee; none of an empty one.
fn secret_span(length: u64, len: u64) -> Option<Span> {
    let room = length.saturating_sub(len);
    let start = u64::from_le_bytes(random()) % (room + 1);
    Span::new(start, length)?.first(len)
}

/// Where the leader has shown that it reads the same, and how much more it gets from there for it.
///
/// A proof is for one URL, whole, and one address of its host. Whatever leads elsewhere needs
/// another: a redirect, a mirror, another answer of the name server, a request that is repeated.
#[derive(Debug)]
pub(super) struct Proofs {
    length: u64,
    /// How many bytes a proof is good for at the most.
    most: u64,
    proven: VecDeque<Proven>,
}

/// A place that a proof was for.
#[derive(Debug)]
struct Proven {
    place: Place,
    /// How many bytes of it may still be sent.
    left: u64,
}

/// Data that the leader has shown to read by itself where it came from; nothing else is sent.
#[derive(Debug)]
pub(super) struct ProvenData(Frame);

impl ProvenData {
    pub(super) fn frame(&self) -> &Frame {
        &self.0
    }
}

/// What the leader must show before a piece is sent.
#[derive(Debug)]
pub(super) enum Doubt {
    /// The last proof for this place is long ago: this part of the piece itself, which the leader
    /// does not have.
    Stale(Span, Secret),
    /// No proof was for where the piece comes from: this part of the file, read there.
    Elsewhere(Span, Place),
    /// Nobody knows where it comes from.
    Nowhere,
}

impl Proofs {
    /// None yet, for a file of `length` bytes; each will be good for up to `most` bytes.
    pub(super) const fn none(length: u64, most: u64) -> Self {
        Self { length, most, proven: VecDeque::new() }
    }

    /// The leader has shown that it reads the same at a place. How much it gets for that, between
    /// half of the most and all of it, is for `chance`: a leader that knew when it will be asked
    /// again could have something harmless at hand then.
    pub(super) fn renew(&mut self, place: Option<&Place>, chance: u64) {
        let Some(place) = place else { return };
        self.proven.retain(|proven| proven.place != *place);
        if self.proven.len() == PLACES {
            self.proven.pop_front();
        }
        let left = self.most - chance % (self.most / 2 + 1);
        self.proven.push_back(Proven { place: place.clone(), left });
    }

    /// Lets a piece of a lease pass, or says what the leader must show first.
    pub(super) fn pass(
        &mut self,
        lease: u32,
        offset: u64,
        bytes: &Bytes,
        from: Option<&Place>,
    ) -> Result<ProvenData, Doubt> {
        let place = from.ok_or(Doubt::Nowhere)?;
        let Some(proven) = self.proven.iter_mut().find(|proven| proven.place == *place) else {
            return Err(self.elsewhere(place));
        };
        if proven.left == 0 {
            return Err(self.stale(offset, bytes, place));
        }
        proven.left = proven.left.saturating_sub(bytes.len() as u64);
        Ok(ProvenData(Frame::Data { lease, offset, bytes: bytes.clone() }))
    }

    fn elsewhere(&self, place: &Place) -> Doubt {
        secret_span(self.length, CHALLENGE)
            .map_or(Doubt::Nowhere, |span| Doubt::Elsewhere(span, place.clone()))
    }

    /// The leader chooses what is fetched. So only a piece of some length can stand for the file;
    /// with a short one the leader, that may know what is there, has to read another part.
    fn stale(&self, offset: u64, piece: &[u8], place: &Place) -> Doubt {
        let front = &piece[..piece.len().min(usize::try_from(CHALLENGE).unwrap_or(usize::MAX))];
        let span = Span::of_len(offset, front.len() as u64).filter(|_| front.len() >= ENOUGH);
        match span.or_else(|| secret_span(self.length, CHALLENGE)) {
            Some(span) if front.len() >= ENOUGH => Doubt::Stale(span, Secret::of(front, place)),
            Some(span) => Doubt::Elsewhere(span, place.clone()),
            None => Doubt::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const LENGTH: u64 = 1 << 30;

    fn piece(len: usize) -> Bytes {
        vec![7; len].into()
    }

    fn place(url: &str, address: [u8; 4]) -> Place {
        Place::at(&Arc::new(url.parse().unwrap()), address.into())
    }

    fn here() -> Place {
        place("http://a.test/f?sig=1", [1, 2, 3, 4])
    }

    fn proven(most: u64, chance: u64) -> Proofs {
        let mut proofs = Proofs::none(LENGTH, most);
        proofs.renew(Some(&here()), chance);
        proofs
    }

    /// How much the leader has to show before it gets a byte from there.
    fn asked(proofs: &mut Proofs, place: &Place) -> Option<u64> {
        match proofs.pass(1, 0, &piece(4096), Some(place)) {
            Ok(_) => None,
            Err(Doubt::Elsewhere(span, at)) if at == *place => Some(span.len()),
            Err(doubt) => panic!("{doubt:?}"),
        }
    }

    #[test]
    fn a_proof_is_for_one_url_and_one_address() {
        let mut proofs = proven(1 << 20, 0);
        assert_eq!(asked(&mut proofs, &here()), None);
        let same = place("http://a.test/f?sig=1#part", [1, 2, 3, 4]);
        assert_eq!(asked(&mut proofs, &same), None, "no origin hears of a fragment");
        for (url, address) in [
            ("http://a.test/licensed?sig=1", [1, 2, 3, 4]),
            ("http://a.test/F?sig=1", [1, 2, 3, 4]),
            ("http://b.test/f?sig=1", [1, 2, 3, 4]),
            ("http://a.test/f?sig=1", [1, 2, 3, 5]),
            ("http://a.test/f?sig=2", [1, 2, 3, 5]),
            ("https://a.test/f?sig=1", [1, 2, 3, 4]),
            ("http://a.test:81/f?sig=1", [1, 2, 3, 4]),
        ] {
            let there = place(url, address);
            assert_eq!(asked(&mut proofs, &there), Some(CHALLENGE), "{url} {address:?}");
        }
        assert!(matches!(proofs.pass(1, 0, &piece(9), None), Err(Doubt::Nowhere)));
        let mut nothing = Proofs::none(LENGTH, 1 << 20);
        assert_eq!(asked(&mut nothing, &here()), Some(CHALLENGE));
    }

    #[test]
    fn a_proof_for_a_url_whose_query_was_renewed_is_never_left_out() {
        let renewed = place("http://a.test/f?sig=2", [1, 2, 3, 4]);
        let mut proofs = proven(1 << 20, 0);
        assert_eq!(asked(&mut proofs, &renewed), Some(CHALLENGE));
        proofs.renew(Some(&renewed), 0);
        assert_eq!(asked(&mut proofs, &renewed), None);
    }

    #[test]
    fn a_proof_that_was_used_up_is_renewed_by_the_very_bytes_that_come_next() {
        let mut proofs = proven(1 << 20, 0);
        let pass = |proofs: &mut Proofs, len| proofs.pass(1, 5, &piece(len), Some(&here()));
        pass(&mut proofs, (1 << 20) - 1).unwrap();
        pass(&mut proofs, 1).unwrap();
        let Err(Doubt::Stale(span, secret)) = pass(&mut proofs, 40_000) else {
            panic!("it is used up");
        };
        assert_eq!(span, Span::of_len(5, CHALLENGE).unwrap());
        let sha256: [u8; 32] = Sha256::digest(piece(1 << 10)).into();
        assert_eq!((secret.sha256, secret.place.clone()), (sha256, Some(here())));
        proofs.renew(secret.place.as_ref(), 0);
        pass(&mut proofs, 40_000).unwrap();
    }

    #[test]
    fn a_proof_for_one_place_renews_no_other() {
        let mut proofs = proven(1 << 20, 0);
        proofs.pass(1, 0, &piece(1 << 20), Some(&here())).unwrap();
        proofs.renew(Some(&place("http://b.test/f", [1, 2, 3, 4])), 0);
        let stale = proofs.pass(1, 0, &piece(4096), Some(&here()));
        assert!(matches!(stale, Err(Doubt::Stale(..))), "{stale:?}");
    }

    #[test]
    fn a_proof_of_bytes_that_could_be_guessed_is_none() {
        let mut proofs = proven(1 << 20, 0);
        proofs.pass(1, 0, &piece(1 << 20), Some(&here())).unwrap();
        let mut doubt = |len| proofs.pass(1, 0, &piece(len), Some(&here())).unwrap_err();
        assert!(matches!(doubt(ENOUGH - 1), Doubt::Elsewhere(span, _) if span.len() == CHALLENGE));
        assert!(matches!(doubt(ENOUGH), Doubt::Stale(..)));
    }

    #[test]
    fn proofs_for_many_places_do_not_grow_the_memory() {
        let mut proofs = proven(1 << 20, 0);
        for n in 0..5000 {
            proofs.renew(Some(&place(&format!("http://a.test/{n}"), [1, 2, 3, 4])), 0);
        }
        assert_eq!(proofs.proven.len(), PLACES);
    }

    proptest! {
        #[test]
        fn a_proof_is_good_for_half_to_all_of_the_most(most in 0u64..1 << 40, chance: u64) {
            let left = proven(most, chance).proven[0].left;
            prop_assert!((most / 2..=most).contains(&left));
        }

        #[test]
        fn a_secret_part_lies_in_the_file(length: u64) {
            match first_challenge(length) {
                None => prop_assert_eq!(length, 0),
                Some(span) => {
                    prop_assert!(span.end() <= length);
                    prop_assert_eq!(span.len(), length.min(CHALLENGE));
                }
            }
        }
    }
}
