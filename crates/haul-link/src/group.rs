//! The key that the machines of one organisation share, and what it proves.
//!
//! A machine holds one key, or two while one is replaced by another: it proves itself with the
//! first and accepts both. So a new key is first accepted everywhere, then used everywhere, and
//! only then is the old one dropped; at no moment do two machines not know each other.

use crate::identity::{digest, random};
use crate::{BadGroupKey, PeerId};
use haul_wire::Ask;
use ring::hmac;
use std::{fmt, str};

const ID_LABEL: &[u8] = b"haul-group-id-1";
const ASK_LABEL: &[u8] = b"haul-ask-1";
const PROOF_LABEL: &[u8] = b"haul-group-1";

/// 32 secret random bytes. They are never printed but by [`GroupKey::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct GroupKey([u8; 32]);

impl GroupKey {
    /// A key that nobody else has.
    pub fn fresh() -> Self {
        Self(random())
    }

    /// Which key this is, told to everybody: the first eight bytes of a digest of it.
    pub fn id(&self) -> [u8; 8] {
        let digest = digest(&[ID_LABEL, &self.0]);
        std::array::from_fn(|at| digest[at])
    }

    /// The key itself, 64 hexadecimal digits, for its owner to carry to another machine.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(part);
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// Only which key it is.
impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({})", hex(&self.id()))
    }
}

impl str::FromStr for GroupKey {
    type Err = BadGroupKey;

    fn from_str(text: &str) -> Result<Self, BadGroupKey> {
        // An id has the same form.
        text.parse().map(|PeerId(key)| Self(key)).map_err(|_| BadGroupKey)
    }
}

/// The group that a machine belongs to: the keys that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The key that the machine proves itself with.
    pub first: GroupKey,
    /// The key that it accepts too.
    pub second: Option<GroupKey>,
}

/// Which side of a session a proof is of, so that none can be sent back to its maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Leader,
    Helper,
}

/// What a proof is bound to: this very connection and the two keys at its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bond<'a> {
    pub(crate) exporter: &'a [u8; 32],
    pub(crate) leader: PeerId,
    pub(crate) helper: PeerId,
}

impl Group {
    /// Marks an ask as the group's in this minute, counted from 1970 in UTC.
    pub fn mark(&self, ask: &mut Ask, minute: u64) {
        ask.group = self.first.id();
        ask.tag = tag(&self.first, ask, minute);
    }

    /// Whether a machine of the group made this ask in this minute, the one before or the one
    /// after, as clocks differ.
    pub fn vouches(&self, ask: &Ask, minute: u64) -> bool {
        let minutes = minute.saturating_sub(1)..=minute.saturating_add(1);
        let made = |key: &GroupKey| {
            key.id() == ask.group
                && minutes.clone().any(|then| same(&tag(key, ask, then), &ask.tag))
        };
        self.keys().any(made)
    }

    /// The proof that this machine, on this side, holds the first key.
    pub(crate) fn proof(&self, side: Side, bond: Bond<'_>) -> [u8; 32] {
        proof(&self.first, side, bond)
    }

    /// Whether this is the proof of a machine that holds one of the keys, on that side.
    pub(crate) fn proves(&self, side: Side, bond: Bond<'_>, mac: &[u8; 32]) -> bool {
        self.keys().any(|key| same(&proof(key, side, bond), mac))
    }

    fn keys(&self) -> impl Iterator<Item = &GroupKey> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten()
    }
}

fn tag(key: &GroupKey, ask: &Ask, minute: u64) -> [u8; 16] {
    let mac = key.mac(&[ASK_LABEL, &ask.vouched(), &minute.to_be_bytes()]);
    std::array::from_fn(|at| mac[at])
}

fn proof(key: &GroupKey, side: Side, Bond { exporter, leader, helper }: Bond<'_>) -> [u8; 32] {
    let side: &[u8] = match side {
        Side::Leader => b"L",
        Side::Helper => b"H",
    };
    key.mac(&[PROOF_LABEL, side, exporter, &leader.0, &helper.0])
}

/// Compares in a time that does not tell where the two differ.
fn same<const N: usize>(one: &[u8; N], other: &[u8; N]) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).expect("half a byte is one digit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_wire::SizeClass;

    fn group(first: u8, second: Option<u8>) -> Group {
        let key = |byte| GroupKey([byte; 32]);
        Group { first: key(first), second: second.map(key) }
    }

    fn ask() -> Ask {
        let (id, leader, size) = ([1; 16], [2; 32], SizeClass::Large);
        Ask { id, leader, port: 4285, size, wanted: 1, expires: 60, group: [0; 8], tag: [0; 16] }
    }

    fn bond(exporter: &[u8; 32]) -> Bond<'_> {
        Bond { exporter, leader: PeerId([3; 32]), helper: PeerId([4; 32]) }
    }

    #[test]
    fn a_key_reads_back_as_it_is_revealed_and_shows_itself_nowhere_else() {
        let key = GroupKey::fresh();
        assert_eq!(key.reveal().parse(), Ok(key.clone()));
        assert!(!format!("{key:?}").contains(&key.reveal()[..16]));
        assert_ne!(hex(&key.id()), key.reveal()[..16]);
        assert_eq!("".parse::<GroupKey>(), Err(BadGroupKey));
    }

    #[test]
    fn an_ask_is_the_groups_for_its_minute_and_its_neighbours_and_only_unchanged() {
        let mut ours = ask();
        group(1, None).mark(&mut ours, 100);
        let vouched: Vec<u64> =
            (97..104).filter(|&minute| group(1, None).vouches(&ours, minute)).collect();
        assert_eq!(vouched, [99, 100, 101]);
        assert!(!group(2, None).vouches(&ours, 100) && !group(1, None).vouches(&ask(), 100));
        let forgeries: [fn(&mut Ask); 5] = [
            |ask| ask.id[0] ^= 1,
            |ask| ask.leader[31] ^= 1,
            |ask| ask.port += 1,
            |ask| ask.group[7] ^= 1,
            |ask| ask.tag[15] ^= 1,
        ];
        for forge in forgeries {
            let mut forged = ours;
            forge(&mut forged);
            assert!(!group(1, None).vouches(&forged, 100), "{forged:?}");
        }
    }

    #[test]
    fn a_proof_holds_for_one_side_of_one_connection() {
        let (ours, here) = (group(1, None), [9; 32]);
        let mac = ours.proof(Side::Leader, bond(&here));
        assert!(ours.proves(Side::Leader, bond(&here), &mac));
        assert!(!ours.proves(Side::Helper, bond(&here), &mac), "sent back to its maker");
        assert!(!ours.proves(Side::Leader, bond(&[8; 32]), &mac), "another connection");
        assert!(!group(2, None).proves(Side::Leader, bond(&here), &mac), "another group");
    }

    #[test]
    fn machines_know_each_other_at_every_step_of_a_change_of_keys() {
        let steps = [group(1, None), group(1, Some(2)), group(2, Some(1)), group(2, None)];
        for (before, after) in steps.iter().zip(&steps[1..]) {
            for (one, other) in [(before, after), (after, before)] {
                let mac = one.proof(Side::Helper, bond(&[9; 32]));
                assert!(other.proves(Side::Helper, bond(&[9; 32]), &mac), "{one:?} {other:?}");
                let mut sent = ask();
                one.mark(&mut sent, 5);
                assert!(other.vouches(&sent, 5));
            }
        }
    }
}
