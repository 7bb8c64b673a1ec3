//! The first three frames, which give both sides the same six-digit code.
//!
//! The leader commits to its nonce before it sees the helper's, and reveals it after. Somebody in
//! the middle therefore has one guess at making both codes equal, where without the commitment
//! they could search for a nonce that does (ZRTP, RFC 6189 §4.4.1.1, uses the same construction).

use crate::identity::{digest, random};
use crate::session::Session;
use crate::{LinkError, PeerId, Secured};
use haul_wire::{Frame, HelperHello, LeaderHello};
use ring::hmac;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

const COMMIT_LABEL: &[u8] = b"haul-commit-1";
const CODE_LABEL: &[u8] = b"haul-code-1";

/// The newest minor version of `haul/1` that is spoken here.
const MINOR: u16 = 0;

/// How long the three frames may take together.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a name in a hello may be, in bytes.
const NAME_BYTES: usize = 64;

/// How many characters of another machine's name are kept.
const NAME_MOST: usize = 32;

/// Six digits that both ends of a connection show, for people to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u32);

/// Two groups of three digits: `418 207`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1000, self.0 % 1000)
    }
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
}

/// The leader's side: commits, waits for the helper's nonce, reveals.
pub async fn greet(
    secured: Secured,
    me: PeerId,
    name: &str,
    ask: [u8; 16],
) -> Result<Greeting, LinkError> {
    let nonce = random();
    let (peer, exporter) = (secured.peer, secured.exporter);
    let commit = digest(&[COMMIT_LABEL, &nonce, &me.0, &peer.0, &exporter]);
    let mut session = Session::new(secured);
    let hello = LeaderHello { minor: MINOR, features: 0, name: short_name(name), ask, commit };
    let theirs = in_time(async {
        session.send(&Frame::LeaderHello(hello)).await?;
        let theirs = match session.next().await? {
            Frame::HelperHello(theirs) => theirs,
            other => return Err(unexpected("the helper's hello", &other)),
        };
        session.send(&Frame::Reveal { nonce }).await?;
        Ok(theirs)
    })
    .await?;
    let code = code(&exporter, &nonce, &theirs.nonce, me, peer);
    Ok(Greeting { session, code, name: safe_name(&theirs.name), ask })
}

/// The helper's side: answers the leader's commitment and holds it to it.
pub async fn answer(secured: Secured, me: PeerId, name: &str) -> Result<Greeting, LinkError> {
    let nonce = random();
    let (peer, exporter) = (secured.peer, secured.exporter);
    let mut session = Session::new(secured);
    let (hello, revealed) = in_time(async {
        let hello = match session.next().await? {
            Frame::LeaderHello(hello) => hello,
            other => return Err(unexpected("the leader's hello", &other)),
        };
        let mine = HelperHello { minor: MINOR, features: 0, name: short_name(name), nonce };
        session.send(&Frame::HelperHello(mine)).await?;
        match session.next().await? {
            Frame::Reveal { nonce } => Ok((hello, nonce)),
            other => Err(unexpected("the leader's nonce", &other)),
        }
    })
    .await?;
    if digest(&[COMMIT_LABEL, &revealed, &peer.0, &me.0, &exporter]) != hello.commit {
        return Err(LinkError::Commitment);
    }
    let code = code(&exporter, &revealed, &nonce, peer, me);
    Ok(Greeting { session, code, name: safe_name(&hello.name), ask: hello.ask })
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

/// The own name, cut to what a hello carries. Making it safe is the work of whoever shows it.
fn short_name(name: &str) -> String {
    let ends = |(at, c): &(usize, char)| at + c.len_utf8();
    name.char_indices().take_while(|c| ends(c) <= NAME_BYTES).map(|(_, c)| c).collect()
}

/// What is left of a stranger's name that can be shown without harm.
fn safe_name(name: &str) -> String {
    let plain = |c: &char| c.is_alphanumeric() || "-_. ".contains(*c);
    let safe: String = name.chars().filter(plain).take(NAME_MOST).collect();
    let safe = safe.trim();
    if safe.is_empty() { "unnamed".to_owned() } else { safe.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_reach_a_terminal_or_a_page() {
        assert_eq!(safe_name("asha's \u{202e}pc\u{1b}[31m"), "ashas pc31m");
        assert_eq!(safe_name("<script>"), "script");
        assert_eq!(safe_name("\u{7}\u{200b}"), "unnamed");
        assert_eq!(safe_name(&"x".repeat(10_000)).len(), NAME_MOST);
        assert_eq!(safe_name("Büro-3.lan"), "Büro-3.lan");
    }

    #[test]
    fn a_hello_carries_at_most_64_bytes_of_whole_characters() {
        assert_eq!(short_name("asha\u{202e}"), "asha\u{202e}");
        assert_eq!(short_name(&"ü".repeat(40)), "ü".repeat(32));
        assert_eq!(short_name(&format!("x{}", "ü".repeat(40))).len(), 63);
    }

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
