//! Spans of bytes and sets of them.
//!
//! A [`Span`] is a half-open, never empty range of bytes `start..end` of a file; a [`SpanSet`] is
//! a set of bytes kept as the fewest spans that cover it. Nothing here knows about files,
//! networks or who fetches what, and nothing allocates but the set's own tree.
//!
//! ```
//! use haul_span::{Span, SpanSet};
//!
//! let mut stored = SpanSet::new();
//! stored.insert(Span::new(0, 100).unwrap());
//! stored.insert(Span::new(100, 150).unwrap());
//! assert_eq!(stored.to_string(), "[0..150)");
//! assert_eq!(stored.gaps(Span::new(0, 200).unwrap()).collect::<Vec<_>>(), [Span::new(150, 200).unwrap()]);
//! ```

mod set;
mod span;

pub use set::SpanSet;
pub use span::Span;
