use crate::{WireError, frame};

/// The most data one frame carries, in bytes: small, so that a cancel waits for at most this.
pub const MAX_DATA: usize = 64 * 1024;

/// [`MAX_DATA`] behind its offset.
const MAX_DATA_BODY: u32 = 8 + 64 * 1024;

/// The bit of `flags` that lets a reader skip a kind that it does not know.
const OPTIONAL: u8 = 1;

/// How much a peer may send at this stage of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Before the helper said yes: control frames of at most 16 KiB and no data.
    Offered,
    /// After it: control frames of at most 64 KiB, and data of at most [`MAX_DATA`].
    Granted,
}

impl Limit {
    const fn most(self, kind: u8) -> u32 {
        match (self, kind) {
            (Self::Offered, frame::DATA) => 0,
            (Self::Offered, _) => 16 * 1024,
            (Self::Granted, frame::DATA) => MAX_DATA_BODY,
            (Self::Granted, _) => 64 * 1024,
        }
    }
}

/// The twelve bytes before every body, big-endian:
/// `len u32 | kind u8 | flags u8 | reserved u16 | lease u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the body that follows, in bytes.
    pub len: u32,
    /// What the body is.
    pub kind: u8,
    /// Whether a reader that does not know the kind may skip the frame.
    pub optional: bool,
    /// The lease that the frame is about; zero where none is.
    pub lease: u32,
}

impl Header {
    /// The length of a header, in bytes.
    pub const LEN: usize = 12;

    /// Reads a header and holds its length against what the peer may send now, so that nobody
    /// allocates for a length that is not allowed.
    pub fn parse(bytes: &[u8; Self::LEN], limit: Limit) -> Result<Self, WireError> {
        let [l0, l1, l2, l3, kind, flags, _, _, a, b, c, d] = *bytes;
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        let most = limit.most(kind);
        if len > most {
            return Err(WireError::TooLong { kind, len, most });
        }
        let optional = flags & OPTIONAL != 0;
        Ok(Self { len, kind, optional, lease: u32::from_be_bytes([a, b, c, d]) })
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.len.to_be_bytes());
        bytes[4] = self.kind;
        bytes[5] = if self.optional { OPTIONAL } else { 0 };
        bytes[8..].copy_from_slice(&self.lease.to_be_bytes());
        bytes
    }
}
