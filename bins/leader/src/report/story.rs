use crate::tell;
use haul::{Cause, Deliverer, Event, Happening, Stretch};
use haul_web::Past;
use std::time::Duration;

/// How many moments the picture of the rates shows.
const MOMENTS: usize = 720;

/// What a download told, kept for its report in bounded space.
#[derive(Default)]
pub(crate) struct Story {
    pub(super) past: Past<MOMENTS>,
    pub(super) pieces: Vec<Piece>,
    pub(super) notes: Vec<(Duration, String)>,
    cells: Vec<Deliverer>,
    last: Duration,
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
                self.past.note(event.at, workers);
                return self.note_map(event.at, map);
            }
            Happening::Joined { name, address, .. } => format!("{name} ({}) joined", address.ip()),
            Happening::Answered { name, because: Some(because), .. } => {
                format!("{name} did not help: {because}")
            }
            Happening::Lost { name, because, .. } => format!("{name} left: {because}"),
            Happening::Blamed { name, bytes, .. } => {
                format!("{name} delivered wrong bytes: {} are not trusted", tell::size(*bytes))
            }
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
}
