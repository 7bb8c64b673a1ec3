use std::fmt;

/// Why bytes from another machine are not a frame or an ask.
///
/// All of these mean that the sender is broken or hostile: the session with it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes do not begin as haul's do, or are of a version that is not spoken here.
    Foreign,
    /// A frame announced more bytes than its kind may have at this moment.
    TooLong {
        /// The kind of the frame.
        kind: u8,
        /// The announced length of the body, in bytes.
        len: u32,
        /// The most that was allowed.
        most: u32,
    },
    /// The body is not what its kind prescribes.
    Malformed {
        /// The kind of the frame.
        kind: u8,
    },
    /// A kind that is not known here and that the sender did not mark as optional.
    UnknownKind {
        /// The kind of the frame.
        kind: u8,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => write!(f, "these bytes are not haul's, or of another version"),
            Self::TooLong { kind, len, most } => {
                write!(f, "a frame of kind {kind} announced {len} bytes where {most} are allowed")
            }
            Self::Malformed { kind } => {
                write!(f, "the body of a frame of kind {kind} is malformed")
            }
            Self::UnknownKind { kind } => write!(f, "frames of kind {kind} are not known here"),
        }
    }
}

impl std::error::Error for WireError {}
