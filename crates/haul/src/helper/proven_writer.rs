//! The way out of a helper: data passes with a proof only.

use super::proof::ProvenData;
use haul_link::{FrameWriter, LinkError};
use haul_wire::{ByeReason, Frame};

/// Sends to a leader.
pub(super) struct ProvenWriter(FrameWriter);

impl ProvenWriter {
    pub(super) const fn new(writer: FrameWriter) -> Self {
        Self(writer)
    }

    /// Sends data that the leader has shown to read by itself.
    pub(super) async fn send_data(&mut self, data: &ProvenData) -> Result<(), LinkError> {
        self.0.send(data.frame()).await
    }

    /// Sends any other frame. A farewell is the last word. Data does not leave this way.
    pub(super) async fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        match frame {
            Frame::Data { .. } => Ok(()),
            Frame::Bye { reason } => {
                self.part(*reason).await;
                Err(LinkError::Closed)
            }
            other => self.0.send(other).await,
        }
    }

    /// Says farewell, whether the leader hears it or not.
    pub(super) async fn part(&mut self, reason: ByeReason) {
        let _ = self.0.send(&Frame::Bye { reason }).await;
        self.0.close().await;
    }
}
