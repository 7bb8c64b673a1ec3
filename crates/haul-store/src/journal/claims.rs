use crate::piece::Piece;
use haul_span::Span;
use std::collections::BTreeMap;

/// The pieces that a journal claims, none of which overlap.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pieces: BTreeMap<u64, Piece>,
}

impl Claims {
    /// Takes a claim in; earlier claims on any of its bytes are void, for their bytes were
    /// written over.
    pub(crate) fn insert(&mut self, piece: Piece) {
        self.forget(piece.span);
        self.pieces.insert(piece.span.start(), piece);
    }

    /// Makes every claim void that has a byte of `span`.
    pub(crate) fn forget(&mut self, span: Span) {
        while let Some(held) = self.last_before(span.end())
            && held.end() > span.start()
        {
            self.pieces.remove(&held.start());
        }
    }

    /// The claims, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.values()
    }

    /// One past the last byte claimed.
    pub(crate) fn end(&self) -> u64 {
        self.pieces.values().next_back().map_or(0, |piece| piece.span.end())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn last_before(&self, end: u64) -> Option<Span> {
        self.pieces.range(..end).next_back().map(|(_, piece)| piece.span)
    }
}
