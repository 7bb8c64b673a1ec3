//! A helper at work for one leader: grants in, bytes out.

use super::consent::Request;
use super::event::HelperEvent;
use super::job::Permit;
use super::mouth::{Heard, Mouth};
use super::proof::Secret;
use super::serve::Helping;
use super::session::reason_text;
use crate::lanes::{Lanes, Order};
use crate::limits::party::Party;
use haul_fetch::Source;
use haul_link::{FrameReader, LinkError, Session};
use haul_wire::{ByeReason, Frame};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{interval, timeout};

/// Pieces on their way to the leader: with 64 KiB each, 1 MiB.
const QUEUE: usize = 16;

/// How many leases a leader may have out with one helper.
const LEASES: u64 = 64;

/// How long a leader that broke the protocol is given to hear so.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why work ended.
pub(crate) struct Because {
    pub(crate) text: String,
    /// The connection broke, so the leader may want help again.
    pub(crate) broken: bool,
    /// The leader said that it has the file.
    pub(crate) done: bool,
    /// The leader has no need of it now, and may have later.
    pub(crate) unwanted: bool,
    /// What the leader is told.
    farewell: Option<ByeReason>,
}

impl Because {
    pub(super) fn said(text: &str) -> Self {
        Self { text: text.to_owned(), broken: false, done: false, unwanted: false, farewell: None }
    }

    /// The owner, or a rule of theirs, ended it.
    pub(super) fn stopped(why: &str) -> Self {
        Self { farewell: Some(ByeReason::Stopped), ..Self::said(why) }
    }
}

impl From<LinkError> for Because {
    fn from(error: LinkError) -> Self {
        let (broken, farewell) = (error.is_loss(), error.farewell());
        Self { broken, farewell, ..Self::said(&error.to_string()) }
    }
}

/// What a frame of the leader does to the session, if it ends it.
enum End {
    /// The leader said so.
    Told(ByeReason),
    /// The frame does not belong here.
    Wrong(&'static str),
}

impl From<End> for Because {
    fn from(end: End) -> Self {
        match end {
            End::Told(reason) => Self {
                done: reason == ByeReason::Done,
                unwanted: reason == ByeReason::NotWanted,
                ..Self::said(reason_text(reason))
            },
            End::Wrong(text) => Self { farewell: Some(ByeReason::Protocol), ..Self::said(text) },
        }
    }
}

/// Fetches what the leader grants, and sends it from when the leader has shown the secret.
pub(crate) async fn work(
    session: Session,
    source: &Source,
    secret: Secret,
    request: &Request,
    who: Party,
    helping: &Helping,
    permit: &Permit,
) -> Because {
    let sent = permit.sent();
    let (reader, writer) = session.granted();
    let (words, said) = mpsc::channel(QUEUE);
    let (replies, control) = mpsc::unbounded_channel();
    let (proofs, shown) = mpsc::unbounded_channel();
    let (challenged, pinged) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
    let credit = Arc::new(Semaphore::new(0));
    let lanes = Lanes::start(source, permit.lanes(), None, &words, Some(&credit));
    let length = source.length().unwrap_or(0);
    let heard = Heard { control, shown, challenged: challenged.clone(), pinged: pinged.clone() };
    permit.show_appetite(lanes.appetite());
    let refuse = |host: &str| helping.note_refused(who, host);
    let mouth = Mouth::new(writer, source, said, heard, sent, permit.held_back(), &refuse);
    let told = permit.lanes();
    let mut ears = Ears { lanes, told, credit, replies, proofs, challenged, pinged, length };
    let mut speaking = pin!(mouth.speak(secret));
    let because = tokio::select! {
        because = ears.hear(reader, permit.lane_limit()) => because,
        because = &mut speaking => return because,
        why = permit.ended() => Because { farewell: Some(permit.farewell()), ..Because::said(&why) },
        () = show(request, helping, sent) => Because::said(""),
    };
    if let Some(reason) = because.farewell {
        // The mouth ends with this word, if the leader still hears it.
        let _ = ears.replies.send(Frame::Bye { reason });
        let _ = timeout(FAREWELL, speaking).await;
    }
    because
}

/// The half that does what the leader says.
struct Ears {
    lanes: Lanes,
    /// How many lanes the leader was told of last.
    told: u8,
    credit: Arc<Semaphore>,
    replies: mpsc::UnboundedSender<Frame>,
    /// Where the leader's proofs go.
    proofs: mpsc::UnboundedSender<[u8; 32]>,
    /// Whether one is awaited.
    challenged: Arc<AtomicBool>,
    /// That the leader wants a sign of life: one answers many pings.
    pinged: Arc<Notify>,
    length: u64,
}

impl Ears {
    async fn hear(&mut self, mut reader: FrameReader, mut limit: watch::Receiver<u8>) -> Because {
        limit.mark_changed();
        loop {
            let heard = tokio::select! {
                heard = reader.next_alive() => heard,
                Ok(()) = limit.changed() => {
                    self.limit_lanes(*limit.borrow_and_update());
                    continue;
                }
            };
            let obeyed = match heard {
                Ok(frame) => self.obey(&frame),
                Err(error) => return error.into(),
            };
            if let Err(end) = obeyed {
                return end.into();
            }
            if self.lanes.held() > LEASES {
                return End::Wrong("the leader granted too many leases at a time").into();
            }
        }
    }

    /// Uses no more lanes than this, and says so.
    fn limit_lanes(&mut self, lanes: u8) {
        self.lanes.limit(lanes);
        if std::mem::replace(&mut self.told, lanes) == lanes {
            return;
        }
        // A mouth that does not listen has ended, and the session with it.
        let _ = self.replies.send(Frame::LaneLimit { lanes });
    }

    /// Does what a frame says, or says why it ends the session.
    fn obey(&mut self, frame: &Frame) -> Result<(), End> {
        match *frame {
            Frame::Grant { span, .. } if span.end() > self.length => {
                return Err(End::Wrong("the leader granted bytes that the file does not have"));
            }
            Frame::Grant { lease, span } => self.lanes.order(Order::Grant { lease, span }),
            Frame::Trim { lease, end } => self.lanes.order(Order::Trim { lease, end }),
            Frame::Revoke { lease } => self.lanes.order(Order::Revoke { lease }),
            Frame::Lanes { lanes } => self.lanes.order(Order::Lanes { lanes }),
            Frame::Credit { bytes }
                if self.credit.available_permits().max(bytes as usize) > CREDIT_MOST =>
            {
                return Err(End::Wrong("the leader gave credit without end"));
            }
            Frame::Credit { bytes } => self.credit.add_permits(bytes as usize),
            Frame::Proof { sha256 } if self.challenged.swap(false, Ordering::AcqRel) => {
                // A mouth that does not listen has ended, and the session with it.
                let _ = self.proofs.send(sha256);
            }
            Frame::Ping => self.pinged.notify_one(),
            Frame::Pong => {}
            Frame::Bye { reason } => return Err(End::Told(reason)),
            _ => return Err(End::Wrong("the leader sent a frame that does not belong here")),
        }
        Ok(())
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

/// More credit than any leader gives at a time, in bytes. There is never more than twice as much, as a
/// semaphore ends at 2^29 where pointers have 32 bits.
const CREDIT_MOST: usize = 64 << 20;
