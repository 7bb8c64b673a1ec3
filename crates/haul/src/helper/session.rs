//! The helper's end of a session with one leader.

use super::consent::{Decision, Request};
use super::event::HelperEvent;
use super::gate::Judged;
use super::job::Permit;
use super::mouth::Secret;
use super::refused::{self, Refusals};
use super::serve::Helping;
use super::work::{Because, work};
use crate::Answer;
use crate::trust::Role;
use haul_fetch::{Client, Lane, Source, Validator};
use haul_link::{
    Greeting, Heard, LinkError, Me, PeerId, Session, accept, answer, answer_group, dial, random,
};
use haul_span::Span;
use haul_wire::{Answer as WireAnswer, ByeReason, Frame, JobFacts, Offer, Scheme, Verdict};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;
use url::Url;

/// How long a leader may take for each step before the first grant.
const STEP: Duration = Duration::from_secs(20);

/// How much of the file the leader must show that it can read, in bytes: as much as a new
/// connection brings in one or two round trips.
const CHALLENGE: u64 = 16 << 10;

/// Why a session ended before work began.
pub(crate) struct Ended {
    pub(crate) because: String,
    /// Whether the same ask may be followed again.
    again: bool,
    /// What the leader is told.
    farewell: Option<ByeReason>,
}

impl Ended {
    fn with(reason: ByeReason, because: impl Into<String>) -> Self {
        Self { because: because.into(), again: false, farewell: Some(reason) }
    }
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self { because: error.to_string(), again: true, farewell: error.farewell() }
    }
}

/// How a leader comes to talk to this helper.
pub(crate) enum Call {
    /// It asked, and is to be dialled.
    Ask(Heard),
    /// It has dialled, from one of the helper's own networks or from afar.
    Caller { tcp: TcpStream, is_near: bool },
}

/// Helps whoever calls if the policy says so.
pub(crate) async fn help(call: Call, helping: &Helping) {
    let Err(ended) = meet(call, helping).await else { return };
    debug!(because = ended.because, "a session ended");
}

async fn meet(call: Call, helping: &Helping) -> Result<(), Ended> {
    let asked = match &call {
        Call::Ask(heard) => Some(heard.ask),
        Call::Caller { .. } => None,
    };
    let greeted = greeted(call, helping).await;
    let again = greeted.as_ref().is_err_and(|error| !matches!(error, LinkError::Stranger));
    if let Some(ask) = asked.filter(|_| again) {
        helping.admission().forget(PeerId(ask.leader), ask.id);
    }
    let Greeted { leader, from, mut greeting } = greeted?;
    let ask = greeting.ask;
    let ended = match agree(leader, from, &mut greeting, helping).await {
        Ok(Some(agreed)) => carry_out(greeting.session, agreed, helping).await,
        Ok(None) => Ok(()),
        Err(ended) => {
            if let Some(reason) = ended.farewell {
                // Whoever broke the protocol may have gone.
                let _ = greeting.session.send(&Frame::Bye { reason }).await;
            }
            Err(ended)
        }
    };
    if ended.as_ref().is_err_and(|ended| ended.again) {
        helping.admission().forget(leader, ask);
    }
    ended
}

/// A leader that has said who it is.
struct Greeted {
    leader: PeerId,
    from: IpAddr,
    greeting: Greeting,
}

/// Connects to whoever calls and exchanges greetings. Strangers from afar, and all of them where
/// only the group is helped, must prove to be of the group.
async fn greeted(call: Call, helping: &Helping) -> Result<Greeted, LinkError> {
    let Helping { identity, trust, group_only, .. } = helping;
    let (secured, is_fit) = match call {
        Call::Ask(Heard { ask, from }) => {
            let leader = Some(PeerId(ask.leader));
            (dial(identity, (from, ask.port).into(), leader).await?, true)
        }
        Call::Caller { tcp, is_near } => {
            let secured = accept(identity, tcp).await?;
            let is_fit = is_near || trust.knows(Role::Leader, secured.peer);
            (secured, is_fit)
        }
    };
    let (leader, from) = (secured.peer, secured.address.ip());
    let me = Me { id: identity.id(), name: &helping.machine, group: helping.group.as_ref() };
    let greeting = if is_fit && !group_only {
        answer(secured, me).await?
    } else {
        answer_group(secured, me).await?
    };
    Ok(Greeted { leader, from, greeting })
}

/// A leader that is to be helped, and what with.
struct Agreed {
    request: Request,
    source: Source,
    secret: Secret,
    permit: Permit,
}

/// From the offer to the word that grants may come; `None` means that the leader heard a no.
async fn agree(
    leader: PeerId,
    from: IpAddr,
    greeting: &mut Greeting,
    helping: &Helping,
) -> Result<Option<Agreed>, Ended> {
    let session = &mut greeting.session;
    let offer = match within("offer", session.next()).await? {
        Frame::Offer(offer) => offer,
        other => return Err(unexpected("an offer", &other)),
    };
    if !helping.admission().admit_offer(helping.gate.steady(), leader, greeting.ask) {
        return Err(Ended::with(ByeReason::NotWanted, "it has offered this before"));
    }
    let request = Request {
        standing: helping.trust.standing(Role::Leader, leader, &greeting.name, greeting.group),
        leader: greeting.name.clone(),
        leader_id: leader.to_string(),
        code: greeting.code.to_string(),
        scheme: if offer.scheme == Scheme::Https { "https" } else { "http" },
        host: safe_host(&offer.host),
        size: offer.size,
    };
    let Some(permit) = decide(leader, &request, from, helping, session).await? else {
        return Ok(None);
    };
    let job = match within("job", session.next()).await? {
        Frame::Job(job) => job,
        other => return Err(unexpected("the job", &other)),
    };
    let began = Instant::now();
    let client = permit.client();
    let prepared = tokio::select! {
        prepared = prepare(session, &job, &offer, &client) => prepared?,
        why = permit.supervise() => return Err(Ended::with(ByeReason::Stopped, why)),
    };
    match prepared {
        Ok((source, secret)) => Ok(Some(Agreed { request, source, secret, permit })),
        Err(because) => {
            permit.note_end(&because);
            drop(permit);
            Err(helping.refuse(leader, &request, began, because).await)
        }
    }
}

/// Helps until either side ends it.
async fn carry_out(
    session: Session,
    Agreed { request, source, secret, permit }: Agreed,
    helping: &Helping,
) -> Result<(), Ended> {
    helping
        .tell(HelperEvent::Helping { leader: request.leader.clone(), host: request.host.clone() });
    let sent = AtomicU64::new(0);
    let because = tokio::select! {
        because = work(session, &source, secret, &request, helping, &permit, &sent) => because,
        why = permit.supervise() => Because::stopped(&why),
    };
    permit.note_end(&because.text);
    let bytes = sent.load(Ordering::Relaxed);
    helping.tell(HelperEvent::Ended { leader: request.leader, bytes, because: because.text });
    if because.broken {
        Err(Ended { because: "the connection broke".into(), again: true, farewell: None })
    } else {
        Ok(())
    }
}

impl Helping {
    /// Turns away a leader whose file this helper does not get, for whatever reason. All reasons
    /// look alike and take the same time, so that nobody can feel their way around this machine's
    /// network with them; the owner is told which it was.
    async fn refuse(
        &self,
        leader: PeerId,
        request: &Request,
        began: Instant,
        because: String,
    ) -> Ended {
        self.refusals().note(Instant::now().into_std(), leader, &request.host);
        let name = request.leader.clone();
        self.tell(HelperEvent::Ended { leader: name, bytes: 0, because: because.clone() });
        sleep_until(began + refused::delay()).await;
        Ended::with(ByeReason::Unreachable, because)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the owner decide and tells the leader; a permit means yes.
async fn decide(
    leader: PeerId,
    request: &Request,
    from: IpAddr,
    helping: &Helping,
    session: &mut Session,
) -> Result<Option<Permit>, Ended> {
    let Judged { decision, because, asked, permit } =
        if helping.refusals().is_spent(Instant::now().into_std(), leader) {
            Judged::new(Decision::No, "it named too many files that this machine does not get")
        } else {
            helping.tell(asked_for(request, from));
            helping.gate.decide(request).await
        };
    let (said, answer) = match (decision, &permit) {
        (_, Some(permit)) => (WireAnswer::yes(permit.lanes(), permit.budget()), Answer::Yes),
        (Decision::Busy, None) => (WireAnswer::refusal(Verdict::Busy), Answer::Busy),
        (Decision::Later, None) => (WireAnswer::refusal(Verdict::Later), Answer::Later),
        (_, None) => (WireAnswer::NO, Answer::No),
    };
    session.send(&Frame::Answer(said)).await?;
    let leader = request.leader.clone();
    helping.tell(HelperEvent::Answered { leader, answer, because, asked });
    Ok(permit)
}

fn asked_for(request: &Request, address: IpAddr) -> HelperEvent {
    let Request { leader, standing, code, host, size, .. } = request.clone();
    HelperEvent::Asked { leader, address, standing, code, host, size }
}

/// What to fetch, and a secret part of it that the leader must show it can read by itself before
/// any byte is sent; or why this helper does not get the file.
async fn prepare(
    session: &mut Session,
    job: &JobFacts,
    offer: &Offer,
    client: &Client,
) -> Result<Result<(Source, Secret), String>, Ended> {
    let Some(span) = secret_span(job.length) else {
        return Err(Ended::with(ByeReason::Protocol, "an empty file needs no help"));
    };
    session.send(&Frame::Challenge { span }).await?;
    let source = match source_of(job, offer, client) {
        Ok(source) => source,
        Err(because) => return Ok(Err(because)),
    };
    match digest(&source, span).await {
        Ok(secret) => {
            session.send(&Frame::Ready).await?;
            Ok(Ok((source, secret)))
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The source that the job names, which must be the one that was offered.
fn source_of(job: &JobFacts, offer: &Offer, client: &Client) -> Result<Source, String> {
    let url: Url = job.url.parse().map_err(|_| "the job names no URL")?;
    let scheme = if offer.scheme == Scheme::Https { "https" } else { "http" };
    let same_host = url.host_str() == Some(offer.host.as_str());
    let same_port = url.port_or_known_default() == Some(offer.port);
    if url.scheme() != scheme || !same_host || !same_port || job.length != offer.size {
        return Err("the job is not what was offered".into());
    }
    let validator = job.validator.as_deref().map(str::parse::<Validator>).transpose();
    let validator = validator.map_err(|_| "the validator cannot be read")?;
    client.source(&url, job.length, validator.as_ref()).map_err(|error| error.to_string())
}

/// A part of the file that the leader cannot guess.
fn secret_span(length: u64) -> Option<Span> {
    let room = length.saturating_sub(CHALLENGE);
    let start = u64::from_le_bytes(random()) % (room + 1);
    Span::new(start, length)?.first(CHALLENGE)
}

async fn digest(source: &Source, span: Span) -> Result<Secret, haul_fetch::Error> {
    let mut digest = Sha256::new();
    let mut lane = Lane::new(source.clone());
    lane.open(span).await?;
    let mut from = None;
    while let Some(piece) = lane.next().await? {
        digest.update(&piece);
        from = from.or(lane.peer());
    }
    Ok(Secret { sha256: digest.finalize().into(), from: from.map(|peer| peer.ip()) })
}

async fn within<T>(
    awaiting: &'static str,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(STEP, work).await.unwrap_or(Err(LinkError::Silent { awaiting, after: STEP }))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> Ended {
    match frame {
        Frame::Bye { reason } => {
            Ended { because: reason_text(*reason).into(), again: false, farewell: None }
        }
        other => LinkError::Unexpected { awaiting, kind: other.kind() }.into(),
    }
}

/// A host's name as it can be shown: what a URL's host cannot hold is left out.
fn safe_host(host: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-._:[]".contains(*c);
    host.chars().filter(plain).take(253).collect()
}

pub(crate) fn reason_text(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "the download is done",
        ByeReason::Cancelled => "the download was stopped",
        ByeReason::Released => "the leader thanks you and goes on without you",
        ByeReason::Spoiled => "the leader could not use what was delivered",
        ByeReason::NotWanted => "the leader needs no more help",
        _ => "the leader ended it",
    }
}
