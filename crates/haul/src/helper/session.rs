//! The helper's end of a session with one leader.

use super::consent::{Decision, Request};
use super::event::HelperEvent;
use super::serve::Helping;
use crate::Answer;
use crate::lanes::{Lanes, Order, Word};
use haul_fetch::{Kind, Lane, Retry, Source, Validator};
use haul_link::{
    FrameReader, FrameWriter, Greeting, Heard, LinkError, PeerId, Session, answer, dial, random,
};
use haul_span::Span;
use haul_wire::{
    Answer as WireAnswer, ByeReason, FailReason, Failure, Frame, JobFacts, Offer, Scheme, Verdict,
};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{interval, timeout};
use tracing::debug;
use url::Url;

/// How many connections a helper opens to an origin at the most.
const LANES: u8 = 8;

/// How long a policy may think; no answer is a no.
const DECISION: Duration = Duration::from_secs(45);

/// How long a leader may take for each step before the first grant.
const STEP: Duration = Duration::from_secs(20);

/// How much of the file the leader must show that it can read, in bytes.
const CHALLENGE: u64 = 64 << 10;

/// Pieces on their way to the leader: with 64 KiB each, 1 MiB.
const QUEUE: usize = 16;

/// How many leases a leader may have out with one helper.
const LEASES: u64 = 64;

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
    let leader_id = secured.peer.to_string();
    let greeting = answer(secured, me, &helping.settings.machine).await?;
    let Greeting { mut session, code, name, .. } = greeting;
    let offer = match within("offer", session.next()).await? {
        Frame::Offer(offer) => offer,
        other => return Err(unexpected("an offer", &other)),
    };
    let request = Request {
        leader: name,
        leader_id,
        code: code.to_string(),
        scheme: if offer.scheme == Scheme::Https { "https" } else { "http" },
        host: safe_host(&offer.host),
        size: offer.size,
    };
    let Some(_turn) = decide(&request, heard, helping, &mut session).await? else { return Ok(()) };
    let source = prepare(&mut session, &offer, helping).await?;
    helping
        .tell(HelperEvent::Helping { leader: request.leader.clone(), host: request.host.clone() });
    let sent = Arc::new(AtomicU64::new(0));
    let because = work(session, &source, &request, helping, &sent).await;
    let bytes = sent.load(Ordering::Relaxed);
    helping.tell(HelperEvent::Ended { leader: request.leader, bytes, because: because.text });
    if because.broken {
        Err(Ended { because: "the connection broke".into(), again: true })
    } else {
        Ok(())
    }
}

/// The helper's one turn; given back when dropped.
struct Turn<'a>(&'a Helping);

impl<'a> Turn<'a> {
    fn take(helping: &'a Helping) -> Option<Self> {
        (!helping.busy.swap(true, Ordering::AcqRel)).then_some(Self(helping))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// Lets the policy decide and tells the leader; a turn means yes.
async fn decide<'a>(
    request: &Request,
    heard: Heard,
    helping: &'a Helping,
    session: &mut Session,
) -> Result<Option<Turn<'a>>, Ended> {
    let turn = Turn::take(helping);
    let (decision, because) = if turn.is_none() {
        (Decision::Busy, "somebody else is being helped")
    } else {
        helping.tell(HelperEvent::Asked {
            leader: request.leader.clone(),
            address: heard.from,
            code: request.code.clone(),
            host: request.host.clone(),
            size: request.size,
        });
        match timeout(DECISION, helping.settings.consent.decide(request)).await {
            Ok(decision) => (decision, "so it was decided"),
            Err(_) => (Decision::No, "nobody answered within 45 s"),
        }
    };
    let (said, answered) = match decision {
        Decision::Yes => (WireAnswer::yes(LANES, u64::MAX), Answer::Yes),
        Decision::No => (WireAnswer::NO, Answer::No),
        Decision::Busy => (WireAnswer::refusal(Verdict::Busy), Answer::Busy),
        Decision::Later => (WireAnswer::refusal(Verdict::Later), Answer::Later),
    };
    session.send(&Frame::Answer(said)).await?;
    let leader = request.leader.clone();
    helping.tell(HelperEvent::Answered { leader, answer: answered, because: because.into() });
    Ok(turn.filter(|_| decision == Decision::Yes))
}

/// From the yes to the word that grants may come: what to fetch, and the proof that the leader
/// could read it by itself.
async fn prepare(session: &mut Session, offer: &Offer, helping: &Helping) -> Result<Source, Ended> {
    let job = match within("job", session.next()).await? {
        Frame::Job(job) => job,
        other => return Err(unexpected("the job", &other)),
    };
    let source = match source_of(&job, offer, helping) {
        Ok(source) => source,
        Err(because) => return part(session, ByeReason::Protocol, because).await,
    };
    let Some(span) = secret_span(job.length) else {
        return part(session, ByeReason::Protocol, "an empty file needs no help".into()).await;
    };
    session.send(&Frame::Challenge { span }).await?;
    let (mine, theirs) = tokio::join!(digest(&source, span), within("proof", session.next()));
    match (mine, theirs?) {
        (Ok(mine), Frame::Proof { sha256 }) if mine == sha256 => {
            session.send(&Frame::Ready).await?;
            Ok(source)
        }
        (Ok(_), Frame::Proof { .. }) => {
            part(session, ByeReason::Unproven, "the leader reads another file there".into()).await
        }
        (Err(error), Frame::Proof { .. }) => {
            part(session, ByeReason::Unreachable, error.to_string()).await
        }
        (_, other) => Err(unexpected("a proof", &other)),
    }
}

/// Ends the session with a word to the leader; the same ask is not followed again.
async fn part<T>(session: &mut Session, reason: ByeReason, because: String) -> Result<T, Ended> {
    session.send(&Frame::Bye { reason }).await?;
    Err(Ended { because, again: false })
}

/// The source that the job names, which must be the one that was offered.
fn source_of(job: &JobFacts, offer: &Offer, helping: &Helping) -> Result<Source, String> {
    let url: Url = job.url.parse().map_err(|_| "the job names no URL")?;
    let scheme = if offer.scheme == Scheme::Https { "https" } else { "http" };
    let same_host = url.host_str() == Some(offer.host.as_str());
    let same_port = url.port_or_known_default() == Some(offer.port);
    if url.scheme() != scheme || !same_host || !same_port || job.length != offer.size {
        return Err("the job is not what was offered".into());
    }
    let validator = job.validator.as_deref().map(str::parse::<Validator>).transpose();
    let validator = validator.map_err(|_| "the validator cannot be read")?;
    helping
        .settings
        .client
        .source(&url, job.length, validator.as_ref())
        .map_err(|error| error.to_string())
}

/// A part of the file that the leader cannot guess.
fn secret_span(length: u64) -> Option<Span> {
    let room = length.saturating_sub(CHALLENGE);
    let start = u64::from_le_bytes(random()) % (room + 1);
    Span::new(start, length)?.first(CHALLENGE)
}

async fn digest(source: &Source, span: Span) -> Result<[u8; 32], haul_fetch::Error> {
    let mut digest = Sha256::new();
    let mut lane = Lane::new(source.clone());
    lane.open(span).await?;
    while let Some(piece) = lane.next().await? {
        digest.update(&piece);
    }
    Ok(digest.finalize().into())
}

/// Why work ended.
struct Because {
    text: String,
    /// The connection broke, so the leader may want help again.
    broken: bool,
}

async fn work(
    session: Session,
    source: &Source,
    request: &Request,
    helping: &Helping,
    sent: &Arc<AtomicU64>,
) -> Because {
    let (reader, writer) = session.granted();
    let (words, said) = mpsc::channel(QUEUE);
    let (replies, control) = mpsc::unbounded_channel();
    let credit = Arc::new(Semaphore::new(0));
    let lanes = Lanes::start(source, LANES, None, &words, Some(&credit));
    let length = source.length().unwrap_or(0);
    tokio::select! {
        because = hear(reader, &lanes, &credit, &replies, length) => because,
        error = speak(writer, said, control, sent) => Because { text: error.to_string(), broken: true },
        () = show(request, helping, sent) => Because { text: String::new(), broken: false },
    }
}

/// Does what the leader says, until it ends.
async fn hear(
    mut reader: FrameReader,
    lanes: &Lanes,
    credit: &Semaphore,
    replies: &mpsc::UnboundedSender<Frame>,
    length: u64,
) -> Because {
    let protocol = |text: &str| Because { text: text.to_owned(), broken: false };
    loop {
        match reader.next_alive().await {
            Ok(Frame::Grant { span, .. }) if span.end() > length => {
                return protocol("the leader granted bytes that the file does not have");
            }
            Ok(Frame::Grant { lease, span }) => lanes.order(Order::Grant { lease, span }),
            Ok(Frame::Trim { lease, end }) => lanes.order(Order::Trim { lease, end }),
            Ok(Frame::Revoke { lease }) => lanes.order(Order::Revoke { lease }),
            Ok(Frame::Lanes { lanes: most }) => lanes.order(Order::Lanes { lanes: most }),
            Ok(Frame::Credit { bytes }) => {
                if credit.available_permits() > CREDIT_MOST {
                    return protocol("the leader gave credit without end");
                }
                credit.add_permits(bytes as usize);
            }
            Ok(Frame::Ping) => drop(replies.send(Frame::Pong)),
            Ok(Frame::Pong) => {}
            Ok(Frame::Bye { reason }) => return protocol(reason_text(reason)),
            Ok(_) => return protocol("the leader sent a frame that does not belong here"),
            Err(error) => return Because { text: error.to_string(), broken: true },
        }
        if lanes.held() > LEASES {
            return protocol("the leader granted too many leases at a time");
        }
    }
}

/// Sends what the lanes fetched, and a sign of life where there is nothing; returns what broke.
async fn speak(
    mut writer: FrameWriter,
    mut said: mpsc::Receiver<Word>,
    mut control: mpsc::UnboundedReceiver<Frame>,
    sent: &AtomicU64,
) -> LinkError {
    loop {
        let next = async {
            tokio::select! {
                biased;
                Some(frame) = control.recv() => frame,
                Some(word) = said.recv() => frame_of(word),
            }
        };
        let frame = timeout(Session::PING_AFTER, next).await.unwrap_or(Frame::Ping);
        if let Err(error) = writer.send(&frame).await {
            return error;
        }
        if let Frame::Data { bytes, .. } = &frame {
            sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Tells once a second how far it is.
async fn show(request: &Request, helping: &Helping, sent: &AtomicU64) {
    let mut seconds = interval(Duration::from_secs(1));
    let mut before = 0;
    seconds.tick().await;
    loop {
        seconds.tick().await;
        let bytes = sent.load(Ordering::Relaxed);
        let rate = bytes - std::mem::replace(&mut before, bytes);
        helping.tell(HelperEvent::Progress { leader: request.leader.clone(), bytes, rate });
    }
}

fn frame_of(word: Word) -> Frame {
    match word {
        Word::Data { lease, offset, bytes } => Frame::Data { lease, offset, bytes },
        Word::Done { lease } => Frame::Done { lease },
        Word::Failed { lease, error } => Frame::Failed { lease, failure: failure_of(&error) },
    }
}

/// What a leader is told of an error: its class, and when to come back.
fn failure_of(error: &haul_fetch::Error) -> Failure {
    let pause = match error.retry() {
        Retry::After(pause) => pause,
        Retry::Never | Retry::Elsewhere => Duration::ZERO,
    };
    let reason = match error.kind() {
        Kind::Busy => FailReason::Throttled,
        Kind::Changed => FailReason::Changed,
        Kind::Http => FailReason::Origin,
        Kind::Network => FailReason::Network,
        _ => FailReason::Refused,
    };
    Failure { reason, pause_ms: u32::try_from(pause.as_millis()).unwrap_or(u32::MAX) }
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

fn reason_text(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "the download is done",
        ByeReason::Cancelled => "the download was stopped",
        ByeReason::Released => "the leader thanks you and goes on without you",
        ByeReason::Spoiled => "the leader could not use what was delivered",
        ByeReason::NotWanted => "the leader needs no more help",
        _ => "the leader ended it",
    }
}

/// More credit than any leader gives at a time, in bytes.
const CREDIT_MOST: usize = 64 << 20;
