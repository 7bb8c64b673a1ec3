use crate::WireError;

const MAGIC: [u8; 4] = *b"HAUL";
const VERSION: u8 = 1;
const KIND_ASK: u8 = 1;

/// Where the tag begins.
const TAG: usize = 70;

/// The UDP datagram that says "someone here wants help".
///
/// Anyone on the network can read, forge and replay it, so it names no URL, host, file, person or
/// exact size; a helper answers only by opening a TLS session to the datagram's source address.
/// All of it is fixed at [`Ask::LEN`] bytes, so that it is larger than what it can provoke.
///
/// | bytes | field |
/// |---|---|
/// | 0..4 | `HAUL` |
/// | 4 | version, 1 |
/// | 5 | kind, 1 |
/// | 6..8 | flags, zero |
/// | 8..24 | `id` |
/// | 24..56 | `leader` |
/// | 56..58 | `port` |
/// | 58 | `size` |
/// | 59 | `wanted` |
/// | 60..62 | `expires` |
/// | 62..70 | `group` |
/// | 70..86 | `tag` |
/// | 86..512 | zero; ignored when read |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Random, the same in every repeat of one ask.
    pub id: [u8; 16],
    /// SHA-256 of the leader's public key: whom the helper must find behind `port`.
    pub leader: [u8; 32],
    /// The leader's TCP port, in host order.
    pub port: u16,
    /// How large the file is, roughly.
    pub size: SizeClass,
    /// How many helpers are wanted still.
    pub wanted: u8,
    /// How long the ask holds, in seconds from its arrival.
    pub expires: u16,
    /// Which group's key made `tag`; zero without a group.
    pub group: [u8; 8],
    /// HMAC-SHA-256 with the group's key over a label, bytes 0..70 and the minute; zero without a
    /// group.
    pub tag: [u8; 16],
}

impl Ask {
    /// The length of every ask, in bytes.
    pub const LEN: usize = 512;

    /// The datagram.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = KIND_ASK;
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..56].copy_from_slice(&self.leader);
        bytes[56..58].copy_from_slice(&self.port.to_be_bytes());
        bytes[58] = self.size as u8;
        bytes[59] = self.wanted;
        bytes[60..62].copy_from_slice(&self.expires.to_be_bytes());
        bytes[62..70].copy_from_slice(&self.group);
        bytes[70..86].copy_from_slice(&self.tag);
        bytes
    }

    /// The bytes that a group's tag is made over: all before the tag.
    pub fn vouched(&self) -> [u8; TAG] {
        let bytes = self.to_bytes();
        std::array::from_fn(|at| bytes[at])
    }

    /// The ask that a datagram carries.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        let bytes: &[u8; Self::LEN] = datagram.try_into().map_err(|_| WireError::Foreign)?;
        if bytes[..4] != MAGIC || bytes[4] != VERSION || bytes[5] != KIND_ASK {
            return Err(WireError::Foreign);
        }
        Ok(Self {
            id: field(bytes, 8),
            leader: field(bytes, 24),
            port: u16::from_be_bytes(field(bytes, 56)),
            size: SizeClass::from_code(bytes[58]),
            wanted: bytes[59],
            expires: u16::from_be_bytes(field(bytes, 60)),
            group: field(bytes, 62),
            tag: field(bytes, 70),
        })
    }
}

fn field<const N: usize>(bytes: &[u8; Ask::LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// How large a file is, told no more exactly than a stranger needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeClass {
    /// Not known, or of a class of a later version.
    Unknown = 0,
    /// Below 100 MB.
    Small = 1,
    /// Below 1 GB.
    Medium = 2,
    /// Below 10 GB.
    Large = 3,
    /// 10 GB and more.
    Huge = 4,
}

impl SizeClass {
    /// The class of a file of `bytes` bytes.
    pub const fn of(bytes: u64) -> Self {
        match bytes {
            0..100_000_000 => Self::Small,
            100_000_000..1_000_000_000 => Self::Medium,
            1_000_000_000..10_000_000_000 => Self::Large,
            _ => Self::Huge,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Small,
            2 => Self::Medium,
            3 => Self::Large,
            4 => Self::Huge,
            _ => Self::Unknown,
        }
    }
}
