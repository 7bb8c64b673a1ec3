//! A helper at work for this leader: what it says, and what it is told.

use super::agenda::Again;
use super::errand::Work;
use super::hosting::Hosting;
use super::ledger::Ledger;
use super::peer::{News, Proofs, Said, reason_text};
use super::proof_quota::Challenger;
use crate::backpressure::{Backpressure, pending};
use haul_link::{FrameReader, FrameWriter, LinkError, Session};
use haul_span::Span;
use haul_wire::{ByeReason, Frame};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

/// How many challenges a helper may set in a session.
const CHALLENGES: u32 = 256;

/// How long a helper that broke the protocol is given to hear so.
const FAREWELL: Duration = Duration::from_secs(1);

/// A helper that has joined.
pub(super) struct Guest<'a> {
    pub(super) worker: u32,
    /// How many lanes it offered.
    pub(super) most_lanes: u8,
    pub(super) challenger: Challenger,
    pub(super) hosting: &'a Hosting,
    pub(super) work: &'a Arc<Work>,
    /// What it is to be told, beside what the job tells it.
    pub(super) replies: mpsc::UnboundedSender<Frame>,
    /// What it challenged for and was not told yet.
    pub(super) proofs: Proofs,
    pub(super) ledger: Mutex<Ledger>,
    /// That it wants a sign of life: one answers many pings.
    pub(super) pinged: Notify,
    /// Whether it is asked again if it is not wanted now.
    pub(super) comes_again: Arc<AtomicBool>,
}

/// Why a session ended, and what the helper is told.
pub(super) struct End {
    pub(super) because: String,
    farewell: Option<ByeReason>,
    /// Whether the helper may take part again: nobody wanted it to end, or its owner did for a
    /// while.
    pub(super) may_return: Option<Again>,
}

impl End {
    fn wrong(because: impl Into<String>) -> Self {
        Self { farewell: Some(ByeReason::Protocol), ..Self::told(because) }
    }

    /// Either side has said so, or hears it no more.
    fn told(because: impl Into<String>) -> Self {
        Self { because: because.into(), farewell: None, may_return: None }
    }
}

/// Whether a helper that said this may take part again, and how it is asked.
const fn may_return(reason: ByeReason) -> Option<Again> {
    match reason {
        ByeReason::Stopped => Some(Again::Lost),
        ByeReason::Timeout => Some(Again::Waiting),
        _ => None,
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        let may_return = error.is_loss().then_some(Again::Lost);
        Self { because: error.to_string(), farewell: error.farewell(), may_return }
    }
}

impl Guest<'_> {
    /// Works with it until either side ends it; returns why.
    pub(super) async fn work_with(
        mut self,
        session: Session,
        outgoing: mpsc::UnboundedReceiver<Frame>,
    ) -> End {
        let (reader, writer) = session.granted();
        let proofs = std::mem::take(&mut self.proofs);
        let mut speaking = pin!(self.speak(writer, outgoing));
        let end = tokio::select! {
            end = self.hear(reader, proofs) => end,
            end = &mut speaking => return end,
        };
        if let Some(reason) = end.farewell {
            // The one who speaks ends with this word, if the helper still hears it.
            let _ = self.replies.send(Frame::Bye { reason });
            let _ = timeout(FAREWELL, speaking).await;
        }
        end
    }

    /// Passes on what the helper says, and reads what it challenges for.
    async fn hear(&self, mut reader: FrameReader, mut proofs: Proofs) -> End {
        let mut challenges = 0;
        let mut awaits_proof = !proofs.is_empty();
        let mut behind = Backpressure::since(Instant::now());
        loop {
            let frame = tokio::select! {
                frame = reader.next_alive() => frame,
                Some(proof) = proofs.join_next() => {
                    match proof.unwrap_or_else(|error| Err(error.to_string())) {
                        Ok(sha256) => {
                            // A session that has just ended tells so itself.
                            let _ = self.replies.send(Frame::Proof { sha256 });
                            // Else a helper could put off for ever what is expected of it.
                            if std::mem::take(&mut awaits_proof) {
                                let said = Said::Shown;
                                self.hosting.tell(News::Said { worker: self.worker, said }).await;
                            }
                        }
                        Err(because) => {
                            let farewell = Some(ByeReason::Unproven);
                            return End { farewell, ..End::told(because) };
                        }
                    }
                    continue;
                }
            };
            let heard = match frame {
                Ok(Frame::Challenge { span })
                    if proofs.is_empty()
                        && challenges < CHALLENGES
                        && self.work.may_be_read(span) =>
                {
                    challenges += 1;
                    self.challenged(span, &mut proofs);
                    Ok(())
                }
                Ok(frame) => self.take(frame, &mut behind).await,
                Err(error) => Err(error.into()),
            };
            if let Err(end) = heard {
                return end;
            }
        }
    }

    fn challenged(&self, span: Span, proofs: &mut Proofs) {
        let (work, by) = (Arc::clone(self.work), self.challenger);
        proofs.spawn(async move { work.prove(by, span).await });
    }

    /// Passes a frame on. Counts in `behind` how long this leader itself takes no more, as where its
    /// disk is slow: that fills the way to it as well, and is no fault of the way.
    async fn take(&self, frame: Frame, behind: &mut Backpressure) -> Result<(), End> {
        let said = match frame {
            Frame::Data { lease, offset, bytes } => {
                let booked = self.ledger().take(lease, offset, bytes.len() as u64);
                booked.map_err(End::wrong)?;
                self.work.proofs.note_delivered(self.challenger, bytes.len() as u64);
                Said::Data { lease, offset, bytes }
            }
            Frame::Done { lease } => {
                self.ledger().close(lease).map_err(End::wrong)?;
                Said::Done { lease }
            }
            Frame::Failed { lease, failure } => {
                self.ledger().close(lease).map_err(End::wrong)?;
                Said::Failed { lease, failure }
            }
            Frame::Held { share } => {
                Said::Held { share: share.saturating_sub(behind.tell(Instant::now())) }
            }
            Frame::LaneLimit { lanes } => {
                let lanes = lanes.min(self.most_lanes);
                Said::LaneLimit { lanes, is_shared: lanes < self.most_lanes }
            }
            Frame::Ping => {
                self.pinged.notify_one();
                return Ok(());
            }
            Frame::Pong => return Ok(()),
            Frame::Bye { reason } => {
                let may_return = may_return(reason);
                return Err(End { may_return, ..End::told(reason_text(reason)) });
            }
            other => {
                let kind = other.kind();
                return Err(End::wrong(format!("it sent a frame of kind {kind} out of place")));
            }
        };
        let told = self.hosting.tell(News::Said { worker: self.worker, said });
        let ((), waited) = pending(told).await;
        behind.note(waited);
        Ok(())
    }

    /// Sends what the job wants to say, and a sign of life where it is silent; returns why it ended.
    async fn speak(
        &self,
        mut writer: FrameWriter,
        mut frames: mpsc::UnboundedReceiver<Frame>,
    ) -> End {
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) => frame,
                    None => return End::told("the job let it go"),
                },
                () = self.pinged.notified() => Frame::Pong,
                () = sleep(Session::PING_AFTER) => Frame::Ping,
            };
            self.ledger().note(&frame);
            if let Err(error) = writer.send(&frame).await {
                return error.into();
            }
            if let Frame::Bye { reason } = frame {
                writer.close().await;
                let comes_again = self.comes_again.load(Ordering::Acquire);
                let may_return = comes_again.then_some(Again::Waiting);
                return End { may_return, ..End::told(reason_text(reason)) };
            }
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_whose_owner_ended_the_help_is_not_asked_again_and_one_that_was_paused_is() {
        assert_eq!(may_return(ByeReason::Withdrawn), None);
        assert_eq!(may_return(ByeReason::Stopped), Some(Again::Lost));
        assert_eq!(may_return(ByeReason::Timeout), Some(Again::Waiting));
        assert_eq!(may_return(ByeReason::Unknown(200)), None);
    }
}
