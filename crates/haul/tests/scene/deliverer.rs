//! A helper played by hand that delivers what it is granted, as far as it has credit, and does to
//! every piece what a test wants.

use haul_lab::Payload;
use haul_link::{FrameReader, FrameWriter, LinkError};
use haul_span::Span;
use haul_wire::Frame;
use std::collections::VecDeque;

/// Bytes of data in a frame.
pub(crate) const PIECE: u64 = 64 << 10;

/// What a helper has to deliver.
pub(crate) struct Deliverer<F> {
    payload: Payload,
    /// What is done to the bytes of a piece, given its offset.
    spoil: F,
    credit: u64,
    leases: VecDeque<(u32, Span)>,
}

impl<F: Fn(&mut [u8], u64)> Deliverer<F> {
    pub(crate) fn new(payload: Payload, spoil: F) -> Self {
        Self { payload, spoil, credit: 0, leases: VecDeque::new() }
    }

    /// Works until the leader says farewell, or is gone.
    pub(crate) async fn work(
        mut self,
        mut reader: FrameReader,
        mut writer: FrameWriter,
    ) -> Result<(), LinkError> {
        loop {
            match reader.next().await? {
                Frame::Grant { lease, span } => self.leases.push_back((lease, span)),
                Frame::Trim { lease, end } => self.trim(lease, end),
                Frame::Revoke { lease } => self.leases.retain(|(held, _)| *held != lease),
                Frame::Credit { bytes } => self.credit += u64::from(bytes),
                Frame::Ping => writer.send(&Frame::Pong).await?,
                Frame::Bye { .. } => return Ok(()),
                _ => {}
            }
            self.deliver(&mut writer).await?;
        }
    }

    fn trim(&mut self, lease: u32, end: u64) {
        self.leases.retain_mut(|(held, span)| {
            let kept = if *held == lease { span.before(end) } else { Some(*span) };
            kept.map(|kept| *span = kept).is_some()
        });
    }

    /// Delivers what there is credit for.
    async fn deliver(&mut self, writer: &mut FrameWriter) -> Result<(), LinkError> {
        while let Some((lease, span)) = self.leases.front_mut() {
            let Some(piece) = span.first(PIECE.min(self.credit)) else { return Ok(()) };
            self.credit -= piece.len();
            let mut bytes = self.payload.bytes(piece);
            (self.spoil)(&mut bytes, piece.start());
            let (lease, offset) = (*lease, piece.start());
            let rest = span.from(piece.end());
            match rest {
                Some(rest) => *span = rest,
                None => drop(self.leases.pop_front()),
            }
            writer.send(&Frame::Data { lease, offset, bytes: bytes.into() }).await?;
            if rest.is_none() {
                writer.send(&Frame::Done { lease }).await?;
            }
        }
        Ok(())
    }
}
