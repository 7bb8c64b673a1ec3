use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::piece::Piece;
use crate::store::{Store, within};
use haul_span::Span;
use std::fs::File;

impl Store {
    /// Another handle on the part file, for reading up to the [`front`](Self::front). It stays good
    /// when the file gets its name, and keeps the target locked.
    pub fn part_handle(&self) -> Result<File, Error> {
        self.part.handle().map_err(Error::io("open", self.part_path()))
    }
}

impl<D: Disk> Store<D> {
    /// How many bytes from the start on are in the part file, and nothing before them is missing.
    pub fn front(&self) -> u64 {
        let stored = self.stored.run_from(0);
        self.writer.first_waiting().map_or(stored, |waiting| stored.min(waiting))
    }

    /// Copies stored bytes from `at` on; returns how many, which is 0 if there is none at `at`.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Error> {
        let stored = usize::try_from(self.stored.run_from(at)).unwrap_or(usize::MAX);
        let len = stored.min(into.len());
        let mut done = 0;
        while done < len {
            done += self.read_some(at + done as u64, &mut into[done..len])?;
        }
        Ok(len)
    }

    /// From the first to the last byte that is stored with another value.
    pub(crate) fn differing(&self, span: Span, bytes: &[u8]) -> Result<Option<Span>, Error> {
        if !self.stored.intersects(span) {
            return Ok(None);
        }
        let mut differing: Option<Span> = None;
        let mut held = vec![0; COMPARED_AT_ONCE];
        for part in self.stored.parts(span) {
            for (nth, given) in bytes[within(span, part)].chunks(COMPARED_AT_ONCE).enumerate() {
                let at = part.start() + (nth * COMPARED_AT_ONCE) as u64;
                let held = &mut held[..given.len()];
                self.read_at(at, held)?;
                let Some(here) = difference(at, held, given) else { continue };
                let start = differing.map_or(here.start(), Span::start);
                differing = Span::new(start, here.end());
            }
        }
        Ok(differing)
    }

    /// The pieces that the stored bytes of `within` make up, which all lie in one MiB.
    pub(crate) fn pieces_again(&self, within: Span) -> Result<Vec<Piece>, Error> {
        let parts: Vec<_> = self.provenance.parts(within).collect();
        let piece = |(span, deliverer): (Span, u32)| {
            let mut bytes = vec![0; usize::try_from(span.len()).unwrap_or_default()];
            self.read_at(span.start(), &mut bytes)?;
            Ok(Piece { span, deliverer, hash: *blake3::hash(&bytes).as_bytes() })
        };
        parts.into_iter().map(piece).collect()
    }

    fn read_some(&self, at: u64, into: &mut [u8]) -> Result<usize, Error> {
        if let Some(read) = self.writer.read(at, into) {
            return Ok(read);
        }
        let waiting = self.writer.next_waiting(at).map_or(u64::MAX, |next| next - at);
        let len = into.len().min(usize::try_from(waiting).unwrap_or(usize::MAX));
        match self.part.read_at(at, &mut into[..len]) {
            Ok(0) => Err(Error::Meddled { path: self.part_path() }),
            read => read.map_err(Error::io("read", self.part_path())),
        }
    }
}

fn difference(at: u64, held: &[u8], given: &[u8]) -> Option<Span> {
    let differs = |&place: &usize| held[place] != given[place];
    let first = (0..given.len()).find(differs)?;
    let last = (0..given.len()).rfind(differs)?;
    Span::new(at + first as u64, at + last as u64 + 1)
}

const COMPARED_AT_ONCE: usize = 64 << 10;
