use crate::{
    Answer, ByeReason, Failure, Header, HelperHello, JobFacts, LeaderHello, Limit, Offer, WireError,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use haul_span::Span;
use serde::{Serialize, de::DeserializeOwned};

pub(crate) const DATA: u8 = 20;

/// Bytes of a data frame's body before the data: its offset in the file.
const DATA_HEAD: usize = 8;

const LEADER_HELLO: u8 = 1;
const HELPER_HELLO: u8 = 2;
const REVEAL: u8 = 3;
const GROUP_PROOF: u8 = 4;
const OFFER: u8 = 5;
const ANSWER: u8 = 6;
const JOB: u8 = 7;
const CHALLENGE: u8 = 8;
const PROOF: u8 = 9;
const READY: u8 = 10;
const ROLL_CALL: u8 = 11;
const GRANT: u8 = 16;
const TRIM: u8 = 17;
const REVOKE: u8 = 18;
const CREDIT: u8 = 19;
const DONE: u8 = 21;
const FAILED: u8 = 22;
const LANES: u8 = 23;
const PING: u8 = 24;
const PONG: u8 = 25;
const HELD: u8 = 26;
const LANE_LIMIT: u8 = 27;
const BYE: u8 = 31;

/// Everything that leader (L) and helper (H) say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// L→H, first of all.
    LeaderHello(LeaderHello),
    /// H→L, in answer.
    HelperHello(HelperHello),
    /// L→H: the nonce that the leader's commitment hid.
    Reveal {
        /// 32 random bytes.
        nonce: [u8; 32],
    },
    /// Either way: that the sender holds the group's key.
    GroupProof {
        /// HMAC-SHA-256 over the direction, the TLS exporter and both public keys.
        mac: [u8; 32],
    },
    /// L→H: what is asked.
    Offer(Offer),
    /// H→L: what the owner or their policy says.
    Answer(Answer),
    /// L→H, after a yes: the URL.
    Job(JobFacts),
    /// H→L: show that you can read this part of the file by yourself.
    Challenge {
        /// The part, at most 64 KiB.
        span: Span,
    },
    /// L→H: the answer to a challenge.
    Proof {
        /// SHA-256 of the part's bytes.
        sha256: [u8; 32],
    },
    /// H→L: the origin gives this helper the same file; grants may come.
    Ready,
    /// L→H, in place of an offer: would you help at present? No person is asked, and after the
    /// answer the session ends.
    RollCall,
    /// L→H: fetch this span.
    Grant {
        /// The lease, never used twice in a session.
        lease: u32,
        /// What to fetch.
        span: Span,
    },
    /// L→H: a lease ends earlier than granted.
    Trim {
        /// The lease.
        lease: u32,
        /// Its new end.
        end: u64,
    },
    /// L→H: a lease is taken back whole.
    Revoke {
        /// The lease.
        lease: u32,
    },
    /// L→H: the helper may send this many bytes of data more.
    Credit {
        /// Bytes of data.
        bytes: u32,
    },
    /// H→L: bytes of the file.
    Data {
        /// The lease that they belong to.
        lease: u32,
        /// Where they start in the file.
        offset: u64,
        /// 1 to [`crate::MAX_DATA`] bytes.
        bytes: Bytes,
    },
    /// H→L: all of a lease was sent, up to where it was trimmed.
    Done {
        /// The lease.
        lease: u32,
    },
    /// H→L: a lease is given up where its data ended.
    Failed {
        /// The lease.
        lease: u32,
        /// Why, and when to come back.
        failure: Failure,
    },
    /// L→H: how many leases to fetch at a time.
    Lanes {
        /// 1 to the number that the helper's answer allowed.
        lanes: u8,
    },
    /// Either way: answer with [`Frame::Pong`].
    Ping,
    /// The answer to a ping.
    Pong,
    /// H→L, at most once a second while data is sent: how long the connection to the leader took no
    /// more of it. Marked optional, so that a leader that does not know the kind skips it.
    Held {
        /// The part of the time since the helper last said so, in hundredths: 0 to 100. More is the
        /// caller's mistake: no reader accepts it.
        share: u8,
    },
    /// H→L: how many leases the helper fetches for this leader at a time at the most from now on, as
    /// it serves other leaders too. Marked optional: the helper keeps to it either way.
    LaneLimit {
        /// 1 to the number that the helper's answer allowed.
        lanes: u8,
    },
    /// Either way: the session ends.
    Bye {
        /// Why.
        reason: ByeReason,
    },
}

impl Frame {
    /// Appends the frame to `out`.
    ///
    /// Data of more than [`crate::MAX_DATA`] bytes is the caller's mistake: no reader accepts it.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_bytes(0, Header::LEN);
        self.encode_body(out);
        let len = u32::try_from(out.len() - start - Header::LEN).unwrap_or(u32::MAX);
        let header =
            Header { len, kind: self.kind(), optional: self.is_optional(), lease: self.lease() };
        out[start..start + Header::LEN].copy_from_slice(&header.to_bytes());
    }

    /// Takes the next whole frame off the front of `buffer`, or `None` where more bytes are
    /// needed. Kinds that are unknown here and marked optional are skipped.
    pub fn read(buffer: &mut BytesMut, limit: Limit) -> Result<Option<Self>, WireError> {
        while let Some(head) = buffer.first_chunk() {
            let header = Header::parse(head, limit)?;
            let len = header.len as usize;
            if buffer.len() < Header::LEN + len {
                buffer.reserve(Header::LEN + len - buffer.len());
                return Ok(None);
            }
            buffer.advance(Header::LEN);
            let body = buffer.split_to(len).freeze();
            match Self::decode(header, body) {
                Err(WireError::UnknownKind { .. }) if header.optional => {}
                decoded => return decoded.map(Some),
            }
        }
        Ok(None)
    }

    /// The frame that a header and its whole body make.
    pub fn decode(header: Header, body: Bytes) -> Result<Self, WireError> {
        let Header { kind, lease, .. } = header;
        Ok(match kind {
            LEADER_HELLO => Self::LeaderHello(unpack(kind, &body)?),
            HELPER_HELLO => Self::HelperHello(unpack(kind, &body)?),
            REVEAL => Self::Reveal { nonce: unpack(kind, &body)? },
            GROUP_PROOF => Self::GroupProof { mac: unpack(kind, &body)? },
            OFFER => Self::Offer(unpack(kind, &body)?),
            ANSWER => Self::Answer(unpack(kind, &body)?),
            JOB => Self::Job(unpack(kind, &body)?),
            CHALLENGE => Self::Challenge { span: unpack_span(kind, &body)? },
            PROOF => Self::Proof { sha256: unpack(kind, &body)? },
            READY => Self::Ready,
            ROLL_CALL => Self::RollCall,
            GRANT => Self::Grant { lease, span: unpack_span(kind, &body)? },
            TRIM => Self::Trim { lease, end: unpack(kind, &body)? },
            REVOKE => Self::Revoke { lease },
            CREDIT => Self::Credit { bytes: unpack(kind, &body)? },
            DATA => decode_data(lease, body)?,
            DONE => Self::Done { lease },
            FAILED => Self::Failed { lease, failure: unpack(kind, &body)? },
            LANES => Self::Lanes { lanes: unpack(kind, &body)? },
            PING => Self::Ping,
            PONG => Self::Pong,
            HELD => Self::Held { share: unpack_share(kind, &body)? },
            LANE_LIMIT => Self::LaneLimit { lanes: unpack(kind, &body)? },
            BYE => Self::Bye { reason: unpack(kind, &body)? },
            kind => return Err(WireError::UnknownKind { kind }),
        })
    }

    /// The byte that names the frame's kind in its header.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::LeaderHello(_) => LEADER_HELLO,
            Self::HelperHello(_) => HELPER_HELLO,
            Self::Reveal { .. } => REVEAL,
            Self::GroupProof { .. } => GROUP_PROOF,
            Self::Offer(_) => OFFER,
            Self::Answer(_) => ANSWER,
            Self::Job(_) => JOB,
            Self::Challenge { .. } => CHALLENGE,
            Self::Proof { .. } => PROOF,
            Self::Ready => READY,
            Self::RollCall => ROLL_CALL,
            Self::Grant { .. } => GRANT,
            Self::Trim { .. } => TRIM,
            Self::Revoke { .. } => REVOKE,
            Self::Credit { .. } => CREDIT,
            Self::Data { .. } => DATA,
            Self::Done { .. } => DONE,
            Self::Failed { .. } => FAILED,
            Self::Lanes { .. } => LANES,
            Self::Ping => PING,
            Self::Pong => PONG,
            Self::Held { .. } => HELD,
            Self::LaneLimit { .. } => LANE_LIMIT,
            Self::Bye { .. } => BYE,
        }
    }

    /// Whether a reader that does not know the kind may do without it.
    const fn is_optional(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::LaneLimit { .. })
    }

    const fn lease(&self) -> u32 {
        match self {
            Self::Grant { lease, .. }
            | Self::Trim { lease, .. }
            | Self::Revoke { lease }
            | Self::Data { lease, .. }
            | Self::Done { lease }
            | Self::Failed { lease, .. } => *lease,
            _ => 0,
        }
    }

    fn encode_body(&self, out: &mut BytesMut) {
        match self {
            Self::LeaderHello(body) => pack(body, out),
            Self::HelperHello(body) => pack(body, out),
            Self::Reveal { nonce: bytes }
            | Self::GroupProof { mac: bytes }
            | Self::Proof { sha256: bytes } => {
                pack(bytes, out);
            }
            Self::Offer(body) => pack(body, out),
            Self::Answer(body) => pack(body, out),
            Self::Job(body) => pack(body, out),
            Self::Challenge { span } | Self::Grant { span, .. } => {
                pack(&(span.start(), span.end()), out);
            }
            Self::Trim { end, .. } => pack(end, out),
            Self::Credit { bytes } => pack(bytes, out),
            Self::Data { offset, bytes, .. } => {
                out.put_u64(*offset);
                out.put_slice(bytes);
            }
            Self::Failed { failure, .. } => pack(failure, out),
            Self::Lanes { lanes } | Self::LaneLimit { lanes } => pack(lanes, out),
            Self::Held { share } => pack(share, out),
            Self::Bye { reason } => pack(reason, out),
            Self::Ready
            | Self::RollCall
            | Self::Revoke { .. }
            | Self::Done { .. }
            | Self::Ping
            | Self::Pong => {}
        }
    }
}

fn pack<T: Serialize>(body: &T, out: &mut BytesMut) {
    let bytes = postcard::to_stdvec(body).expect("bodies hold nothing that postcard cannot write");
    out.put_slice(&bytes);
}

/// Reads a body and ignores what a later version put behind it.
fn unpack<T: DeserializeOwned>(kind: u8, body: &[u8]) -> Result<T, WireError> {
    let (value, _later) =
        postcard::take_from_bytes(body).map_err(|_| WireError::Malformed { kind })?;
    Ok(value)
}

fn unpack_span(kind: u8, body: &[u8]) -> Result<Span, WireError> {
    let (start, end) = unpack(kind, body)?;
    Span::new(start, end).ok_or(WireError::Malformed { kind })
}

fn unpack_share(kind: u8, body: &[u8]) -> Result<u8, WireError> {
    let share = unpack(kind, body)?;
    if share > 100 { Err(WireError::Malformed { kind }) } else { Ok(share) }
}

fn decode_data(lease: u32, mut body: Bytes) -> Result<Frame, WireError> {
    if body.len() <= DATA_HEAD {
        return Err(WireError::Malformed { kind: DATA });
    }
    let offset = body.get_u64();
    let ends = offset.checked_add(body.len() as u64);
    ends.map(|_| Frame::Data { lease, offset, bytes: body })
        .ok_or(WireError::Malformed { kind: DATA })
}
