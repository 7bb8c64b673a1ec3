//! The half of a helper at work that speaks to the leader.

use super::refused;
use super::work::Because;
use crate::lanes::Word;
use haul_fetch::{Error, Kind, Retry, Source, Stage};
use haul_link::{FrameWriter, LinkError, Session};
use haul_span::Span;
use haul_wire::{ByeReason, FailReason, Failure, Frame};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

/// How much may be held back while the leader's proof is awaited, in bytes.
const HELD: usize = 8 << 20;

/// How long a leader may take to prove that it can read the file.
const PROOF: Duration = Duration::from_secs(20);

/// After how many bytes the leader must prove it again.
const PROVEN: u64 = 512 << 20;

/// How much of a piece the leader must read at a time, in bytes: what one round trip brings.
const CHALLENGE: usize = 16 << 10;

/// How long an origin that was not reached is left alone, in milliseconds.
const UNREACHED: u32 = 2000;

/// A part of the file that the leader has to read by itself.
pub(crate) struct Secret {
    /// The SHA-256 of the part.
    pub(crate) sha256: [u8; 32],
    /// Where it came from.
    pub(crate) from: Option<IpAddr>,
}

/// Speaks to the leader: data, signs of life and replies.
pub(super) struct Mouth<'a> {
    writer: FrameWriter,
    source: &'a Source,
    said: mpsc::Receiver<Word>,
    held: Held,
    /// Failures that are told later than they happened.
    late: JoinSet<Frame>,
    heard: Heard,
    proven: Proven,
    sent: &'a AtomicU64,
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

/// For which places the leader has shown that it reads the same there, and for how much more.
struct Proven {
    from: BTreeSet<IpAddr>,
    host: String,
    left: u64,
}

/// Why the mouth does not pass on any more.
enum Pause {
    /// The leader must read this part first.
    Challenge(Span, Secret),
    Ended(Because),
}

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
    ) -> Self {
        let (held, late) = (Held::default(), JoinSet::new());
        let proven = Proven { from: BTreeSet::new(), host: host_of(source), left: PROVEN };
        Self { writer, source, said, held, late, heard, proven, sent }
    }

    /// Until the leader has shown the secret, gives nothing but signs of life; then sends what the
    /// lanes fetch and have fetched, until there is a new secret for the leader to show.
    pub(super) async fn speak(mut self, first: Secret) -> Because {
        let mut secret = first;
        loop {
            let paused = match self.await_proof().await {
                Ok(proof) if proof == secret.sha256 => {
                    self.proven.renew(&secret, self.source);
                    self.pass_on().await
                }
                Ok(_) => return self.part().await,
                Err(pause) => pause,
            };
            match paused {
                Pause::Ended(because) => return because,
                Pause::Challenge(span, next) => {
                    self.heard.challenged.store(true, Ordering::Release);
                    if let Err(error) = self.writer.send(&Frame::Challenge { span }).await {
                        return error.into();
                    }
                    secret = next;
                }
            }
        }
    }

    async fn await_proof(&mut self) -> Result<[u8; 32], Pause> {
        let patience = sleep(PROOF);
        tokio::pin!(patience);
        let silent = LinkError::Silent { awaiting: "proof", after: PROOF };
        let mut signs = interval(Session::PING_AFTER);
        signs.reset();
        loop {
            let frame = tokio::select! {
                Some(proof) = self.heard.shown.recv() => return Ok(proof),
                () = &mut patience => return Err(silent.into()),
                Some(frame) = self.heard.control.recv() => frame,
                () = self.heard.pinged.notified() => Frame::Pong,
                Some(word) = self.said.recv(), if self.held.bytes < HELD => {
                    self.held.push(word);
                    continue;
                }
                // What comes in is held back, so nothing else tells the leader that this side lives.
                _ = signs.tick() => Frame::Ping,
            };
            self.send(frame).await?;
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
                if let Some(pause) = self.proven.missing(offset, &bytes, from, self.source) {
                    self.held.put_back(Word::Data { lease, offset, bytes, from });
                    return Err(pause);
                }
                let len = bytes.len() as u64;
                self.send(Frame::Data { lease, offset, bytes }).await?;
                self.sent.fetch_add(len, Ordering::Relaxed);
                self.proven.left = self.proven.left.saturating_sub(len);
                Ok(())
            }
            Word::Done { lease } => self.send(Frame::Done { lease }).await,
            Word::Failed { lease, error } => {
                let failed = Frame::Failed { lease, failure: failure_of(&error) };
                if !is_unreached(&error) {
                    return self.send(failed).await;
                }
                self.late.spawn(async {
                    sleep(refused::delay()).await;
                    failed
                });
                Ok(())
            }
        }
    }

    /// A farewell is the last word.
    async fn send(&mut self, frame: Frame) -> Result<(), Pause> {
        self.writer.send(&frame).await?;
        if matches!(frame, Frame::Bye { .. }) {
            self.writer.close().await;
            return Err(LinkError::Closed.into());
        }
        Ok(())
    }

    /// Leaves a leader that did not show the secret.
    async fn part(&mut self) -> Because {
        let bye = Frame::Bye { reason: ByeReason::Unproven };
        // Whether the leader hears it or not, it gets nothing.
        let _ = self.writer.send(&bye).await;
        self.writer.close().await;
        Because::said("the leader reads another file there")
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

impl Proven {
    /// The leader has shown that it reads the same.
    fn renew(&mut self, secret: &Secret, source: &Source) {
        self.from.extend(secret.from);
        self.host = host_of(source);
        self.left = PROVEN;
    }

    /// What the leader must show before it gets these bytes: they themselves, if they come from a
    /// host or address that no proof was for, or if the last proof is long ago. It is bound to read
    /// them by itself, as it does not have them from here.
    fn missing(
        &self,
        offset: u64,
        bytes: &[u8],
        from: Option<IpAddr>,
        source: &Source,
    ) -> Option<Pause> {
        let known = from.is_none_or(|from| self.from.contains(&from));
        if known && self.left > 0 && host_of(source) == self.host {
            return None;
        }
        let part = &bytes[..bytes.len().min(CHALLENGE)];
        let span = Span::new(offset, offset + part.len() as u64)?;
        Some(Pause::Challenge(span, Secret { sha256: Sha256::digest(part).into(), from }))
    }
}

fn host_of(source: &Source) -> String {
    source.final_url().host_str().unwrap_or_default().to_owned()
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
