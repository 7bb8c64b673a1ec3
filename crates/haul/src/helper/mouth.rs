//! The half of a helper at work that speaks to the leader.

use super::limits::refused;
use super::proof::{Doubt, PROVEN, Proofs, ProvenData, Secret};
use super::proven_writer::ProvenWriter;
use super::work::Because;
use crate::backpressure::{Backpressure, pending};
use crate::lanes::{Place, Word};
use haul_fetch::{Error, Kind, Retry, Source, Stage};
use haul_link::{FrameWriter, LinkError, Session, random};
use haul_span::Span;
use haul_wire::{ByeReason, FailReason, Failure, Frame};
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

/// How long a leader may take to prove that it can read the file.
const PROOF: Duration = Duration::from_secs(20);

/// How long an origin that was not reached is left alone, in milliseconds.
const UNREACHED: u32 = 2000;

/// Speaks to the leader: data, signs of life and replies.
pub(super) struct Mouth<'a> {
    writer: ProvenWriter,
    source: &'a Source,
    said: mpsc::Receiver<Word>,
    held: Held,
    /// How much may be held back while the leader's proof is awaited, in bytes.
    held_most: usize,
    /// Failures that are told later than they happened.
    late: JoinSet<Frame>,
    heard: Heard,
    proofs: Proofs,
    backpressure: Backpressure,
    sent: &'a AtomicU64,
    /// Notes a host that was not reached; says whether the leader has led to too many.
    refuse: &'a (dyn Fn(&str) -> bool + Sync),
}

/// What the other half heard.
pub(super) struct Heard {
    /// What is to be said for it.
    pub(super) control: mpsc::UnboundedReceiver<Frame>,
    /// The leader's proofs.
    pub(super) shown: mpsc::UnboundedReceiver<[u8; 32]>,
    /// Whether a proof is awaited.
    pub(super) challenged: Arc<AtomicBool>,
    /// That the leader wants a sign of life.
    pub(super) pinged: Arc<Notify>,
}

impl Heard {
    /// What is to be said for it next; cancel safe.
    async fn reply(&mut self) -> Frame {
        tokio::select! {
            Some(frame) = self.control.recv() => frame,
            () = self.pinged.notified() => Frame::Pong,
        }
    }
}

/// What the lanes fetched before the leader's proof came.
#[derive(Default)]
struct Held {
    words: VecDeque<Word>,
    bytes: usize,
}

/// Why the mouth does not pass on any more.
enum Pause {
    /// The leader must read a part of the file first.
    Challenge(Challenge),
    Ended(Because),
}

/// A part of the file that the leader has to read, and this side as well if it has not yet.
struct Challenge {
    span: Span,
    secret: Reading,
}

/// A secret, or why it cannot be read.
type Reading = Pin<Box<dyn Future<Output = Result<Secret, String>> + Send>>;

impl From<LinkError> for Pause {
    fn from(error: LinkError) -> Self {
        Self::Ended(error.into())
    }
}

impl<'a> Mouth<'a> {
    pub(super) fn new(
        writer: FrameWriter,
        source: &'a Source,
        said: mpsc::Receiver<Word>,
        heard: Heard,
        sent: &'a AtomicU64,
        held_most: usize,
        refuse: &'a (dyn Fn(&str) -> bool + Sync),
    ) -> Self {
        let (held, late) = (Held::default(), JoinSet::new());
        let length = source.length().unwrap_or_default();
        let proofs = Proofs::none(length, PROVEN);
        let backpressure = Backpressure::since(Instant::now());
        let writer = ProvenWriter::new(writer);
        Self {
            writer,
            source,
            said,
            held,
            held_most,
            late,
            heard,
            proofs,
            backpressure,
            sent,
            refuse,
        }
    }

    /// Until the leader has shown the secret, gives nothing but signs of life; then sends what the
    /// lanes fetch and have fetched, until there is a new secret for the leader to show.
    pub(super) async fn speak(mut self, first: Secret) -> Because {
        let mut secret: Reading = Box::pin(ready(Ok(first)));
        loop {
            let paused = match self.await_proof(secret).await {
                Ok(()) => self.pass_on().await,
                Err(pause) => pause,
            };
            match paused {
                Pause::Ended(because) => return because,
                Pause::Challenge(next) => {
                    self.heard.challenged.store(true, Ordering::Release);
                    let challenge = Frame::Challenge { span: next.span };
                    if let Err(error) = self.writer.send(&challenge).await {
                        return error.into();
                    }
                    secret = next.secret;
                }
            }
        }
    }

    /// Returns when the leader has shown the secret.
    async fn await_proof(&mut self, secret: Reading) -> Result<(), Pause> {
        let (proof, secret) = self.hold_back_until_shown(secret).await?;
        match secret {
            Ok(secret) if proof == Some(secret.sha256) => {
                self.proofs.renew(secret.place.as_ref(), u64::from_le_bytes(random()));
                Ok(())
            }
            Ok(_) => {
                Err(self.part(ByeReason::Unproven, "the leader reads another file there").await)
            }
            Err(because) => {
                sleep(refused::delay()).await;
                Err(self.part(ByeReason::Unreachable, &because).await)
            }
        }
    }

    /// The leader's proof and what it should be. Holds back meanwhile what the lanes fetch.
    async fn hold_back_until_shown(
        &mut self,
        secret: Reading,
    ) -> Result<(Option<[u8; 32]>, Result<Secret, String>), Pause> {
        let Self { writer, said, held, held_most, heard, .. } = self;
        let Heard { control, shown, pinged, .. } = heard;
        let mut both = pin!(timeout(PROOF, async { tokio::join!(shown.recv(), secret) }));
        let mut signs = interval(Session::PING_AFTER);
        signs.reset();
        loop {
            let frame = tokio::select! {
                shown = &mut both => {
                    let silent = LinkError::Silent { awaiting: "proof", after: PROOF };
                    return shown.map_err(|_| silent.into());
                }
                Some(frame) = control.recv() => frame,
                () = pinged.notified() => Frame::Pong,
                Some(word) = said.recv(), if held.bytes < *held_most => {
                    held.push(word);
                    continue;
                }
                // What comes in is held back, so nothing else tells the leader that this side lives.
                _ = signs.tick() => Frame::Ping,
            };
            writer.send(&frame).await?;
        }
    }

    /// Sends what the lanes fetched, and a sign of life where there is nothing.
    async fn pass_on(&mut self) -> Pause {
        loop {
            let next = timeout(Session::PING_AFTER, self.next()).await;
            let sent = match next {
                Err(_) => self.send(Frame::Ping).await,
                Ok(Next::Frame(frame)) => self.send(frame).await,
                Ok(Next::Word(word)) => self.say(word).await,
            };
            if let Err(pause) = sent {
                return pause;
            }
        }
    }

    /// What is to be sent next; cancel safe.
    async fn next(&mut self) -> Next {
        let Self { said, held, late, heard, .. } = self;
        tokio::select! {
            biased;
            frame = heard.reply() => Next::Frame(frame),
            Some(Ok(frame)) = late.join_next() => Next::Frame(frame),
            Some(word) = held.or(said) => Next::Word(word),
        }
    }

    async fn say(&mut self, word: Word) -> Result<(), Pause> {
        match word {
            Word::Data { lease, offset, bytes, from } => {
                match self.proofs.pass(lease, offset, &bytes, from.as_ref()) {
                    Ok(data) => self.send_data(&data, bytes.len() as u64).await,
                    Err(doubt) => {
                        self.held.put_back(Word::Data { lease, offset, bytes, from });
                        Err(challenge(doubt, self.source))
                    }
                }
            }
            Word::Done { lease } => self.send(Frame::Done { lease }).await,
            Word::Failed { lease, error } => {
                let failed = Frame::Failed { lease, failure: failure_of(&error) };
                if !is_unreached(&error) {
                    return self.send(failed).await;
                }
                if (self.refuse)(error.host().unwrap_or_default()) {
                    sleep(refused::delay()).await;
                    return Err(self.part(ByeReason::Unreachable, refused::TOO_MANY).await);
                }
                self.late.spawn(async {
                    sleep(refused::delay()).await;
                    failed
                });
                Ok(())
            }
        }
    }

    /// Sends data, and tells the leader now and then how long that waits for the way to it.
    async fn send_data(&mut self, data: &ProvenData, len: u64) -> Result<(), Pause> {
        let (sent, waited) = pending(self.writer.send_data(data)).await;
        sent?;
        self.sent.fetch_add(len, Ordering::Relaxed);
        self.backpressure.note(waited);
        match self.backpressure.tell_if_due(Instant::now()) {
            Some(share) => self.send(Frame::Held { share }).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, frame: Frame) -> Result<(), Pause> {
        Ok(self.writer.send(&frame).await?)
    }

    /// Leaves a leader that gets nothing more.
    async fn part(&mut self, reason: ByeReason, because: &str) -> Pause {
        self.writer.part(reason).await;
        Pause::Ended(Because::said(because))
    }
}

/// What the leader is asked to read for what is in doubt.
fn challenge(doubt: Doubt, source: &Source) -> Pause {
    match doubt {
        Doubt::Stale(span, secret) => {
            Pause::Challenge(Challenge { span, secret: Box::pin(ready(Ok(secret))) })
        }
        Doubt::Elsewhere(span, place) => {
            let there = source.at(&place.url, place.address);
            let secret = Box::pin(async move { read_there(&there, span, &place).await });
            Pause::Challenge(Challenge { span, secret })
        }
        Doubt::Nowhere => Pause::Ended(Because::said("nobody knows where the bytes come from")),
    }
}

/// Reads the secret of a place, and nothing that is led on from there.
async fn read_there(there: &Source, span: Span, place: &Place) -> Result<Secret, String> {
    let secret = Secret::read(there, span).await.map_err(|error| error.to_string())?;
    match &secret.place {
        Some(read) if read == place => Ok(secret),
        _ => Err("what is to be proved is somewhere else each time".into()),
    }
}

enum Next {
    Frame(Frame),
    Word(Word),
}

impl Held {
    fn push(&mut self, word: Word) {
        self.bytes += len_of(&word);
        self.words.push_back(word);
    }

    /// Takes back what was to be sent next.
    fn put_back(&mut self, word: Word) {
        self.bytes += len_of(&word);
        self.words.push_front(word);
    }

    /// What was held back longest, or else what `said` brings next.
    async fn or(&mut self, said: &mut mpsc::Receiver<Word>) -> Option<Word> {
        match self.words.pop_front() {
            Some(word) => {
                self.bytes -= len_of(&word);
                Some(word)
            }
            None => said.recv().await,
        }
    }
}

fn len_of(word: &Word) -> usize {
    if let Word::Data { bytes, .. } = word { bytes.len() } else { 0 }
}

/// Whether the helper did not get to, or may not ask, whoever the error is about.
fn is_unreached(error: &Error) -> bool {
    match error {
        Error::Refused { .. }
        | Error::Resolve { .. }
        | Error::Connect { .. }
        | Error::Tls { .. }
        | Error::TooManyRedirects { .. }
        | Error::Downgrade { .. }
        | Error::BadRedirect { .. } => true,
        Error::Timeout { stage, .. } => !matches!(stage, Stage::Head | Stage::Body),
        _ => false,
    }
}

/// What a leader is told of an error: its class, and when to come back. All that kept this helper
/// from a place is one class.
fn failure_of(error: &Error) -> Failure {
    if is_unreached(error) {
        return Failure { reason: FailReason::Network, pause_ms: UNREACHED };
    }
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
