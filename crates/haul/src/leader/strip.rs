//! The picture of a file: who delivered which part of it, in a bounded number of cells.

use super::single::OWN;
use crate::event::{Deliverer, Stretch};
use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;

/// How many cells the picture has at most: as many as a narrow window shows apart, and few enough
/// to be told four times a second.
const CELLS: u64 = 240;

/// Who delivered which spans of a file.
pub(crate) struct Strip {
    size: u64,
    delivered: BTreeMap<Deliverer, SpanSet>,
}

impl Strip {
    /// A file of `size` bytes, of which a former run left `stored`.
    pub(crate) fn new(size: u64, stored: &SpanSet) -> Self {
        Self { size, delivered: BTreeMap::from([(Deliverer::Earlier, stored.clone())]) }
    }

    pub(crate) fn add(&mut self, worker: u32, span: Span) {
        self.delivered.entry(Deliverer::Worker(worker)).or_default().insert(span);
    }

    /// What must be fetched again is missing again, whoever delivered it.
    pub(crate) fn forget(&mut self, span: Span) {
        for spans in self.delivered.values_mut() {
            spans.remove(span);
        }
    }

    /// What this worker delivered.
    pub(crate) fn of(&self, worker: u32) -> SpanSet {
        self.delivered.get(&Deliverer::Worker(worker)).cloned().unwrap_or_default()
    }

    /// What each helper delivered.
    pub(crate) fn of_helpers(&self) -> impl Iterator<Item = (u32, SpanSet)> + '_ {
        self.delivered.iter().filter_map(|(by, spans)| match *by {
            Deliverer::Worker(worker) if worker != OWN && !spans.is_empty() => {
                Some((worker, spans.clone()))
            }
            _ => None,
        })
    }

    /// The picture from the first byte on; each cell belongs to whoever delivered most of it.
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for by in self.cells() {
            match stretches.last_mut() {
                Some(last) if last.by == by => last.cells += 1,
                _ => stretches.push(Stretch { cells: 1, by }),
            }
        }
        stretches
    }

    fn cells(&self) -> Vec<Deliverer> {
        let count = self.size.min(CELLS);
        let mut cells = vec![(Deliverer::Missing, 0); usize::try_from(count).unwrap_or(0)];
        let mut left: Vec<u64> = (0..count).map(|at| self.cell(at).len()).collect();
        for (&by, spans) in &self.delivered {
            for (at, bytes) in self.shares(spans) {
                left[at] = left[at].saturating_sub(bytes);
                if bytes > cells[at].1 {
                    cells[at] = (by, bytes);
                }
            }
        }
        let most = |(&(by, bytes), &left)| if bytes >= left { by } else { Deliverer::Missing };
        cells.iter().zip(&left).map(most).collect()
    }

    /// How many bytes of which cells are in `spans`; no cell twice.
    fn shares(&self, spans: &SpanSet) -> BTreeMap<usize, u64> {
        let mut shares = BTreeMap::new();
        for span in spans.iter() {
            for at in self.cell_of(span.start())..=self.cell_of(span.last()) {
                let share = self.cell(at).intersection(span).map_or(0, Span::len);
                *shares.entry(usize::try_from(at).unwrap_or(usize::MAX)).or_default() += share;
            }
        }
        shares
    }

    /// The span of a cell. There are at most as many cells as bytes, so none is empty.
    fn cell(&self, at: u64) -> Span {
        let count = self.size.min(CELLS);
        let edge = |at: u64| part(self.size, at, count);
        Span::new(edge(at), edge(at + 1)).expect("no more cells than bytes")
    }

    fn cell_of(&self, offset: u64) -> u64 {
        let count = self.size.min(CELLS);
        let near = part(count, offset, self.size).min(count - 1);
        // Rounding down may name the cell before.
        if self.cell(near).contains(offset) { near } else { (near + 1).min(count - 1) }
    }
}

/// `whole` times `at` of `count`, rounded down.
fn part(whole: u64, at: u64, count: u64) -> u64 {
    let part = u128::from(whole) * u128::from(at) / u128::from(count.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    fn told(strip: &Strip) -> Vec<(u16, Deliverer)> {
        strip.stretches().into_iter().map(|stretch| (stretch.cells, stretch.by)).collect()
    }

    #[test]
    fn every_cell_belongs_to_whoever_delivered_most_of_it() {
        let earlier = SpanSet::from_iter([span(0, 1000)]);
        let mut strip = Strip::new(240_000, &earlier);
        strip.add(0, span(1000, 3000));
        strip.add(7, span(3000, 3600));
        strip.add(0, span(4000, 4400));
        let (own, seven) = (Deliverer::Worker(0), Deliverer::Worker(7));
        let expected = [(1, Deliverer::Earlier), (2, own), (1, seven), (236, Deliverer::Missing)];
        assert_eq!(told(&strip), expected);
        strip.forget(span(3000, 3600));
        assert_eq!(told(&strip)[2..], [(237, Deliverer::Missing)]);
    }

    #[test]
    fn files_of_any_size_have_at_most_240_cells() {
        for size in [1, 2, 239, 240, 241, 1000, u64::MAX] {
            let mut strip = Strip::new(size, &SpanSet::new());
            strip.add(3, span(0, size));
            let cells = u16::try_from(size.min(CELLS)).unwrap();
            assert_eq!(told(&strip), [(cells, Deliverer::Worker(3))], "{size}");
        }
    }

    #[test]
    fn every_byte_has_its_cell() {
        for size in [1, 7, 241, 999] {
            let strip = Strip::new(size, &SpanSet::new());
            for offset in 0..size {
                assert!(strip.cell(strip.cell_of(offset)).contains(offset), "{offset} of {size}");
            }
        }
    }
}
