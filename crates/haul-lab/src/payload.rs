use haul_span::Span;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// How many bytes are made or compared at once.
const BLOCK: u64 = 256 << 10;

/// A file's worth of bytes, made from a seed instead of being kept.
///
/// The same seed gives the same bytes, a longer payload begins with the shorter one of its seed,
/// and no two aligned words of eight bytes are alike: a block that lands at the wrong offset, or a
/// block of another seed, always shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    seed: u64,
    len: u64,
}

impl Payload {
    /// The payload of `len` bytes that belongs to `seed`.
    pub const fn new(seed: u64, len: u64) -> Self {
        Self { seed, len }
    }

    /// What the bytes are made from.
    pub const fn seed(self) -> u64 {
        self.seed
    }

    /// How many bytes.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Writes the bytes from `offset` on into `into`, at a cost that does not depend on `offset`.
    ///
    /// Bytes past the payload's end are those of a longer payload of the same seed.
    pub fn fill(self, offset: u64, into: &mut [u8]) {
        let skip = (offset % 8) as usize;
        let (head, rest) = into.split_at_mut(into.len().min((8 - skip) % 8));
        head.copy_from_slice(&self.word(offset / 8)[skip..][..head.len()]);
        let mut index = offset.div_ceil(8);
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.word(index));
            index += 1;
        }
        let tail = words.into_remainder();
        tail.copy_from_slice(&self.word(index)[..tail.len()]);
    }

    /// The bytes of `span`, which may reach past the end as in [`Payload::fill`].
    ///
    /// # Panics
    ///
    /// If memory cannot hold them.
    pub fn bytes(self, span: Span) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(span.len()).unwrap_or(usize::MAX)];
        self.fill(span.start(), &mut bytes);
        bytes
    }

    /// The SHA-256 of the whole payload, in lower-case hex.
    pub fn sha256(self) -> String {
        let mut hash = Sha256::new();
        self.blocks().for_each(|block| hash.update(self.bytes(block)));
        hex(&hash.finalize())
    }

    /// Writes the whole payload to a new file at `path`, or over the one that is there.
    pub fn write_to(self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut file = File::create(path)?;
        self.blocks().try_for_each(|block| file.write_all(&self.bytes(block)))
    }

    /// The offset of the first byte at which the file at `path` differs, or `None` if it is this
    /// payload exactly. A file too short or too long differs where the shorter one ends.
    pub fn first_difference(self, path: impl AsRef<Path>) -> io::Result<Option<u64>> {
        let mut file = File::open(path)?;
        let held = file.metadata()?.len();
        let mut read = Vec::new();
        for block in Self::new(self.seed, self.len.min(held)).blocks() {
            let wanted = self.bytes(block);
            read.resize(wanted.len(), 0);
            file.read_exact(&mut read)?;
            if wanted != read {
                let same = wanted.iter().zip(&read).take_while(|(wanted, read)| *wanted == *read);
                return Ok(Some(block.start() + same.count() as u64));
            }
        }
        Ok((held != self.len).then_some(self.len.min(held)))
    }

    /// The payload's spans, small enough to be made at once.
    fn blocks(self) -> impl Iterator<Item = Span> {
        let block_at = move |start| Span::new(start, self.len)?.first(BLOCK);
        std::iter::successors(block_at(0), move |block| block_at(block.end()))
    }

    /// The word at `index`, by the finaliser of `SplitMix64` (Steele, Lea, Flood, 2014).
    ///
    /// It is a bijection of the counter, so two words of one seed never agree.
    #[inline]
    fn word(self, index: u64) -> [u8; 8] {
        let counter = index.wrapping_add(mix(self.seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mix(counter).to_le_bytes()
    }
}

#[inline]
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Lower-case hex, as digests are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn any_slice_at_any_offset_is_that_part_of_the_whole(
            seed: u64, offset in 0..4096_usize, len in 0..4096usize,
        ) {
            let mut whole = vec![0; 8192];
            Payload::new(seed, 8192).fill(0, &mut whole);
            let mut part = vec![0; len];
            Payload::new(seed, 8192).fill(offset as u64, &mut part);
            prop_assert_eq!(&part, &whole[offset..][..len]);
        }
    }

    #[test]
    fn no_aligned_word_comes_twice_and_seeds_do_not_share_words() {
        let words = |seed| {
            let bytes = Payload::new(seed, 1 << 20).bytes(Span::new(0, 1 << 20).unwrap());
            bytes.chunks(8).map(<[u8]>::to_vec).collect::<HashSet<_>>()
        };
        assert_eq!(words(1).len(), 1 << 17);
        assert!(words(1).is_disjoint(&words(2)));
    }

    #[test]
    fn the_bytes_of_a_seed_stay_what_they_are() {
        assert_eq!(
            Payload::new(0, 0).sha256(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Payload::new(7, 1_000_003).sha256(),
            "b24eba7cdf05eb63c546ce33d3782c3b1f98a60ab734a50a85491b4935680519"
        );
    }

    #[test]
    fn a_file_that_differs_is_told_by_the_first_wrong_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payload");
        let payload = Payload::new(3, 600_001);
        payload.write_to(&path).unwrap();
        assert_eq!(payload.first_difference(&path).unwrap(), None);
        assert_eq!(Payload::new(3, 600_000).first_difference(&path).unwrap(), Some(600_000));
        assert_eq!(Payload::new(3, 600_002).first_difference(&path).unwrap(), Some(600_001));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[300_000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(payload.first_difference(&path).unwrap(), Some(300_000));
    }

    #[test]
    fn an_offset_near_the_end_of_all_offsets_is_served() {
        let mut bytes = [0; 16];
        Payload::new(1, u64::MAX).fill(u64::MAX - 16, &mut bytes);
        assert_ne!(bytes, [0; 16]);
    }
}
