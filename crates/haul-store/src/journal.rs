//! The journal: what is durable, appended in checksummed frames; see docs/STORE.md.
//!
//! It is appended to and never replaced: a 1 TiB file has a million pieces, and writing all of
//! their hashes every second would cost more than the download. An append costs 48 bytes for each
//! piece that became durable since the last one.

mod claims;
mod frame;

pub(crate) use claims::Claims;
pub(crate) use frame::{Frames, Place};

use crate::disk::DiskFile;
use crate::target::JobFacts;
use frame::{Chain, HEAD, Next, Record};
use haul_span::SpanSet;
use std::io::{self, IoSlice};

/// What a journal says. None of it is known to be true: a claim is to be checked against the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// The job it belongs to.
    pub job: JobFacts,
    /// Bytes that it says are durable.
    pub claimed: SpanSet,
    /// How many bytes of the journal are sound; what follows was torn, or belongs elsewhere.
    pub sound: u64,
}

/// Reads a journal from memory, up to where it stops being sound.
///
/// `None` if it does not even tell its job. No single allocation is over 1 MiB, whatever the bytes
/// say, and all of them together are in proportion to the sound ones.
pub fn decode(journal: &[u8]) -> Option<Journaled> {
    let replay = replay(&|at, into: &mut [u8]| Ok(copy_at(journal, at, into))).ok()?;
    let Replay::Held(recovered) = replay else { return None };
    Some(recovered.journaled())
}

fn copy_at(bytes: &[u8], at: u64, into: &mut [u8]) -> usize {
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let len = rest.len().min(into.len());
    into[..len].copy_from_slice(&rest[..len]);
    len
}

/// An open journal, to be appended to.
#[derive(Debug)]
pub(crate) struct Journal<F> {
    file: F,
    end: u64,
    chain: Chain,
}

/// What can be read back from a journal's file.
#[derive(Debug)]
pub(crate) enum Replay {
    Held(Recovered),
    /// It is of a version that this code does not know.
    Newer(u32),
    /// It is a journal that was torn before it told its job.
    Torn,
    /// It is no journal.
    Foreign,
}

#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) job: JobFacts,
    pub(crate) claims: Claims,
    /// Which part it speaks of, if the disk could tell when it was written.
    pub(crate) place: Option<Place>,
    end: u64,
    chain: Chain,
}

impl<F: DiskFile> Journal<F> {
    /// Begins a journal in an empty file.
    pub(crate) fn begin(file: F, job: &JobFacts, place: Option<&Place>) -> io::Result<Self> {
        file.write_at(0, &mut [IoSlice::new(&HEAD)])?;
        let mut journal = Self { file, end: HEAD.len() as u64, chain: Chain::of_head() };
        let facts = journal.frames().facts(job);
        journal.append(place.into_iter().fold(facts, Frames::place))?;
        Ok(journal)
    }

    /// The file that it is in.
    pub(crate) const fn file(&self) -> &F {
        &self.file
    }

    /// Goes on with a journal that was read; whatever follows its sound bytes is cut off.
    pub(crate) fn go_on(file: F, recovered: &Recovered) -> io::Result<Self> {
        file.set_len(recovered.end)?;
        Ok(Self { file, end: recovered.end, chain: recovered.chain })
    }

    /// Frames that can be appended next.
    pub(crate) fn frames(&self) -> Frames {
        Frames::after(self.chain)
    }

    /// Returns once the frames would survive a power cut. After an error the same records can be
    /// tried again: their place is not used up.
    pub(crate) fn append(&mut self, frames: Frames) -> io::Result<()> {
        let (bytes, chain) = frames.into_parts();
        self.file.write_at(self.end, &mut [IoSlice::new(&bytes)])?;
        self.file.sync_data()?;
        (self.end, self.chain) = (self.end + bytes.len() as u64, chain);
        Ok(())
    }
}

/// Reads the journal in `file`.
pub(crate) fn recover(file: &impl DiskFile) -> io::Result<Replay> {
    replay(&|at, into: &mut [u8]| file.read_at(at, into))
}

type ReadAt<'a> = &'a dyn Fn(u64, &mut [u8]) -> io::Result<usize>;

fn replay(read_at: ReadAt<'_>) -> io::Result<Replay> {
    let mut head = [0; HEAD.len()];
    let read = read_at(0, &mut head)?;
    match frame::version(&head[..read]) {
        Some(frame::VERSION) => {}
        Some(other) => return Ok(Replay::Newer(other)),
        None => return Ok(Replay::Foreign),
    }
    let mut end = HEAD.len() as u64;
    let mut chain = Chain::of_head();
    let mut said = Said::default();
    let mut payload = Vec::new();
    while let Some(next) = frame::next(read_at, end, chain, &mut payload)? {
        let Next { kind, len, chain: after } = next;
        let Some(records) = frame::records(kind, &payload) else { break };
        for record in records {
            said.take(record);
        }
        (end, chain) = (end + len, after);
    }
    let Said { job, claims, place } = said;
    Ok(match job {
        Some(job) => Replay::Held(Recovered { job, claims, place, end, chain }),
        None => Replay::Torn,
    })
}

/// What the frames of a journal have said so far.
#[derive(Default)]
struct Said {
    job: Option<JobFacts>,
    claims: Claims,
    place: Option<Place>,
}

impl Said {
    fn take(&mut self, record: Record) {
        match record {
            Record::Facts(facts) => self.job = Some(facts),
            Record::Forget(span) => self.claims.forget(span),
            Record::Piece(piece) => self.claims.insert(piece),
            Record::Place(place) => self.place = Some(place),
        }
    }
}

impl Recovered {
    pub(crate) fn journaled(&self) -> Journaled {
        let claimed = self.claims.iter().map(|piece| piece.span).collect();
        Journaled { job: self.job.clone(), claimed, sound: self.end }
    }
}
