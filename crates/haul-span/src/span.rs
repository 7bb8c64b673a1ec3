use std::fmt;

/// A non-empty, half-open range of bytes of a file: `start..end`.
///
/// Offsets are bytes from the start of the file, over the whole range of `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// The span `start..end`, or `None` if that is empty or reversed.
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end { Some(Self { start, end }) } else { None }
    }

    /// The span of `len` bytes from `start`, or `None` if it is empty or passes `u64::MAX`.
    pub const fn of_len(start: u64, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(end) => Self::new(start, end),
            None => None,
        }
    }

    /// The first byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last byte.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The last byte, as HTTP's inclusive ranges name it (RFC 9110 §14.1.2).
    pub const fn last(self) -> u64 {
        self.end - 1
    }

    /// How many bytes; never zero.
    #[expect(clippy::len_without_is_empty, reason = "a span is never empty")]
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether the byte at `offset` is inside.
    pub const fn contains(self, offset: u64) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether all of `other` is inside.
    pub const fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The bytes that both have.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// What lies before `at`.
    pub fn before(self, at: u64) -> Option<Self> {
        Self::new(self.start, self.end.min(at))
    }

    /// What lies at `at` and after it.
    pub fn from(self, at: u64) -> Option<Self> {
        Self::new(self.start.max(at), self.end)
    }

    /// The first `len` bytes, or all of it if it is shorter; `None` if `len` is zero.
    pub fn first(self, len: u64) -> Option<Self> {
        self.before(self.start.saturating_add(len))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..{})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_never_empty_reversed_or_past_the_end_of_offsets() {
        assert_eq!(Span::new(5, 5), None);
        assert_eq!(Span::new(6, 5), None);
        assert_eq!(Span::of_len(1, 0), None);
        assert_eq!(Span::of_len(u64::MAX, 1), None);
        assert_eq!(Span::of_len(u64::MAX - 1, 1), Span::new(u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn cutting_a_span_loses_no_byte() {
        let span = Span::new(10, 20).unwrap();
        for at in 0..30 {
            let bytes = span.before(at).map_or(0, Span::len) + span.from(at).map_or(0, Span::len);
            assert_eq!(bytes, span.len());
        }
        assert_eq!(span.first(3), Span::new(10, 13));
        assert_eq!(span.first(u64::MAX), Some(span));
        assert_eq!(span.first(0), None);
    }

    #[test]
    fn intersection_is_what_both_contain() {
        let span = Span::new(10, 20).unwrap();
        assert_eq!(span.intersection(Span::new(15, 30).unwrap()), Span::new(15, 20));
        assert_eq!(span.intersection(Span::new(20, 30).unwrap()), None);
        assert!(span.covers(Span::new(10, 20).unwrap()) && !span.covers(Span::new(9, 20).unwrap()));
        assert!(span.contains(10) && span.contains(span.last()) && !span.contains(20));
    }
}
