//! A helper at work for one leader: grants in, bytes out.

use super::consent::Request;
use super::event::HelperEvent;
use super::job::Permit;
use super::serve::Helping;
use super::session::reason_text;
use crate::lanes::{Lanes, Order, Word};
use haul_fetch::{Kind, Retry, Source};
use haul_link::{FrameReader, FrameWriter, LinkError, Session};
use haul_wire::{ByeReason, FailReason, Failure, Frame};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{interval, sleep, timeout};

/// Pieces on their way to the leader: with 64 KiB each, 1 MiB.
const QUEUE: usize = 16;

/// How many leases a leader may have out with one helper.
const LEASES: u64 = 64;

/// How long a leader may take to prove that it can read the file.
const PROOF: Duration = Duration::from_secs(20);

/// The SHA-256 of the part of the file that the leader has to read by itself.
pub(crate) type Secret = [u8; 32];

/// Why work ended.
pub(crate) struct Because {
    pub(crate) text: String,
    /// The connection broke, so the leader may want help again.
    pub(crate) broken: bool,
}

impl Because {
    pub(crate) fn said(text: &str) -> Self {
        Self { text: text.to_owned(), broken: false }
    }
}

impl From<LinkError> for Because {
    fn from(error: LinkError) -> Self {
        Self { text: error.to_string(), broken: true }
    }
}

/// Fetches what the leader grants, and sends it from when the leader has shown the secret.
pub(crate) async fn work(
    session: Session,
    source: &Source,
    secret: Secret,
    request: &Request,
    helping: &Helping,
    permit: &Permit,
    sent: &AtomicU64,
) -> Because {
    let (reader, writer) = session.granted();
    let (words, said) = mpsc::channel(QUEUE);
    let (replies, control) = mpsc::unbounded_channel();
    let (proof, shown) = oneshot::channel();
    let credit = Arc::new(Semaphore::new(0));
    let lanes = Lanes::start(source, permit.lanes(), None, &words, Some(&credit));
    let length = source.length().unwrap_or(0);
    let mut ears = Ears { lanes, credit, replies, proof: Some(proof), length };
    let mouth = Mouth { writer, said, control, permit, sent };
    tokio::select! {
        because = ears.hear(reader) => because,
        because = mouth.speak(secret, shown) => because,
        () = show(request, helping, sent) => Because::said(""),
    }
}

/// The half that does what the leader says.
struct Ears {
    lanes: Lanes,
    credit: Arc<Semaphore>,
    replies: mpsc::UnboundedSender<Frame>,
    /// Where the leader's proof goes, until it came.
    proof: Option<oneshot::Sender<Secret>>,
    length: u64,
}

impl Ears {
    async fn hear(&mut self, mut reader: FrameReader) -> Because {
        loop {
            let obeyed = match reader.next_alive().await {
                Ok(frame) => self.obey(&frame),
                Err(error) => return error.into(),
            };
            if let Err(why) = obeyed {
                return Because::said(why);
            }
            if self.lanes.held() > LEASES {
                return Because::said("the leader granted too many leases at a time");
            }
        }
    }

    /// Does what a frame says, or says why it ends the session.
    fn obey(&mut self, frame: &Frame) -> Result<(), &'static str> {
        match *frame {
            Frame::Grant { span, .. } if span.end() > self.length => {
                return Err("the leader granted bytes that the file does not have");
            }
            Frame::Grant { lease, span } => self.lanes.order(Order::Grant { lease, span }),
            Frame::Trim { lease, end } => self.lanes.order(Order::Trim { lease, end }),
            Frame::Revoke { lease } => self.lanes.order(Order::Revoke { lease }),
            Frame::Lanes { lanes } => self.lanes.order(Order::Lanes { lanes }),
            Frame::Credit { .. } if self.credit.available_permits() > CREDIT_MOST => {
                return Err("the leader gave credit without end");
            }
            Frame::Credit { bytes } => self.credit.add_permits(bytes as usize),
            Frame::Proof { sha256 } => {
                let proof = self.proof.take().ok_or("the leader proved what was not asked")?;
                // A mouth that does not listen has ended, and the session with it.
                let _ = proof.send(sha256);
            }
            Frame::Ping => drop(self.replies.send(Frame::Pong)),
            Frame::Pong => {}
            Frame::Bye { reason } => return Err(reason_text(reason)),
            _ => return Err("the leader sent a frame that does not belong here"),
        }
        Ok(())
    }
}

/// The half that speaks to the leader.
struct Mouth<'a> {
    writer: FrameWriter,
    said: mpsc::Receiver<Word>,
    control: mpsc::UnboundedReceiver<Frame>,
    permit: &'a Permit,
    sent: &'a AtomicU64,
}

impl Mouth<'_> {
    /// Until the leader has shown the secret, gives nothing but signs of life, while the lanes fill
    /// the queue and stop; then sends what they fetched.
    async fn speak(mut self, secret: Secret, shown: oneshot::Receiver<Secret>) -> Because {
        match self.await_proof(shown).await {
            Ok(proof) if proof == secret => self.pass_on().await,
            Ok(_) => self.part(ByeReason::Unproven, "the leader reads another file there").await,
            Err(because) => because,
        }
    }

    async fn await_proof(&mut self, shown: oneshot::Receiver<Secret>) -> Result<Secret, Because> {
        let silent = LinkError::Silent { awaiting: "proof", after: PROOF };
        let (mut shown, patience) = (shown, sleep(PROOF));
        tokio::pin!(patience);
        loop {
            let frame = tokio::select! {
                proof = &mut shown => return proof.map_err(|_| LinkError::Closed.into()),
                () = &mut patience => return Err(silent.into()),
                why = self.permit.ended() => {
                    return Err(self.part(ByeReason::Stopped, &why).await);
                }
                Some(frame) = self.control.recv() => frame,
                () = sleep(Session::PING_AFTER) => Frame::Ping,
            };
            self.writer.send(&frame).await?;
        }
    }

    /// Sends what the lanes fetched, and a sign of life where there is nothing; until the
    /// connection breaks or the job has to end.
    async fn pass_on(&mut self) -> Because {
        loop {
            let Self { said, control, permit, .. } = self;
            let next = async {
                tokio::select! {
                    biased;
                    why = permit.ended() => Err(why),
                    Some(frame) = control.recv() => Ok(frame),
                    Some(word) = said.recv() => Ok(frame_of(word)),
                }
            };
            let frame = match timeout(Session::PING_AFTER, next).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(why)) => return self.part(ByeReason::Stopped, &why).await,
                Err(_) => Frame::Ping,
            };
            if let Err(error) = self.writer.send(&frame).await {
                return error.into();
            }
            if let Frame::Data { bytes, .. } = &frame {
                self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Leaves the leader with a word.
    async fn part(&mut self, reason: ByeReason, because: &str) -> Because {
        let bye = Frame::Bye { reason };
        // Whether the leader hears it or not, it gets nothing.
        let _ = self.writer.send(&bye).await;
        self.writer.close().await;
        Because::said(because)
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

/// More credit than any leader gives at a time, in bytes.
const CREDIT_MOST: usize = 64 << 20;
