//! haul's frames and asks as bytes.
//!
//! `haul-wire` turns [`Frame`]s and [`Ask`]s into bytes and bytes into frames and asks. It opens
//! no socket, reads no clock, decides nothing, and never allocates for a length that it has not
//! checked. You probably want the `haul` crate, which speaks this protocol.
//!
//! A frame is a [`Header`] of twelve bytes and a body. The bodies of control frames are postcard
//! structs, one per kind, that grow only at their end: a reader ignores what it does not know.
//! Data travels raw behind its offset.
//!
//! ```
//! use bytes::BytesMut;
//! use haul_wire::{Frame, Limit};
//!
//! let mut bytes = BytesMut::new();
//! Frame::Credit { bytes: 65536 }.encode(&mut bytes);
//! let decoded = Frame::read(&mut bytes, Limit::Granted).unwrap();
//! assert_eq!(decoded, Some(Frame::Credit { bytes: 65536 }));
//! ```

mod ask;
mod codes;
mod error;
mod frame;
mod header;
mod messages;

pub use ask::{Ask, SizeClass};
pub use codes::{ByeReason, FailReason, Verdict};
pub use error::WireError;
pub use frame::Frame;
pub use header::{Header, Limit, MAX_DATA};
pub use messages::{
    Answer, FEATURE_GROUP, Failure, HelperHello, JobFacts, LeaderHello, Offer, Scheme,
};
