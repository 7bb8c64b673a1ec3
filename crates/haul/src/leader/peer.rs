//! The leader's end of a session with one helper.

use super::crew::Recruit;
use super::errand::{Errand, Work};
use super::guest::{End, Guest};
use super::presence::{Presence, Present};
use super::proof_quota::Challenger;
use super::roll_call;
use super::sightings::{Dial, Sightings, Unreached};
use crate::event::{Answer, Happening};
use crate::trust::{Group, Role, Trust};
use bytes::Bytes;
use haul_link::{
    Greeting, Identity, LinkError, Me, PeerId, Secured, Session, accept, dial, greet, interfaces,
};
use haul_wire::{ByeReason, Failure, Frame, Verdict};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
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

/// What every session of a job needs.
pub(crate) struct Hosting {
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) group: Option<Group>,
    /// Whether others than the group's machines are turned away.
    pub(crate) group_only: bool,
    pub(crate) machine: String,
    pub(crate) ask: [u8; 16],
    /// Where helpers hear asks unless they are known to do it elsewhere.
    pub(crate) ask_port: u16,
    pub(crate) presence: Arc<Presence>,
    pub(crate) sightings: Sightings,
    pub(crate) errand: Errand,
    pub(crate) news: mpsc::Sender<News>,
    pub(crate) workers: AtomicU32,
}

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
}

/// What a helper says while it works.
pub(crate) enum Said {
    Data { lease: u32, offset: u64, bytes: Bytes },
    Done { lease: u32 },
    Failed { lease: u32, failure: Failure },
    Held { share: u8 },
    Gone { because: String },
}

/// Why a session ended before the helper could join.
enum Turned {
    Broken(LinkError),
    Down(Answer, Option<String>),
}

impl Turned {
    /// What the helper is told.
    const fn farewell(&self) -> Option<ByeReason> {
        match self {
            Self::Broken(error) => error.farewell(),
            Self::Down(..) => None,
        }
    }
}

impl From<LinkError> for Turned {
    fn from(error: LinkError) -> Self {
        Self::Broken(error)
    }
}

/// Takes in a machine that dialled and works with it until either side ends it.
pub(crate) async fn host(tcp: TcpStream, hosting: Arc<Hosting>) {
    match accept(&hosting.identity, tcp).await {
        Ok(secured) => {
            let from = secured.address.ip();
            let hears_at = hosting.presence.invited(from);
            let hears_at = hears_at.unwrap_or_else(|| (from, hosting.ask_port).into());
            meet(secured, "ask", hears_at, &hosting).await;
        }
        Err(error) => debug!(%error, "somebody who is no helper"),
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
        Ok(secured) => meet(secured, how, machine, hosting).await,
        Err(error) => {
            hosting.note_unreached(machine.ip(), how, &error);
            debug!(%machine, how, %error, "it neither answers nor can be dialled");
        }
    }
}

/// Works with the machine at the other end, which hears asks at `hears_at`.
async fn meet(secured: Secured, how: &'static str, hears_at: SocketAddr, hosting: &Arc<Hosting>) {
    let (address, peer) = (secured.address, secured.peer);
    let (id, group) = (hosting.identity.id(), hosting.group.as_ref());
    let me = Me { id, name: &hosting.machine, group };
    let mut greeting = match greet(secured, me, hosting.ask).await {
        Ok(greeting) => greeting,
        Err(error) => {
            hosting.note_unreached(address.ip(), how, &error);
            return debug!(%address, %error, "no greeting");
        }
    };
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
            return hosting.turned_down(worker, name, address, turned).await;
        }
    };
    let (frames, outgoing) = mpsc::unbounded_channel();
    let replies = frames.clone();
    let is_trusted = hosting.is_trusted(peer, greeting.group);
    let recruit = Recruit { name, address, hears_at, peer, is_trusted, frames };
    let keys = hosting.presence.keys_from(address.ip());
    let joined = Joined { worker, recruit, keys, code, lanes };
    hosting.tell(News::Joined(joined)).await;
    let guest = Guest {
        worker,
        challenger: Challenger { peer, address: address.ip() },
        hosting,
        work,
        replies,
        proofs,
        ledger: Mutex::default(),
        pinged: Notify::new(),
    };
    let End { because, is_broken, .. } = guest.work_with(greeting.session, outgoing).await;
    if is_broken {
        hosting.presence.forget_answer(address.ip());
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
        Frame::Bye { reason } => return Err(Turned::Down(Answer::No, Some(reason_text(reason)))),
        other => return Err(unexpected("an answer", &other)),
    };
    if answer.verdict != Verdict::Yes {
        return Err(Turned::Down(answer_of(answer.verdict), None));
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

impl Hosting {
    /// Lets a machine that has greeted take part, or says why not. The same machine may dial and be
    /// dialled at the same time: it takes part once.
    fn let_in(&self, peer: PeerId, from: IpAddr, group: bool) -> Result<Present<'_>, &'static str> {
        self.presence.note_answer(from);
        if self.group_only && !group {
            return Err("it is not of the group");
        }
        let is_welcome = || {
            group
                || self.presence.invited(from).is_some()
                || is_on_link(from)
                || self.trust.knows(Role::Helper, peer)
        };
        if !is_welcome() {
            return Err("it comes from afar, and is neither known nor of the group");
        }
        self.presence.enter(peer, from, self.is_trusted(peer, group))
    }

    /// Whether a machine is of the group, or its key is known.
    fn is_trusted(&self, peer: PeerId, group: bool) -> bool {
        group || self.trust.knows(Role::Helper, peer)
    }

    /// A machine that has greeted, for a roll call.
    fn present(
        &self,
        greeting: &Greeting,
        peer: PeerId,
        address: IpAddr,
        how: &'static str,
    ) -> roll_call::Present {
        let name = greeting.name.clone();
        let standing = self.trust.standing(Role::Helper, peer, &name, greeting.group);
        roll_call::Present { address, name, id: peer.to_string(), standing, how }
    }

    fn note_unreached(&self, address: IpAddr, how: &'static str, error: &LinkError) {
        self.sightings.note_dial(address, how, Dial::Failed(Unreached::from(error)));
    }

    /// How many machines have come to the door so far.
    pub(crate) fn met(&self) -> u32 {
        self.workers.load(Ordering::Relaxed) - 1
    }

    /// A job that has ended hears nothing more.
    pub(crate) async fn tell(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Tells that a machine's owner is being asked, and shows the code for them to type.
    async fn tell_offered(
        &self,
        worker: u32,
        name: &str,
        address: SocketAddr,
        code: &str,
        peer: PeerId,
        group: bool,
    ) {
        let standing = self.trust.standing(Role::Helper, peer, name, group);
        let (name, code) = (name.to_owned(), code.to_owned());
        self.tell(News::Told(Happening::Offered { worker, name, address, code, standing })).await;
        self.tell(News::Offered).await;
    }

    async fn turned_down(&self, worker: u32, name: String, address: SocketAddr, turned: Turned) {
        let (answer, because) = match turned {
            Turned::Broken(error) => (Answer::No, Some(error.to_string())),
            Turned::Down(answer, because) => (answer, because),
        };
        let declined = Happening::Answered { worker, name, address, answer, because };
        self.tell(News::Declined(declined)).await;
    }
}

fn is_on_link(address: IpAddr) -> bool {
    interfaces().unwrap_or_default().iter().any(|network| network.has(address))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> Turned {
    LinkError::Unexpected { awaiting, kind: frame.kind() }.into()
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
        _ => "it gave a reason that is not known here",
    };
    text.into()
}
