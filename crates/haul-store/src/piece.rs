use haul_span::Span;

/// A span of bytes that one deliverer brought, with the hash by which they are known again.
///
/// It never crosses a boundary of [`MIB`], so that a check reads at most that much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) span: Span,
    pub(crate) deliverer: u32,
    pub(crate) hash: [u8; 32],
}

impl Piece {
    /// Whether `bytes` are the ones that were delivered.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.span.len() && *blake3::hash(bytes).as_bytes() == self.hash
    }
}

/// The longest piece, and the raster that no piece crosses.
pub(crate) const MIB: u64 = 1 << 20;
