//! The check of the whole file, and what is fetched again where it fails.

use super::Segmented;
use crate::disk::Verdict;
use crate::event::Happening;
use crate::leader::single::{OWN, wrong_digest};
use crate::{Error, ErrorKind, Verified};
use haul_span::SpanSet;
use haul_wire::ByeReason;

impl Segmented<'_> {
    /// Checks the whole file; what helpers brought of a wrong one is fetched again.
    pub(super) async fn check(&mut self) -> Result<Option<Verified>, Error> {
        if let Verdict::Right(verified) = self.disk.verify().await? {
            return Ok(Some(verified));
        }
        let suspect = self.forget_suspect().await?;
        if suspect.is_empty() {
            return Err(wrong_digest());
        }
        if std::mem::replace(&mut self.repaired, true) {
            let others_helped = self.crew.reports().len() > 1;
            return Err(if others_helped { beyond_repair() } else { wrong_digest() });
        }
        self.telling.note("the file failed its check; what may be wrong is fetched again");
        self.crew.dismiss_helpers(ByeReason::Spoiled);
        self.source.leave_mirrors();
        self.telling.tell(Happening::Repaired { bytes: suspect.bytes() });
        let now = self.now();
        for span in suspect.iter() {
            self.planner.forget(now, span);
            self.strip.forget(span);
        }
        Ok(None)
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

fn beyond_repair() -> Error {
    Error::new(
        ErrorKind::Spoiled,
        "the file could not be repaired",
        "helpers' data failed its check twice",
    )
    .with_remedy("run it again with --helpers none --overwrite")
}
