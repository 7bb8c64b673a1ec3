//! Records to bytes and back. Numbers are little-endian.

use super::ReadAt;
use crate::disk::FileId;
use crate::piece::{MIB, Piece};
use crate::target::JobFacts;
use haul_span::Span;
use std::io;

/// How a journal begins: a magic, the version, four bytes that are zero.
pub(super) const HEAD: [u8; 16] = *b"haul.jrn\x01\0\0\0\0\0\0\0";
/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// One thing that a journal says.
#[derive(Debug)]
pub(super) enum Record {
    /// The job, from here on.
    Facts(JobFacts),
    /// The bytes are not to be trusted any more.
    Forget(Span),
    /// The bytes are durable.
    Piece(Piece),
    /// Which part file it speaks of, from here on.
    Place(Place),
}

/// Which part file a journal speaks of, and for which target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) part: FileId,
    /// The name of the finished file.
    pub(crate) file: Vec<u8>,
}

/// The checksum of everything up to a frame's end.
///
/// It covers the one before it, so that a frame proves all the frames it follows, and no frame of
/// another journal or of another place can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain([u8; 32]);

impl Chain {
    pub(super) fn of_head() -> Self {
        Self(*blake3::hash(&HEAD).as_bytes())
    }

    fn then(self, frame: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        for part in frame {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// Frames being put together.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    chain: Chain,
}

impl Frames {
    pub(super) fn after(chain: Chain) -> Self {
        Self { bytes: Vec::new(), chain }
    }

    /// Adds the job's facts; text that is too long for the format is left out.
    pub(crate) fn facts(self, job: &JobFacts) -> Self {
        let mut payload = Vec::new();
        put_text(&mut payload, Some(&job.url));
        put_text(&mut payload, job.validator.as_deref());
        payload.push(u8::from(job.length.is_some()));
        payload.extend(job.length.unwrap_or(0).to_le_bytes());
        self.frame(FACTS, &payload)
    }

    /// Voids all that was said about `span`, and says anew what is still true around it. One frame
    /// does both, so that a torn append can't do one without the other.
    pub(crate) fn forget(self, span: Span, edges: &[Piece]) -> Self {
        let ends = [span.start().to_le_bytes(), span.end().to_le_bytes()];
        let (with, after) = edges.split_at(edges.len().min(PIECES_IN_FRAME - 1));
        let mut payload = ends.as_flattened().to_owned();
        payload.extend(with.iter().flat_map(piece_bytes));
        self.frame(FORGET, &payload).pieces(after)
    }

    pub(crate) fn pieces(self, pieces: &[Piece]) -> Self {
        pieces.chunks(PIECES_IN_FRAME).fold(self, |frames, some| {
            let payload: Vec<u8> = some.iter().flat_map(piece_bytes).collect();
            frames.frame(PIECES, &payload)
        })
    }

    pub(crate) fn place(self, place: &Place) -> Self {
        let part = [place.part.inode.to_le_bytes(), place.part.born.to_le_bytes()];
        let payload = [part.as_flattened(), &place.file].concat();
        self.frame(PLACE, &payload)
    }

    pub(super) fn into_parts(self) -> (Vec<u8>, Chain) {
        (self.bytes, self.chain)
    }

    fn frame(mut self, kind: u32, payload: &[u8]) -> Self {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let start = [kind.to_le_bytes(), len.to_le_bytes()];
        self.chain = self.chain.then(&[start.as_flattened(), payload]);
        self.bytes.extend_from_slice(start.as_flattened());
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(&self.chain.0);
        self
    }
}

/// A sound frame.
pub(super) struct Next {
    pub(super) kind: u32,
    /// Bytes from its first to its last.
    pub(super) len: u64,
    /// The checksum up to its end.
    pub(super) chain: Chain,
}

/// The version that a journal's head names; `None` if it is no head.
pub(super) fn version(head: &[u8]) -> Option<u32> {
    let (magic, rest) = head.split_first_chunk::<8>()?;
    let (version, _) = rest.split_first_chunk::<4>()?;
    let whole = head.len() == HEAD.len() && magic[..] == HEAD[..8];
    let version = u32::from_le_bytes(*version);
    // Of its own version, every byte is known.
    let known = version != VERSION || head == HEAD;
    (whole && known).then_some(version)
}

/// Reads the frame at `at` into `payload`; `None` if there is no sound one.
pub(super) fn next(
    read_at: ReadAt<'_>,
    at: u64,
    chain: Chain,
    payload: &mut Vec<u8>,
) -> io::Result<Option<Next>> {
    let mut start = [[0; 4]; 2];
    if read_at(at, start.as_flattened_mut())? < START_LEN {
        return Ok(None);
    }
    let [kind, len] = start.map(u32::from_le_bytes);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > MAX_PAYLOAD {
        return Ok(None);
    }
    payload.resize(len + CHECK_LEN, 0);
    if read_at(at + START_LEN as u64, payload)? < payload.len() {
        return Ok(None);
    }
    let after = chain.then(&[start.as_flattened(), &payload[..len]]);
    let sound = payload[len..] == after.0;
    payload.truncate(len);
    let len = (START_LEN + len + CHECK_LEN) as u64;
    Ok(sound.then_some(Next { kind, len, chain: after }))
}

/// What a sound frame says; `None` if it says anything that this code would not have written.
pub(super) fn records(kind: u32, payload: &[u8]) -> Option<Vec<Record>> {
    match kind {
        FACTS => Some(vec![Record::Facts(facts_of(payload)?)]),
        FORGET => {
            let (ends, pieces) = payload.split_first_chunk::<16>()?;
            let mut records = vec![Record::Forget(span_of(ends)?)];
            push_pieces(&mut records, pieces)?;
            Some(records)
        }
        PIECES => {
            let mut records = Vec::new();
            push_pieces(&mut records, payload)?;
            Some(records)
        }
        PLACE => Some(vec![Record::Place(place_of(payload)?)]),
        _ => None,
    }
}

fn place_of(payload: &[u8]) -> Option<Place> {
    let (part, file) = payload.split_first_chunk::<16>()?;
    let (inode, born) = part.split_first_chunk::<8>()?;
    let part = FileId {
        inode: u64::from_le_bytes(*inode),
        born: u64::from_le_bytes(born.try_into().ok()?),
    };
    let file = file.to_owned();
    (!file.is_empty()).then_some(Place { part, file })
}

fn span_of(ends: &[u8; 16]) -> Option<Span> {
    let (start, end) = ends.split_first_chunk::<8>()?;
    Span::new(u64::from_le_bytes(*start), u64::from_le_bytes(end.try_into().ok()?))
}

fn push_pieces(records: &mut Vec<Record>, payload: &[u8]) -> Option<()> {
    let (pieces, rest) = payload.as_chunks::<PIECE_LEN>();
    for piece in pieces {
        records.push(Record::Piece(piece_of(piece)?));
    }
    rest.is_empty().then_some(())
}

fn facts_of(payload: &[u8]) -> Option<JobFacts> {
    let mut rest = payload;
    let url = take_text(&mut rest)?.unwrap_or_default();
    let validator = take_text(&mut rest)?;
    let (&[known], length) = rest.split_first_chunk::<1>()?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    let length = match known {
        0 => None,
        1 => Some(length),
        _ => return None,
    };
    Some(JobFacts { url, length, validator })
}

/// A text is its length in two bytes and then its UTF-8; no text is a length of `0xffff`.
fn put_text(payload: &mut Vec<u8>, text: Option<&str>) {
    let fits = text.and_then(|text| Some((u16::try_from(text.len()).ok()?, text)));
    let (len, text) = fits.filter(|&(len, _)| len != NO_TEXT).unwrap_or((NO_TEXT, ""));
    payload.extend(len.to_le_bytes());
    payload.extend(text.bytes());
}

#[expect(
    clippy::option_option,
    reason = "the outer one is about the format, the inner about the text"
)]
fn take_text(rest: &mut &[u8]) -> Option<Option<String>> {
    let (len, after) = rest.split_first_chunk::<2>()?;
    let len = u16::from_le_bytes(*len);
    let (text, after) = after.split_at_checked(if len == NO_TEXT { 0 } else { len.into() })?;
    *rest = after;
    let text = str::from_utf8(text).ok()?.to_owned();
    Some((len != NO_TEXT).then_some(text))
}

fn piece_bytes(piece: &Piece) -> [u8; PIECE_LEN] {
    let mut bytes = [0; PIECE_LEN];
    let len = u32::try_from(piece.span.len()).unwrap_or(u32::MAX);
    bytes[..8].copy_from_slice(&piece.span.start().to_le_bytes());
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    bytes[12..16].copy_from_slice(&piece.deliverer.to_le_bytes());
    bytes[16..].copy_from_slice(&piece.hash);
    bytes
}

fn piece_of(bytes: &[u8; PIECE_LEN]) -> Option<Piece> {
    let (start, rest) = bytes.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (deliverer, hash) = rest.split_first_chunk::<4>()?;
    let span = Span::of_len(u64::from_le_bytes(*start), u32::from_le_bytes(*len).into())?;
    let within_one = span.start() / MIB == span.last() / MIB;
    let deliverer = u32::from_le_bytes(*deliverer);
    within_one.then_some(Piece { span, deliverer, hash: hash.try_into().ok()? })
}

const FACTS: u32 = 1;
const PIECES: u32 = 2;
const FORGET: u32 = 3;
const PLACE: u32 = 4;

const START_LEN: usize = 8;
const PIECE_LEN: usize = 48;
const CHECK_LEN: usize = 32;
/// The longest payload: 4,096 pieces. A reader allocates no more, whatever a frame says.
const MAX_PAYLOAD: usize = PIECES_IN_FRAME * PIECE_LEN;
const PIECES_IN_FRAME: usize = 4_096;
const NO_TEXT: u16 = u16::MAX;
