//! The check of the whole file, and what is fetched again where it fails.

use super::Segmented;
use crate::disk::Verdict;
use crate::leader::single::{OWN, wrong_digest};
use crate::{Error, ErrorKind, Verified};
use haul_span::{Span, SpanSet};
use haul_wire::ByeReason;
use std::collections::BTreeMap;

/// In pieces of this length it is found out afterwards who delivered wrong bytes.
const PIECE: u64 = 1 << 20;

/// What was done so far about a file that failed its check.
#[derive(Debug, Default)]
pub(super) enum Repair {
    #[default]
    NotNeeded,
    /// What helpers delivered was looked at closely, and that of the guilty is fetched again.
    Sifted,
    /// All that may be wrong is fetched again; these are the digests of what helpers delivered.
    Redone(Vec<(u32, Span, [u8; 32])>),
}

impl Segmented<'_> {
    /// Checks the whole file. Of a wrong one, what helpers are found to have delivered wrongly is
    /// fetched again, and then, if need be, everything that others than the own link brought.
    pub(super) async fn check(&mut self) -> Result<Option<Verified>, Error> {
        if let Verdict::Right(verified) = self.disk.verify().await? {
            self.name_guilty().await?;
            return Ok(Some(self.judged(verified)));
        }
        let is_first = matches!(self.repair, Repair::NotNeeded);
        if is_first && self.pieces.is_none() && self.sift() {
            self.telling.note("the file failed its check; what helpers delivered is looked at");
            self.repair = Repair::Sifted;
        } else if matches!(self.repair, Repair::Redone(_)) {
            let others_helped = self.crew.reports().len() > 1;
            return Err(if others_helped { beyond_repair() } else { wrong_digest() });
        } else {
            self.redo().await?;
        }
        Ok(None)
    }

    /// What can be said of a file that is right as far as anybody knows.
    fn judged(&self, verified: Verified) -> Verified {
        let sampled = self.spots.checks().of > 0 && self.spots.are_complete();
        if verified == Verified::Unverified && sampled { Verified::Sampled } else { verified }
    }

    /// Whether others may bring bytes: not where what others brought had to be fetched again.
    pub(super) const fn wants_helpers(&self) -> bool {
        !matches!(self.repair, Repair::Redone(_))
    }

    /// Fetches everything again that may be wrong, over the own link alone.
    async fn redo(&mut self) -> Result<(), Error> {
        let delivered = self.delivered_by_helpers().await?;
        let suspect = self.forget_suspect().await?;
        if suspect.is_empty() {
            return Err(wrong_digest());
        }
        self.repair = Repair::Redone(delivered);
        self.telling.note("the file failed its check; what may be wrong is fetched again");
        self.crew.dismiss_helpers(ByeReason::Spoiled);
        self.source.leave_mirrors();
        self.fetch_again(&suspect);
        Ok(())
    }

    async fn delivered_by_helpers(&self) -> Result<Vec<(u32, Span, [u8; 32])>, Error> {
        let pieces = self.strip.of_helpers().flat_map(|(worker, spans)| {
            let pieces: Vec<Span> = spans.iter().flat_map(in_pieces).collect();
            pieces.into_iter().map(move |piece| (worker, piece))
        });
        let (workers, spans): (Vec<u32>, Vec<Span>) = pieces.unzip();
        let digests = self.disk.digests(spans.clone()).await?;
        let named = workers.into_iter().zip(spans).zip(digests);
        Ok(named.map(|((worker, span), digest)| (worker, span, digest)).collect())
    }

    /// Names those whose bytes turned out to be wrong once they had been fetched again.
    async fn name_guilty(&mut self) -> Result<(), Error> {
        let Repair::Redone(delivered) = std::mem::take(&mut self.repair) else { return Ok(()) };
        let spans = delivered.iter().map(|(_, span, _)| *span).collect();
        let right = self.disk.digests(spans).await?;
        let mut guilty = BTreeMap::<u32, u64>::new();
        for ((worker, span, digest), right) in delivered.into_iter().zip(right) {
            if digest != right {
                *guilty.entry(worker).or_default() += span.len();
            }
        }
        for (worker, bytes) in guilty {
            self.blame(worker, bytes);
        }
        Ok(())
    }

    /// Forgets what may be wrong of a file that is: the pieces that are, where there are digests of
    /// pieces; else what helpers delivered; else all, if mirrors had a part in it.
    async fn forget_suspect(&self) -> Result<SpanSet, Error> {
        if let Some(pieces) = &self.pieces {
            return self.disk.forget_wrong(pieces.clone()).await;
        }
        let foreign = self.disk.forget_all_but(OWN).await?;
        if foreign.is_empty() && self.source.has_mirrors() {
            return self.disk.forget_all_but(u32::MAX).await;
        }
        Ok(foreign)
    }
}

/// A span cut where pieces of the file meet.
fn in_pieces(span: Span) -> impl Iterator<Item = Span> {
    let first = span.start() / PIECE;
    (first..=span.last() / PIECE)
        .filter_map(move |number| Span::of_len(number * PIECE, PIECE)?.intersection(span))
}

fn beyond_repair() -> Error {
    Error::new(
        ErrorKind::Spoiled,
        "the file could not be repaired",
        "helpers' data failed its check twice",
    )
    .with_remedy("run it again with --helpers none --overwrite")
}
