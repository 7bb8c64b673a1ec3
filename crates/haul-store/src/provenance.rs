use haul_span::Span;
use std::collections::BTreeMap;

/// Who delivered which bytes, kept as the fewest spans that tell.
#[derive(Debug, Default)]
pub(crate) struct Provenance {
    /// Start to end and deliverer; neighbours that touch have different deliverers.
    spans: BTreeMap<u64, (u64, u32)>,
}

impl Provenance {
    /// Notes that `deliverer` brought `span`, whoever brought it before.
    pub(crate) fn insert(&mut self, span: Span, deliverer: u32) {
        self.remove(span);
        let (mut start, mut end) = (span.start(), span.end());
        if let Some((&before, &(touches, who))) = self.spans.range(..start).next_back()
            && (touches, who) == (start, deliverer)
        {
            start = before;
        }
        if let Some(&(after, who)) = self.spans.get(&end)
            && who == deliverer
        {
            self.spans.remove(&end);
            end = after;
        }
        self.spans.insert(start, (end, deliverer));
    }

    /// Forgets who delivered `span`.
    pub(crate) fn remove(&mut self, span: Span) {
        let touched: Vec<_> = self.parts_whole(span).collect();
        for (held, deliverer) in touched {
            self.spans.remove(&held.start());
            let rests = [held.before(span.start()), held.from(span.end())];
            for rest in rests.into_iter().flatten() {
                self.spans.insert(rest.start(), (rest.end(), deliverer));
            }
        }
    }

    /// Who delivered the known parts of `within`, lowest first.
    pub(crate) fn parts(&self, within: Span) -> impl Iterator<Item = (Span, u32)> + '_ {
        self.parts_whole(within).filter_map(move |(held, deliverer)| {
            held.intersection(within).map(|part| (part, deliverer))
        })
    }

    /// The spans that share a byte with `within`, uncut.
    fn parts_whole(&self, within: Span) -> impl Iterator<Item = (Span, u32)> + '_ {
        let before = self.spans.range(..=within.start()).next_back();
        let first = before.map_or(within.start(), |(&start, _)| start);
        self.spans
            .range(first..within.end())
            .filter_map(|(&start, &(end, deliverer))| Some((Span::new(start, end)?, deliverer)))
            .filter(move |(held, _)| held.intersection(within).is_some())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: u64 = 32;

    proptest! {
        #[test]
        fn every_byte_knows_the_last_one_who_delivered_it(
            steps in prop::collection::vec((0..FILE, 1..FILE, 0..4_u32), 0..30),
        ) {
            let mut provenance = Provenance::default();
            let mut bytes = [None; FILE as usize];
            for (start, len, who) in steps {
                let span = Span::new(start, (start + len).min(FILE)).unwrap();
                let who = (who > 0).then_some(who);
                match who {
                    Some(who) => provenance.insert(span, who),
                    None => provenance.remove(span),
                }
                bytes[start as usize..span.end() as usize].fill(who);
            }
            let mut told = [None; FILE as usize];
            for (span, who) in provenance.parts(Span::new(0, FILE).unwrap()) {
                told[span.start() as usize..span.end() as usize].fill(Some(who));
            }
            prop_assert_eq!(told, bytes);
        }
    }

    #[test]
    fn a_deliverer_of_neighbouring_bytes_is_told_once() {
        let mut provenance = Provenance::default();
        for start in [0, 20, 10] {
            provenance.insert(Span::of_len(start, 10).unwrap(), 7);
        }
        let told: Vec<_> = provenance.parts(Span::new(5, 25).unwrap()).collect();
        assert_eq!(told, [(Span::new(5, 25).unwrap(), 7)]);
    }
}
