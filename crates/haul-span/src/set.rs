use crate::Span;
use std::collections::BTreeMap;
use std::fmt;

/// A set of bytes, kept as the fewest spans that cover it.
///
/// Two spans of a set never touch or overlap. Every operation costs `O(log n)` in the number of
/// spans held, plus the number of spans it joins or removes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct SpanSet {
    /// Start to end; neighbours never touch.
    spans: BTreeMap<u64, u64>,
    bytes: u64,
}

impl SpanSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { spans: BTreeMap::new(), bytes: 0 }
    }

    /// How many bytes the set holds.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many spans it takes to cover the set.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// Whether the set holds no byte.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a span; returns how many of its bytes were new.
    pub fn insert(&mut self, span: Span) -> u64 {
        let before = self.bytes;
        let (mut start, mut end) = (span.start(), span.end());
        while let Some((&s, &e)) =
            self.spans.range(..=end).next_back().filter(|&(_, &e)| e >= start)
        {
            self.spans.remove(&s);
            self.bytes -= e - s;
            start = start.min(s);
            end = end.max(e);
        }
        self.spans.insert(start, end);
        self.bytes += end - start;
        self.bytes - before
    }

    /// Takes a span out; returns how many of its bytes were held.
    pub fn remove(&mut self, span: Span) -> u64 {
        let before = self.bytes;
        while let Some((&s, &e)) =
            self.spans.range(..span.end()).next_back().filter(|&(_, &e)| e > span.start())
        {
            self.spans.remove(&s);
            self.bytes -= e - s;
            let Some(held) = Span::new(s, e) else { continue };
            self.put_back(held.before(span.start()));
            self.put_back(held.from(span.end()));
        }
        before - self.bytes
    }

    fn put_back(&mut self, rest: Option<Span>) {
        if let Some(rest) = rest {
            self.spans.insert(rest.start(), rest.end());
            self.bytes += rest.len();
        }
    }

    /// Whether every byte of `span` is held.
    pub fn contains(&self, span: Span) -> bool {
        self.at_or_before(span.start()).is_some_and(|held| held.covers(span))
    }

    /// Whether any byte of `span` is held.
    pub fn intersects(&self, span: Span) -> bool {
        self.spans.range(..span.end()).next_back().is_some_and(|(_, &end)| end > span.start())
    }

    /// The spans held, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span> + '_ {
        self.spans.iter().filter_map(|(&start, &end)| Span::new(start, end))
    }

    /// The held parts of `within`, lowest first.
    pub fn parts(&self, within: Span) -> impl Iterator<Item = Span> + '_ {
        let first = self.at_or_before(within.start()).map_or(within.start(), Span::start);
        self.spans
            .range(first..within.end())
            .filter_map(move |(&start, &end)| Span::new(start, end)?.intersection(within))
    }

    /// The parts of `within` that are not held, lowest first.
    pub fn gaps(&self, within: Span) -> impl Iterator<Item = Span> + '_ {
        let mut from = within.start();
        let ends = self.parts(within).map(Some).chain(std::iter::once(None));
        ends.filter_map(move |held| {
            let gap = Span::new(from, held.map_or(within.end(), Span::start));
            from = held.map_or(within.end(), Span::end);
            gap
        })
    }

    /// The lowest span held.
    pub fn first(&self) -> Option<Span> {
        self.iter().next()
    }

    /// The held span that contains `offset`, or else the nearest one above it.
    pub fn at_or_after(&self, offset: u64) -> Option<Span> {
        self.at_or_before(offset).filter(|held| held.contains(offset)).or_else(|| {
            self.spans.range(offset..).next().and_then(|(&start, &end)| Span::new(start, end))
        })
    }

    /// The held span that starts at `offset` or nearest below it.
    fn at_or_before(&self, offset: u64) -> Option<Span> {
        self.spans.range(..=offset).next_back().and_then(|(&start, &end)| Span::new(start, end))
    }

    /// How many bytes are held without a gap from `offset` on.
    pub fn run_from(&self, offset: u64) -> u64 {
        self.at_or_before(offset).map_or(0, |held| held.end().saturating_sub(offset))
    }
}

impl FromIterator<Span> for SpanSet {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::new();
        set.extend(spans);
        set
    }
}

impl Extend<Span> for SpanSet {
    fn extend<I: IntoIterator<Item = Span>>(&mut self, spans: I) {
        for span in spans {
            self.insert(span);
        }
    }
}

impl From<Span> for SpanSet {
    fn from(span: Span) -> Self {
        Self::from_iter([span])
    }
}

/// The spans held, with the size of each gap between them: `[0..10) (5) [15..20)`.
impl fmt::Display for SpanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for span in self.iter() {
            if let Some(end) = last.replace(span.end()) {
                write!(f, " ({}) ", span.start() - end)?;
            }
            write!(f, "{span}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SpanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanSet({self})")
    }
}
