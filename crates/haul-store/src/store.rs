use crate::disk::{Disk, DiskFile, Folder, Reserved};
use crate::hashing::Hashing;
use crate::journal::Journal;
use crate::open::{self, Resumed, Version};
use crate::piece::{MIB, Piece};
use crate::provenance::Provenance;
use crate::target::{JobFacts, Names, Target};
use crate::writer::{Lost, Writer};
use crate::{Error, WriteError};
use bytes::Bytes;
use haul_span::{Span, SpanSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One job's place on disk.
///
/// Dropping it is safe at any time and does what a crash does: what is durable can be resumed. A
/// store that began here and in which nothing became durable leaves nothing behind.
pub struct Store<D: Disk = Folder> {
    pub(crate) disk: D,
    pub(crate) target: Target,
    pub(crate) names: Names,
    pub(crate) part: D::File,
    pub(crate) job: JobFacts,
    pub(crate) stored: SpanSet,
    pub(crate) published: bool,
    pub(crate) journal: Journal<D::File>,
    reserved: Reserved,
    resumed: Option<Resumed>,
    /// Whether the journal may say that its pieces belong to `job`.
    pub(crate) confirmed: bool,
    pub(crate) writer: Writer,
    /// Written to the part file, but not in the journal.
    unrecorded: Vec<Piece>,
    durable: SpanSet,
    pub(crate) provenance: Provenance,
    last_sync: Duration,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// How many of the bytes were not stored before.
    pub new: u64,
    /// From the first to the last byte that was stored before with another value; the stored
    /// value stays. Two deliverers disagree, and one of them is wrong.
    pub differs: Option<Span>,
}

impl Store {
    /// Takes hold of the target in its folder on this machine's disk.
    ///
    /// Makes the part file and its journal, or goes on with those that are left as far as the
    /// target allows; checks that the file fits on the disk. Until the store is dropped, no other
    /// can be opened for the same target.
    pub fn open(target: Target, job: JobFacts) -> Result<Self, Error> {
        Self::open_watched(target, job, &mut |_| {})
    }

    /// As [`open`](Store::open); tells how many bytes of a left part were checked so far, after
    /// each piece: reading them all again takes its time.
    pub fn open_watched(
        target: Target,
        job: JobFacts,
        checked: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let folder = Folder::open(&target.folder).map_err(Error::io("open", &target.folder))?;
        if folder.is_open_to_others().map_err(Error::io("look at", &target.folder))? {
            tracing::warn!(folder = ?target.folder, "every user may rename what is in it");
        }
        open::open(folder, target, job, checked)
    }
}

/// What opening found or made.
pub(crate) struct Opened<F> {
    pub(crate) part: F,
    pub(crate) journal: Journal<F>,
    pub(crate) job: JobFacts,
    pub(crate) reserved: Reserved,
    pub(crate) held: Vec<Piece>,
    pub(crate) resumed: Option<Resumed>,
}

impl<D: Disk> Store<D> {
    /// As [`open`](Store::open), in the folder that `disk` is; that of the target only shows up
    /// in messages.
    pub fn open_on(disk: D, target: Target, job: JobFacts) -> Result<Self, Error> {
        open::open(disk, target, job, &mut |_| {})
    }

    pub(crate) fn new(
        disk: D,
        target: Target,
        names: Names,
        opened: Opened<D::File>,
        hashing: Hashing,
    ) -> Self {
        let Opened { part, journal, job, reserved, held, resumed } = opened;
        let stored: SpanSet = held.iter().map(|piece| piece.span).collect();
        let mut provenance = Provenance::default();
        for piece in &held {
            provenance.insert(piece.span, piece.deliverer);
        }
        Self {
            disk,
            target,
            names,
            part,
            job,
            durable: stored.clone(),
            stored,
            published: false,
            journal,
            reserved,
            confirmed: resumed.as_ref().is_none_or(|found| found.version == Version::Same),
            resumed,
            writer: Writer::new(hashing),
            unrecorded: Vec::new(),
            provenance,
            last_sync: Duration::ZERO,
        }
    }

    /// Where the file will appear.
    pub fn path(&self) -> PathBuf {
        self.names.file_path()
    }

    /// Where its bytes are until then.
    pub fn part_path(&self) -> PathBuf {
        self.names.part_path()
    }

    /// The job, with what a former run or [`set_length`](Self::set_length) added.
    pub fn job(&self) -> &JobFacts {
        &self.job
    }

    /// What a former run had left, if this job goes on with it.
    pub fn resumed(&self) -> Option<&Resumed> {
        self.resumed.as_ref()
    }

    /// Bytes that were accepted: written to the part file, or waiting to be.
    pub fn stored(&self) -> &SpanSet {
        &self.stored
    }

    /// Bytes that would survive a power cut.
    pub fn durable(&self) -> &SpanSet {
        &self.durable
    }

    /// Whether every byte of the file is stored; never while its length is unknown.
    pub fn is_complete(&self) -> bool {
        self.job.length == Some(self.stored.bytes())
    }

    /// Who delivered the stored parts of `within`, lowest first.
    pub fn deliverers(&self, within: Span) -> impl Iterator<Item = (Span, u32)> + '_ {
        self.provenance.parts(within)
    }

    /// Takes the bytes from `at` on, as `deliverer` brought them.
    ///
    /// Bytes that are stored already are compared and not written again. Memory for bytes that
    /// wait to be written is bounded by 32 MiB. If the disk refuses, the error names every byte
    /// that is lost by it, also of earlier writes.
    pub fn write(&mut self, at: u64, bytes: &[u8], deliverer: u32) -> Result<Written, WriteError> {
        self.write_shared(at, Bytes::copy_from_slice(bytes), deliverer)
    }

    /// As [`write`](Self::write), without copying bytes that are in memory to stay.
    pub fn write_shared(
        &mut self,
        at: u64,
        bytes: Bytes,
        deliverer: u32,
    ) -> Result<Written, WriteError> {
        if bytes.is_empty() {
            return Ok(Written::default());
        }
        let span = self.within_file(at, bytes.len() as u64)?;
        if !self.stored.intersects(span) {
            self.append(span, bytes, deliverer).map_err(|lost| self.lose(lost, "write to"))?;
            return Ok(Written { new: span.len(), differs: None });
        }
        let gaps: SpanSet = self.stored.gaps(span).collect();
        let differs = self.differing(span, &bytes);
        let differs =
            differs.map_err(|error| WriteError { lost: gaps.clone(), error: Box::new(error) })?;
        for gap in gaps.iter() {
            let appended = self.append(gap, bytes.slice(within(span, gap)), deliverer);
            appended.map_err(|mut lost| {
                lost.spans.extend(span.from(gap.end()).iter().flat_map(|rest| gaps.parts(*rest)));
                self.lose(lost, "write to")
            })?;
        }
        Ok(Written { new: gaps.bytes(), differs })
    }

    /// Takes in bytes none of which are stored. They count as stored before they are: what the
    /// disk refuses is taken out again.
    fn append(&mut self, span: Span, bytes: Bytes, deliverer: u32) -> Result<(), Lost> {
        self.stored.insert(span);
        self.provenance.insert(span, deliverer);
        self.writer.append(&self.part, span.start(), bytes, deliverer)
    }

    /// Whether a [`sync`](Self::sync) is due: a second after the last, if anything is not durable.
    ///
    /// `now` is the time since any fixed moment, the same one as for `sync`.
    pub fn due(&self, now: Duration) -> bool {
        self.stored.bytes() > self.durable.bytes()
            && now.saturating_sub(self.last_sync) >= SYNC_EVERY
    }

    /// Makes all that is stored durable: on the disk first, then in the journal.
    ///
    /// A crash costs what was fetched since the last call, so the caller asks
    /// [`due`](Self::due) often. After an error everything but the lost bytes is still stored,
    /// and the next call tries again.
    pub fn sync(&mut self, now: Duration) -> Result<(), WriteError> {
        self.last_sync = now;
        self.make_durable()?;
        self.check_space().map_err(lossless)
    }

    /// Says how long the file is, once that is known.
    ///
    /// Fails with [`Error::Changed`] if it was known to be of another length, or has bytes beyond.
    pub fn set_length(&mut self, length: u64) -> Result<(), Error> {
        let end = self.stored.iter().next_back().map_or(0, Span::end);
        let was = self.job.length.unwrap_or(length.max(end));
        if was != length {
            let (was, is) = (was.to_string(), length.to_string());
            return Err(Error::Changed { path: self.part_path(), fact: "length", was, is });
        }
        if self.job.length.replace(length).is_none() && self.confirmed {
            self.record_facts()?;
        }
        Ok(())
    }

    /// Says that the resumed bytes were compared and are of the version that the origin has.
    pub fn confirm(&mut self) -> Result<(), Error> {
        if !self.confirmed {
            self.record_facts()?;
            self.confirmed = true;
        }
        Ok(())
    }

    /// Takes suspect bytes out, so that they can be fetched again; durable when it returns.
    pub fn forget(&mut self, span: Span) -> Result<(), Error> {
        let Some(span) = span.before(LONGEST_FILE) else { return Ok(()) };
        self.make_durable()?;
        let edges = [
            Span::new(span.start() / MIB * MIB, span.start()),
            Span::new(span.end(), span.end().next_multiple_of(MIB)),
        ];
        let edges = edges.into_iter().flatten().map(|edge| self.pieces_again(edge));
        let edges = edges.collect::<Result<Vec<_>, _>>()?.concat();
        let frames = self.journal.frames().forget(span, &edges);
        self.journal.append(frames).map_err(Error::io("write to", self.names.journal_path()))?;
        self.stored.remove(span);
        self.durable.remove(span);
        self.provenance.remove(span);
        Ok(())
    }

    /// Writes all that waits in memory to the part file, without making it durable.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        let flushed = self.writer.flush(&self.part);
        let flushed = flushed.map_err(|lost| self.lose(lost, "write to"));
        self.unrecorded.extend(self.writer.take_written());
        flushed
    }

    /// Makes all that is stored durable and closes the files; the job can be resumed.
    pub fn keep(mut self) -> Result<(), Error> {
        Ok(self.make_durable()?)
    }

    pub(crate) fn make_durable(&mut self) -> Result<(), WriteError> {
        let flushed = self.flush();
        // What could be flushed is made durable even if some could not.
        let recorded = self.record();
        match (flushed, recorded) {
            (Err(mut failed), Err(also)) => {
                failed.lost.extend(also.lost.iter());
                Err(failed)
            }
            (flushed, recorded) => flushed.and(recorded),
        }
    }

    /// Journals the written pieces, after a sync that began after they were written.
    fn record(&mut self) -> Result<(), WriteError> {
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.part.sync_data() {
            // The kernel may have dropped the bytes that it could not write, and reports that
            // once: a second sync would succeed without them.
            let spans = self.unrecorded.drain(..).map(|piece| piece.span).collect();
            return Err(self.lose(Lost { spans, source }, "sync"));
        }
        let frames = self.journal.frames().pieces(&self.unrecorded);
        let appended = self.journal.append(frames);
        appended.map_err(Error::io("write to", self.names.journal_path())).map_err(lossless)?;
        self.durable.extend(self.unrecorded.drain(..).map(|piece| piece.span));
        Ok(())
    }

    fn record_facts(&mut self) -> Result<(), Error> {
        let facts = self.journal.frames().facts(&self.job);
        self.journal.append(facts).map_err(Error::io("write to", self.names.journal_path()))
    }

    fn lose(&mut self, lost: Lost, doing: &'static str) -> WriteError {
        for span in lost.spans.iter() {
            self.stored.remove(span);
            self.provenance.remove(span);
        }
        let error = Error::io(doing, self.part_path())(lost.source);
        WriteError { lost: lost.spans, error: Box::new(error) }
    }

    fn within_file(&self, at: u64, len: u64) -> Result<Span, WriteError> {
        let length = self.job.length.unwrap_or(LONGEST_FILE);
        let span = Span::of_len(at, len);
        span.filter(|span| span.end() <= length).ok_or_else(|| WriteError {
            lost: span.into_iter().collect(),
            error: Box::new(Error::Beyond { at, len, length }),
        })
    }

    /// Ends a job early that the disk can't hold, while there is still room to keep its state.
    fn check_space(&self) -> Result<(), Error> {
        if self.reserved == Reserved::Allocated {
            return Ok(());
        }
        let missing = self.job.length.map(|length| length.saturating_sub(self.stored.bytes()));
        let needed = missing.unwrap_or(LEAST_ROOM);
        let free = self.disk.free().map_err(Error::io("look at", self.names.folder()))?;
        if needed > free {
            return Err(Error::Full { path: self.part_path(), needed, free });
        }
        Ok(())
    }
}

impl<D: Disk> fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("part", &self.part_path())
            .field("job", &self.job)
            .field("stored", &self.stored)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Drop for Store<D> {
    fn drop(&mut self) {
        let leaves_nothing = self.resumed.is_none() && self.durable.is_empty();
        if !self.published && leaves_nothing {
            open::remove_both(&self.disk, &self.names, &self.part, Some(self.journal.file()));
        }
    }
}

fn lossless(error: Error) -> WriteError {
    WriteError { lost: SpanSet::new(), error: Box::new(error) }
}

/// Where `part` lies in the bytes of `whole`, which covers it.
pub(crate) fn within(whole: Span, part: Span) -> std::ops::Range<usize> {
    let index = |at: u64| usize::try_from(at - whole.start()).unwrap_or(usize::MAX);
    index(part.start())..index(part.end())
}

/// Well within the 2 s that a crash may cost, with time left for the sync itself.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Offsets of files are signed.
const LONGEST_FILE: u64 = i64::MAX as u64;
/// A file of unknown length ends when the disk has less than this left.
const LEAST_ROOM: u64 = 1 << 20;
