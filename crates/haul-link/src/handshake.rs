//! The first frames, which give both sides the same six-digit code, and show whether both belong to
//! the same group.
//!
//! The leader commits to its nonce before it sees the helper's, and reveals it after. Somebody in
//! the middle therefore has one guess at making both codes equal, where without the commitment
//! they could search for a nonce that does (ZRTP, RFC 6189 §4.4.1.1, uses the same construction).

use crate::group::{Bond, Side};
use crate::identity::{digest, random};
use crate::name::{safe_name, short_name};
use crate::session::Session;
use crate::{Group, LinkError, PeerId, Secured};
use haul_wire::{FEATURE_GROUP, Frame, HelperHello, LeaderHello};
use ring::hmac;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

const COMMIT_LABEL: &[u8] = b"haul-commit-1";
const CODE_LABEL: &[u8] = b"haul-code-1";

/// The newest minor version of `haul/1` that is spoken here.
const MINOR: u16 = 0;

/// How long these frames may take together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Six digits that both ends of a connection show, for people to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u32);

/// Two groups of three digits: `418 207`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Who a machine says that it is in the first frames.
#[derive(Clone, Copy, Debug)]
pub struct Me<'a> {
    /// Its id.
    pub id: PeerId,
    /// The name that it goes by.
    pub name: &'a str,
    /// The group that it belongs to.
    pub group: Option<&'a Group>,
}

/// What the first frames tell about the other side.
#[derive(Debug)]
pub struct Greeting {
    /// The connection, ready for the offer.
    pub session: Session,
    /// The code to compare.
    pub code: Code,
    /// The name that the other machine gives itself: at most 32 characters, letters, digits and
    /// `.-_` only.
    pub name: String,
    /// The ask that led here.
    pub ask: [u8; 16],
    /// Whether the other machine has proved that it belongs to the same group.
    pub group: bool,
}

/// The leader's side: commits, waits for the helper's nonce, reveals.
pub async fn greet(secured: Secured, me: Me<'_>, ask: [u8; 16]) -> Result<Greeting, LinkError> {
    in_time(async {
        let nonce = random();
        let (peer, exporter) = (secured.peer, secured.exporter);
        let commit = commitment(&nonce, me.id, peer, &exporter);
        let mut session = Session::new(secured);
        let (name, features) = (short_name(me.name), me.features());
        let hello = LeaderHello { minor: MINOR, features, name, ask, commit };
        session.send(&Frame::LeaderHello(hello)).await?;
        let theirs = match session.next().await? {
            Frame::HelperHello(theirs) => theirs,
            other => return Err(unexpected("the helper's hello", &other)),
        };
        session.send(&Frame::Reveal { nonce }).await?;
        let bond = Bond { exporter: &exporter, leader: me.id, helper: peer };
        let group = match me.group_with(theirs.features) {
            Some(group) => {
                let mac = group.proof(Side::Leader, bond);
                session.send(&Frame::GroupProof { mac }).await?;
                group.proves(Side::Helper, bond, &next_proof(&mut session).await?)
            }
            None => false,
        };
        let code = code(&exporter, &nonce, &theirs.nonce, me.id, peer);
        Ok(Greeting { session, code, name: safe_name(&theirs.name), ask, group })
    })
    .await
}

/// The helper's side: answers the leader's commitment and holds it to it.
pub async fn answer(secured: Secured, me: Me<'_>) -> Result<Greeting, LinkError> {
    in_time(answer_to(secured, me, Talk::WithAll, |commit, kept| commit == kept)).await
}

/// As [`answer`], but falls silent before whoever does not prove to be of the group, and proves
/// nothing to them.
pub async fn answer_group(secured: Secured, me: Me<'_>) -> Result<Greeting, LinkError> {
    in_time(answer_to(secured, me, Talk::WithGroup, |commit, kept| commit == kept)).await
}

/// Whom a helper talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Talk {
    WithAll,
    WithGroup,
}

/// As [`answer`], with `holds` to compare the commitment with what it should have been.
async fn answer_to(
    secured: Secured,
    me: Me<'_>,
    talk: Talk,
    holds: impl Fn(&[u8; 32], &[u8; 32]) -> bool,
) -> Result<Greeting, LinkError> {
    let nonce = random();
    let (peer, exporter) = (secured.peer, secured.exporter);
    let mut session = Session::new(secured);
    let hello = match session.next().await? {
        Frame::LeaderHello(hello) => hello,
        other => return Err(unexpected("the leader's hello", &other)),
    };
    if talk == Talk::WithGroup && me.group_with(hello.features).is_none() {
        return Err(LinkError::Stranger);
    }
    let (name, features) = (short_name(me.name), me.features());
    let mine = HelperHello { minor: MINOR, features, name, nonce };
    session.send(&Frame::HelperHello(mine)).await?;
    let revealed = match session.next().await? {
        Frame::Reveal { nonce } => nonce,
        other => return Err(unexpected("the leader's nonce", &other)),
    };
    if !holds(&hello.commit, &commitment(&revealed, peer, me.id, &exporter)) {
        return Err(LinkError::Commitment);
    }
    let bond = Bond { exporter: &exporter, leader: peer, helper: me.id };
    let group = match me.group_with(hello.features) {
        Some(group) => {
            let theirs = next_proof(&mut session).await?;
            let proved = group.proves(Side::Leader, bond, &theirs);
            if talk == Talk::WithGroup && !proved {
                return Err(LinkError::Stranger);
            }
            let mac = group.proof(Side::Helper, bond);
            session.send(&Frame::GroupProof { mac }).await?;
            proved
        }
        None => false,
    };
    let code = code(&exporter, &revealed, &nonce, peer, me.id);
    Ok(Greeting { session, code, name: safe_name(&hello.name), ask: hello.ask, group })
}

impl<'a> Me<'a> {
    const fn features(&self) -> u64 {
        if self.group.is_some() { FEATURE_GROUP } else { 0 }
    }

    /// The group, if the other side's features say that it belongs to one too.
    fn group_with(&self, theirs: u64) -> Option<&'a Group> {
        self.group.filter(|_| theirs & FEATURE_GROUP != 0)
    }
}

async fn next_proof(session: &mut Session) -> Result<[u8; 32], LinkError> {
    match session.next().await? {
        Frame::GroupProof { mac } => Ok(mac),
        other => Err(unexpected("a group proof", &other)),
    }
}

fn commitment(nonce: &[u8; 32], leader: PeerId, helper: PeerId, exporter: &[u8; 32]) -> [u8; 32] {
    digest(&[COMMIT_LABEL, nonce, &leader.0, &helper.0, exporter])
}

async fn in_time<T>(frames: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    let silent = LinkError::Silent { awaiting: "greeting", after: PATIENCE };
    timeout(PATIENCE, frames).await.unwrap_or(Err(silent))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> LinkError {
    LinkError::Unexpected { awaiting, kind: frame.kind() }
}

fn code(
    exporter: &[u8; 32],
    leader_nonce: &[u8; 32],
    helper_nonce: &[u8; 32],
    leader: PeerId,
    helper: PeerId,
) -> Code {
    let key = hmac::Key::new(hmac::HMAC_SHA256, exporter);
    let mut context = hmac::Context::with_key(&key);
    for part in [CODE_LABEL, leader_nonce, helper_nonce, &leader.0, &helper.0] {
        context.update(part);
    }
    let first = context
        .sign()
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |code: u64, &byte| code << 8 | u64::from(byte));
    Code(u32::try_from(first % 1_000_000).expect("a remainder of a million fits"))
}

#[cfg(test)]
mod middle;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_always_six_digits() {
        assert_eq!(Code(7).to_string(), "000 007");
        assert_eq!(Code(418_207).to_string(), "418 207");
    }

    #[test]
    fn the_code_depends_on_everything_that_both_sides_saw() {
        let [a, b] = [PeerId([1; 32]), PeerId([2; 32])];
        let same = code(&[0; 32], &[3; 32], &[4; 32], a, b);
        assert_eq!(same, code(&[0; 32], &[3; 32], &[4; 32], a, b));
        for other in [
            code(&[9; 32], &[3; 32], &[4; 32], a, b),
            code(&[0; 32], &[9; 32], &[4; 32], a, b),
            code(&[0; 32], &[3; 32], &[9; 32], a, b),
            code(&[0; 32], &[3; 32], &[4; 32], b, a),
        ] {
            assert_ne!(same, other);
        }
    }
}
