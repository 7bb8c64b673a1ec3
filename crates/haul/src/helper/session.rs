//! The helper's end of a session with one leader.

use super::consent::{Decision, Request};
use super::event::HelperEvent;
use super::gate::Judged;
use super::job::Permit;
use super::serve::Helping;
use super::work::{Because, Secret, work};
use crate::Answer;
use crate::trust::Role;
use haul_fetch::{Client, Lane, Source, Validator};
use haul_link::{Greeting, Heard, LinkError, Me, PeerId, Session, answer, dial, random};
use haul_span::Span;
use haul_wire::{Answer as WireAnswer, ByeReason, Frame, JobFacts, Offer, Scheme, Verdict};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tracing::debug;
use url::Url;

/// How long a leader may take for each step before the first grant.
const STEP: Duration = Duration::from_secs(20);

/// How much of the file the leader must show that it can read, in bytes: as much as a new
/// connection brings in one or two round trips.
const CHALLENGE: u64 = 16 << 10;

/// Why a session ended, and whether the same ask may be followed again.
struct Ended {
    because: String,
    again: bool,
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self { because: error.to_string(), again: true }
    }
}

/// Dials whoever asked and helps if the policy says so. Says whether the ask may be followed again.
pub(crate) async fn help(heard: Heard, helping: &Helping) -> bool {
    match meet(heard, helping).await {
        Ok(()) => false,
        Err(ended) => {
            debug!(from = %heard.from, because = ended.because, "a session ended");
            ended.again
        }
    }
}

async fn meet(heard: Heard, helping: &Helping) -> Result<(), Ended> {
    let address = (heard.from, heard.ask.port).into();
    let me = helping.identity.id();
    let secured = dial(&helping.identity, address, Some(PeerId(heard.ask.leader))).await?;
    let (id, group) = (secured.peer, helping.group.as_ref());
    let me = Me { id: me, name: &helping.machine, group };
    let Greeting { mut session, code, name, group, .. } = answer(secured, me).await?;
    if helping.group_only && !group {
        return part(&mut session, ByeReason::NotWanted, "it is not of the group".into()).await;
    }
    let offer = match within("offer", session.next()).await? {
        Frame::Offer(offer) => offer,
        other => return Err(unexpected("an offer", &other)),
    };
    let request = Request {
        standing: helping.trust.standing(Role::Leader, id, &name, group),
        leader: name,
        leader_id: id.to_string(),
        code: code.to_string(),
        scheme: if offer.scheme == Scheme::Https { "https" } else { "http" },
        host: safe_host(&offer.host),
        size: offer.size,
    };
    let Some(permit) = decide(&request, heard, helping, &mut session).await? else {
        return Ok(());
    };
    let sent = AtomicU64::new(0);
    let lent = lend(session, &offer, &request, helping, &permit, &sent);
    let because = tokio::select! {
        because = lent => because?,
        why = permit.supervise() => Because::said(&why),
    };
    permit.note_end(&because.text);
    let bytes = sent.load(Ordering::Relaxed);
    helping.tell(HelperEvent::Ended { leader: request.leader, bytes, because: because.text });
    if because.broken {
        Err(Ended { because: "the connection broke".into(), again: true })
    } else {
        Ok(())
    }
}

/// Does what was said yes to.
async fn lend(
    mut session: Session,
    offer: &Offer,
    request: &Request,
    helping: &Helping,
    permit: &Permit,
    sent: &AtomicU64,
) -> Result<Because, Ended> {
    let (source, secret) = prepare(&mut session, offer, &permit.client()).await?;
    helping
        .tell(HelperEvent::Helping { leader: request.leader.clone(), host: request.host.clone() });
    Ok(work(session, &source, secret, request, helping, permit, sent).await)
}

/// Lets the owner decide and tells the leader; a permit means yes.
async fn decide(
    request: &Request,
    heard: Heard,
    helping: &Helping,
    session: &mut Session,
) -> Result<Option<Permit>, Ended> {
    helping.tell(HelperEvent::Asked {
        leader: request.leader.clone(),
        address: heard.from,
        standing: request.standing.clone(),
        code: request.code.clone(),
        host: request.host.clone(),
        size: request.size,
    });
    let Judged { decision, because, asked, permit } = helping.gate.decide(request).await;
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

/// From the yes to the word that grants may come: what to fetch, and a secret part of it that the
/// leader must show it can read by itself before any byte is sent.
async fn prepare(
    session: &mut Session,
    offer: &Offer,
    client: &Client,
) -> Result<(Source, Secret), Ended> {
    let job = match within("job", session.next()).await? {
        Frame::Job(job) => job,
        other => return Err(unexpected("the job", &other)),
    };
    let source = match source_of(&job, offer, client) {
        Ok(source) => source,
        Err(because) => return part(session, ByeReason::Protocol, because).await,
    };
    let Some(span) = secret_span(job.length) else {
        return part(session, ByeReason::Protocol, "an empty file needs no help".into()).await;
    };
    session.send(&Frame::Challenge { span }).await?;
    match digest(&source, span).await {
        Ok(secret) => {
            session.send(&Frame::Ready).await?;
            Ok((source, secret))
        }
        Err(error) => part(session, ByeReason::Unreachable, error.to_string()).await,
    }
}

/// Ends the session with a word to the leader; the same ask is not followed again.
async fn part<T>(session: &mut Session, reason: ByeReason, because: String) -> Result<T, Ended> {
    session.send(&Frame::Bye { reason }).await?;
    Err(Ended { because, again: false })
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
    while let Some(piece) = lane.next().await? {
        digest.update(&piece);
    }
    Ok(digest.finalize().into())
}

async fn within<T>(
    awaiting: &'static str,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(STEP, work).await.unwrap_or(Err(LinkError::Silent { awaiting, after: STEP }))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> Ended {
    match frame {
        Frame::Bye { reason } => Ended { because: reason_text(*reason).into(), again: false },
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
