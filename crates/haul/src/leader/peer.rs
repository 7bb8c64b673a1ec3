//! The leader's end of a session with one helper.

use super::agenda::Again;
use super::crew::Recruit;
use super::errand::{Errand, Work};
use super::guest::{End, Guest};
use super::hosting::Hosting;
use super::proof_quota::Challenger;
use super::roll_call;
use super::sightings::{Dial, Unreached};
use crate::event::{Answer, Happening};
use crate::limits::pool::Place;
use bytes::Bytes;
use haul_link::{Greeting, LinkError, Me, PeerId, Secured, Session, accept, dial, greet};
use haul_wire::{ByeReason, Failure, Frame, Verdict};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

/// How long a helper's owner may think, and what the way there and back takes.
const DECISION: Duration = Duration::from_secs(70);

/// How long a helper that said yes may take to be ready.
const PREPARATION: Duration = Duration::from_secs(60);

/// How many frames a helper may send between its yes and its word that it is ready.
const PREPARING: u32 = 64;

/// The answer to a helper's challenge, while it is worked out.
pub(super) type Proofs = JoinSet<Result<[u8; 32], String>>;

/// What sessions tell their job.
pub(crate) enum News {
    /// Something to tell that changes nothing: a machine was found, or said yes.
    Told(Happening),
    /// A machine's owner is being asked.
    Offered,
    /// A machine that was being asked will not join; what to tell of it.
    Declined(Happening),
    Joined(Joined),
    Said {
        worker: u32,
        said: Said,
    },
}

/// A helper that is ready for grants.
pub(crate) struct Joined {
    pub(crate) worker: u32,
    pub(crate) recruit: Recruit,
    /// How many strangers' keys came from its address so far.
    pub(crate) keys: u32,
    pub(crate) code: String,
    pub(crate) lanes: u8,
    /// Whether it holds back what it fetches until it is shown that this leader reads the file.
    pub(crate) awaits_proof: bool,
    /// Whether it is asked again if it is not wanted now.
    pub(crate) comes_again: Arc<AtomicBool>,
}

/// What a helper says while it works.
pub(crate) enum Said {
    Data {
        lease: u32,
        offset: u64,
        bytes: Bytes,
    },
    /// It was shown that this leader reads the file, so that it passes on what it fetches.
    Shown,
    Done {
        lease: u32,
    },
    Failed {
        lease: u32,
        failure: Failure,
    },
    Held {
        share: u8,
    },
    /// How many lanes it has for this leader, and whether it has others for other leaders.
    LaneLimit {
        lanes: u8,
        is_shared: bool,
    },
    Gone {
        because: String,
    },
}

/// Why a session ended before the helper could join.
pub(super) enum Turned {
    Broken(LinkError),
    Down(Answer, Option<String>),
    /// It says that it was offered this already, as where both sides dialled at the same time.
    Offered,
}

impl Turned {
    /// What the helper is told.
    const fn farewell(&self) -> Option<ByeReason> {
        match self {
            Self::Broken(error) => error.farewell(),
            Self::Down(..) | Self::Offered => None,
        }
    }
}

impl Turned {
    /// Whether, and why, it is worth asking again.
    const fn again(&self) -> Option<Again> {
        match self {
            Self::Down(Answer::Busy | Answer::Later, _) | Self::Offered => Some(Again::Waiting),
            Self::Broken(error) if error.is_loss() => Some(Again::Lost),
            Self::Down(..) | Self::Broken(_) => None,
        }
    }
}

impl From<LinkError> for Turned {
    fn from(error: LinkError) -> Self {
        Self::Broken(error)
    }
}

/// Takes in a machine that dialled and works with it until either side ends it. Until it has
/// greeted it holds `place`, and leaves if it loses that.
pub(crate) async fn host(tcp: TcpStream, place: Place, hosting: Arc<Hosting>) {
    let greeted = place.hold(Box::pin(async {
        let secured = accept(&hosting.identity, tcp).await?;
        let from = secured.address.ip();
        let hears_at = hosting.presence.invited(from);
        let hears_at = hears_at.unwrap_or_else(|| (from, hosting.ask_port).into());
        Ok::<_, LinkError>((greeted(secured, "ask", &hosting).await?, hears_at))
    }));
    let ended = greeted.await;
    drop(place);
    match ended {
        Some(Ok((greeted, hears_at))) => meet(greeted, "ask", hears_at, &hosting).await,
        Some(Err(error)) => debug!(%error, "somebody who is no helper"),
        None => debug!("somebody who did not greet made room"),
    }
}

/// Dials a machine that has not answered, when it is its turn, and works with it until either side
/// ends it. `how` says how it came to be known.
pub(crate) async fn visit(
    machine: SocketAddr,
    how: &'static str,
    turns: &Semaphore,
    hosting: &Arc<Hosting>,
) {
    let dialled = {
        let _turn = turns.acquire().await;
        if hosting.presence.has_answered(machine.ip()) {
            return;
        }
        hosting.sightings.note_dial(machine.ip(), how, Dial::Begun);
        dial(&hosting.identity, machine, None).await
    };
    match dialled {
        Ok(secured) => {
            if let Ok(greeted) = greeted(secured, how, hosting).await {
                meet(greeted, how, machine, hosting).await;
            }
        }
        Err(error) => {
            hosting.note_unreached(machine.ip(), how, &error);
            debug!(%machine, how, %error, "it neither answers nor can be dialled");
        }
    }
}

/// A machine that has greeted.
struct Greeted {
    address: SocketAddr,
    peer: PeerId,
    greeting: Greeting,
}

/// Greets the machine at the other end.
async fn greeted(
    secured: Secured,
    how: &'static str,
    hosting: &Hosting,
) -> Result<Greeted, LinkError> {
    let (address, peer) = (secured.address, secured.peer);
    let (id, group) = (hosting.identity.id(), hosting.group.as_ref());
    let me = Me { id, name: &hosting.machine, group };
    match greet(secured, me, hosting.ask).await {
        Ok(greeting) => Ok(Greeted { address, peer, greeting }),
        Err(error) => {
            hosting.note_unreached(address.ip(), how, &error);
            debug!(%address, %error, "no greeting");
            Err(error)
        }
    }
}

/// Works with a machine, which hears asks at `hears_at`.
async fn meet(greeted: Greeted, how: &'static str, hears_at: SocketAddr, hosting: &Arc<Hosting>) {
    let Greeted { address, peer, mut greeting } = greeted;
    let _present = match hosting.let_in(peer, address.ip(), greeting.group) {
        Ok(present) => present,
        Err(because) => {
            let turned_away = Dial::Failed(Unreached::TurnedAway(because));
            hosting.sightings.note_dial(address.ip(), how, turned_away);
            // Whoever has gone already is none the wiser.
            let _ = greeting.session.send(&Frame::Bye { reason: ByeReason::NotWanted }).await;
            return debug!(%address, because, "a machine was not let in");
        }
    };
    hosting.sightings.note_dial(address.ip(), how, Dial::Done);
    let work = match &hosting.errand {
        Errand::Work(work) => work,
        Errand::RollCall(tell) => {
            let present = hosting.present(&greeting, peer, address.ip(), how);
            return roll_call::call(&mut greeting.session, present, tell).await;
        }
    };
    let worker = hosting.workers.fetch_add(1, Ordering::Relaxed);
    let (name, code) = (greeting.name, greeting.code.to_string());
    hosting.tell(News::Told(Happening::Found { address: address.ip(), how })).await;
    hosting.tell_offered(worker, &name, address, &code, peer, greeting.group).await;
    let session = &mut greeting.session;
    let candidate = Candidate { worker, name: &name, address, peer };
    let (lanes, proofs) = match admit(session, hosting, work, candidate).await {
        Ok(ready) => ready,
        Err(turned) => {
            if let Some(reason) = turned.farewell() {
                // Whoever broke the protocol may have gone.
                let _ = session.send(&Frame::Bye { reason }).await;
            }
            if let Some(why) = turned.again() {
                hosting.ask_again(address.ip(), hears_at, why);
            }
            return hosting.turned_down(worker, name, address, turned).await;
        }
    };
    let (frames, outgoing) = mpsc::unbounded_channel();
    let replies = frames.clone();
    let is_trusted = hosting.is_trusted(peer, greeting.group);
    let recruit = Recruit { name, address, hears_at, peer, is_trusted, frames };
    let keys = hosting.presence.keys_from(address.ip());
    let comes_again = Arc::new(AtomicBool::new(false));
    let (awaits_proof, again) = (!proofs.is_empty(), Arc::clone(&comes_again));
    let joined = Joined { worker, recruit, keys, code, lanes, awaits_proof, comes_again: again };
    hosting.tell(News::Joined(joined)).await;
    let guest = Guest {
        worker,
        most_lanes: lanes,
        challenger: Challenger { peer, address: address.ip() },
        hosting,
        work,
        replies,
        proofs,
        ledger: Mutex::default(),
        pinged: Notify::new(),
        comes_again,
    };
    let End { because, may_return, .. } = guest.work_with(greeting.session, outgoing).await;
    if let Some(why) = may_return {
        hosting.ask_again(address.ip(), hears_at, why);
    }
    hosting.tell(News::Said { worker, said: Said::Gone { because } }).await;
}

/// A machine whose owner is being asked.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    worker: u32,
    name: &'a str,
    address: SocketAddr,
    peer: PeerId,
}

impl Candidate<'_> {
    const fn challenger(&self) -> Challenger {
        Challenger { peer: self.peer, address: self.address.ip() }
    }
}

/// From the offer to the helper's word that it is ready.
async fn admit(
    session: &mut Session,
    hosting: &Hosting,
    work: &Arc<Work>,
    candidate: Candidate<'_>,
) -> Result<(u8, Proofs), Turned> {
    session.send(&Frame::Offer(work.offer.clone())).await?;
    let silent = LinkError::Silent { awaiting: "answer", after: DECISION };
    let answer = match timeout(DECISION, session.next()).await.unwrap_or(Err(silent))? {
        Frame::Answer(answer) => answer,
        Frame::Bye { reason: ByeReason::NotWanted } => return Err(Turned::Offered),
        Frame::Bye { reason } => return Err(Turned::Down(Answer::No, Some(reason_text(reason)))),
        other => return Err(unexpected("an answer", &other)),
    };
    if answer.verdict != Verdict::Yes {
        return Err(Turned::Down(answer_of(answer.verdict), when(answer.after)));
    }
    let Candidate { worker, name, address, .. } = candidate;
    let name = name.to_owned();
    let yes = Happening::Answered { worker, name, address, answer: Answer::Yes, because: None };
    hosting.tell(News::Told(yes)).await;
    session.send(&Frame::Job(work.job.clone())).await?;
    let silent = LinkError::Silent { awaiting: "preparation", after: PREPARATION };
    let prepared = timeout(PREPARATION, prepare(session, work, candidate.challenger())).await;
    let proofs = prepared.unwrap_or(Err(silent.into()))?;
    Ok((answer.lanes.max(1), proofs))
}

/// Waits until the helper is ready. What it challenges for is read meanwhile over the own link,
/// which is busy: grants need not wait for that.
async fn prepare(
    session: &mut Session,
    work: &Arc<Work>,
    by: Challenger,
) -> Result<Proofs, Turned> {
    let mut proofs = Proofs::new();
    for _ in 0..PREPARING {
        match session.next().await? {
            Frame::Ready => return Ok(proofs),
            Frame::Challenge { span } if proofs.is_empty() => {
                let work = Arc::clone(work);
                proofs.spawn(async move { work.prove(by, span).await });
            }
            Frame::Ping => session.send(&Frame::Pong).await?,
            Frame::Pong => {}
            Frame::Bye { reason } => {
                return Err(Turned::Down(Answer::No, Some(reason_text(reason))));
            }
            other => return Err(unexpected("a challenge", &other)),
        }
    }
    Err(Turned::Down(Answer::No, Some("it does not get ready".into())))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> Turned {
    LinkError::Unexpected { awaiting, kind: frame.kind() }.into()
}

/// When a helper that cannot help yet may do so.
fn when(after: u32) -> Option<String> {
    (after > 0).then(|| match u64::from(after).div_ceil(60) {
        1 => "it may help in a minute".into(),
        minutes @ 2..120 => format!("it may help in {minutes} minutes"),
        minutes => format!("it may help in {} hours", minutes.div_ceil(60)),
    })
}

fn answer_of(verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Yes => Answer::Yes,
        Verdict::Busy => Answer::Busy,
        Verdict::Later => Answer::Later,
        _ => Answer::No,
    }
}

pub(super) fn reason_text(reason: ByeReason) -> String {
    let text = match reason {
        ByeReason::Done => "the job is done",
        ByeReason::Cancelled => "the job was stopped",
        ByeReason::Released => "it added too little",
        ByeReason::Spoiled => "what it delivered failed its check",
        ByeReason::Protocol => "it did not understand this leader",
        ByeReason::Timeout => "it waited too long for this leader",
        ByeReason::Stopped => "its owner stopped it",
        ByeReason::Unreachable => "it may not or cannot reach the origin",
        ByeReason::Unproven => "it saw no proof that this leader can read the file itself",
        ByeReason::Version => "it speaks another version",
        ByeReason::NotWanted => "it takes part already",
        ByeReason::Withdrawn => "its owner ended this help",
        _ => "it gave a reason that is not known here",
    };
    text.into()
}
