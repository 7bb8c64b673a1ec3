use crate::tell;
use haul::{Cause, Deliverer, Event, Happening, Stretch, WorkerProgress};
use std::time::Duration;

/// How many moments are kept at most; a picture shows no more apart.
const MOST: usize = 720;

/// What a download told, kept for its report in bounded space.
#[derive(Default)]
pub(crate) struct Story {
    pub(super) moments: Vec<Moment>,
    pub(super) pieces: Vec<Piece>,
    pub(super) notes: Vec<(Duration, String)>,
    /// Of how many moments one is kept, as a power of two.
    thinned: u32,
    heard: u64,
    cells: Vec<Deliverer>,
    last: Duration,
}

/// How fast everybody was.
pub(super) struct Moment {
    pub(super) at: Duration,
    pub(super) rates: Vec<(u32, u64)>,
}

/// Neighbouring cells of the file that a worker delivered between two moments.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) first: usize,
    pub(super) cells: usize,
    pub(super) worker: u32,
}

impl Story {
    pub(crate) fn note(&mut self, event: &Event) {
        let text = match &event.what {
            Happening::Progress { workers, map, .. } => {
                self.note_rates(event.at, workers);
                return self.note_map(event.at, map);
            }
            Happening::Joined { name, address, .. } => format!("{name} ({}) joined", address.ip()),
            Happening::Answered { name, because: Some(because), .. } => {
                format!("{name} did not help: {because}")
            }
            Happening::Lost { name, because, .. } => format!("{name} left: {because}"),
            Happening::Repaired { bytes } => format!("{} were fetched again", tell::size(*bytes)),
            Happening::Note { text } => text.clone(),
            Happening::Nobody { causes } => match causes.first() {
                Some(Cause { because, .. }) => format!("nobody was found to help: {because}"),
                None => return,
            },
            _ => return,
        };
        self.notes.push((event.at, text));
    }

    /// How many cells the file has in the pictures; none if its length was never known.
    pub(super) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// When too many moments are kept, every second one goes, and fewer come in from then on.
    fn note_rates(&mut self, at: Duration, workers: &[WorkerProgress]) {
        let is_kept = self.heard.is_multiple_of(1 << self.thinned);
        self.heard += 1;
        if is_kept {
            let rates = workers.iter().map(|worker| (worker.worker, worker.rate)).collect();
            self.moments.push(Moment { at, rates });
        }
        if self.moments.len() > MOST {
            let mut nth = 0;
            self.moments.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.thinned += 1;
        }
    }

    fn note_map(&mut self, at: Duration, map: &[Stretch]) {
        let cells = map.iter().flat_map(|one| std::iter::repeat_n(one.by, one.cells.into()));
        let cells: Vec<Deliverer> = cells.collect();
        let from = std::mem::replace(&mut self.last, at);
        for (nth, &by) in cells.iter().enumerate() {
            match by {
                Deliverer::Worker(worker) if self.cells.get(nth) != Some(&by) => {
                    self.add(Piece { from, to: at, first: nth, cells: 1, worker });
                }
                _ => {}
            }
        }
        self.cells = cells;
    }

    /// Joins what lies side by side and was delivered by the same worker at the same time.
    fn add(&mut self, piece: Piece) {
        match self.pieces.last_mut() {
            Some(last)
                if last.worker == piece.worker
                    && last.to == piece.to
                    && last.first + last.cells == piece.first =>
            {
                last.cells += 1;
            }
            _ => self.pieces.push(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(second: u64, map: &[(u16, Deliverer)]) -> Event {
        let map = map.iter().map(|&(cells, by)| Stretch { cells, by }).collect();
        let (stored, durable, rate, workers) = (0, 0, 0, Vec::new());
        let what = Happening::Progress { stored, durable, rate, workers, map };
        Event { at: Duration::from_secs(second), what }
    }

    #[test]
    fn what_was_delivered_between_two_moments_is_one_piece() {
        let mut story = Story::default();
        let (own, missing) = (Deliverer::Worker(0), Deliverer::Missing);
        story.note(&progress(1, &[(2, Deliverer::Earlier), (8, missing)]));
        story.note(&progress(2, &[(2, Deliverer::Earlier), (3, own), (5, missing)]));
        story.note(&progress(3, &[(2, Deliverer::Earlier), (4, own), (4, Deliverer::Worker(1))]));
        let piece = |from, first, cells, worker| Piece {
            from: Duration::from_secs(from),
            to: Duration::from_secs(from + 1),
            first,
            cells,
            worker,
        };
        assert_eq!(story.pieces, [piece(1, 2, 3, 0), piece(2, 5, 1, 0), piece(2, 6, 4, 1)]);
        assert_eq!(story.cells(), 10);
    }

    #[test]
    fn a_long_download_is_kept_in_bounded_space() {
        let mut story = Story::default();
        (0..20_000).for_each(|second| story.note(&progress(second, &[])));
        assert!((MOST / 2..=MOST).contains(&story.moments.len()));
        assert_eq!(story.moments[0].at, Duration::ZERO);
    }
}
